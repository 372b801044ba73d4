/**
 * Colours of the strips, of the decision boundary, and of a surface over the plane.
 *
 * A strip's number becomes a place from −1 to 1 on the palette of heat maps: 0 is unremarkable, both ends are extremes.
 * What cannot be placed (not finite) is told apart by the drawing.
 */

import { tokens } from "../tokens";
import type { StripName } from "./run";

export const GUIDE = 1e-3; // of update / weight
const DECADES = 3; // on either side of the guide, and below the largest gradient

/** Where on the palette a number of a strip lies; `largest` is that of the whole strip. */
export function place(name: StripName, value: number, largest: number): number {
  switch (name) {
    case "update":
      return value > 0 ? clip(Math.log10(value / GUIDE) / DECADES) * -1 : 1;
    case "gradient":
      return value > 0 && largest > 0 ? clip(1 + Math.log10(value / largest) / DECADES, 0) : 0;
    case "mean":
    case "spread":
      return largest > 0 ? clip(value / largest) : 0;
    case "dead":
    case "saturated":
      return -clip(value);
    case "infinite":
      return value > 0 ? -1 : 0;
  }
}

function clip(value: number, low = -1): number {
  return Math.max(low, Math.min(1, value));
}

/** The colour of a place from −1 to 1, between the colours of the palette. */
export function colour(at: number, isDark: boolean): string {
  const palette = tokens.heat[isDark ? "dark" : "light"];
  const along = ((clip(at) + 1) / 2) * (palette.length - 1);
  const before = Math.min(Math.floor(along), palette.length - 2);
  const [from, to] = [channels(palette[before]), channels(palette[before + 1])];
  const mixed = from.map((channel, i) => Math.round(channel + (to[i] - channel) * (along - before)));
  return `rgb(${mixed.join(" ")})`;
}

/** The colour of a class; with more classes than colours they come again. */
export function classColour(label: number): [number, number, number] {
  const { colours } = tokens.classes;
  return channels(colours[label % colours.length]);
}

function channels(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Whether the page is dark now. */
export function isDark(theme: "auto" | "light" | "dark"): boolean {
  return theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
}
