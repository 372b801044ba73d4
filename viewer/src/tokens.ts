/** Colours and sizes, from the file that Python reads, and the width of a text in the fixed-width font. */

import tokens from "../../src/adjoint/view/tokens.json";

export { tokens };

const WIDE: readonly (readonly [number, number])[] = [
  ...([[0x1100, 0x115f], [0x2e80, 0xa4cf], [0xac00, 0xd7a3], [0xf900, 0xfaff], [0xfe30, 0xfe6f]] as const),
  ...([[0xff00, 0xff60], [0xffe0, 0xffe6], [0x1f000, 0x1faff], [0x20000, 0x3fffd]] as const),
];

/** Code points of a text: Python counts letters so, and the layout must agree. */
function letters(text: string): string[] {
  return Array.from(text);
}

/** Cells of a fixed-width font that a text takes: two for the wide letters of East Asia and for emoji. */
export function cells(text: string): number {
  let count = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0) as number;
    count += point > 127 && WIDE.some(([low, high]) => low <= point && point <= high) ? 2 : 1;
  }
  return count;
}

export function width(text: string): number {
  return cells(text) * tokens.font.cell;
}

/** The text, its middle left out where it is longer than so many letters. */
export function shortened(text: string, longest: number): string {
  const all = text.length <= longest ? [] : letters(text);
  if (all.length <= longest) return text;
  const head = Math.floor((longest - 1) / 2);
  return `${all.slice(0, head).join("")}…${all.slice(all.length - (longest - 1 - head)).join("")}`;
}

/** A whole number with its thousands apart, as Python's `,` writes it. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

const HARMFUL =
  /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff]|\p{Surrogate}/gu;

/** The text with a mark in place of every character that cannot be shown or that turns the direction of writing. */
export function clean(text: string): string {
  return text.replace(HARMFUL, "\ufffd");
}
