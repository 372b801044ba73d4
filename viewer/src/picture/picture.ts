/**
 * From a document to a picture in whole numbers: what each box looks like, how large it is, and where it stands.
 *
 * The twin of `picture.py`: page and SVG are the same picture.
 */

import type { ArrayEntry, GraphDocument, Trace, ViewSettings } from "../document";
import type { Layout, Size } from "../layout/layout";
import { layout } from "../layout/layout";
import { grouped, shortened, tokens, width } from "../tokens";
import type { Figure } from "./figures";
import { Figures } from "./figures";
import type { Box } from "./fold";
import { boxesOf } from "./fold";
import type { Scene } from "./stubs";
import { scene } from "./stubs";

export const LONGEST_NAME = 24;
const LONGEST_CAPTION = 20;
const MOST_CHIPS = 3;
export const CELL = [6, 6] as const;
export const BAR = [5, 24] as const;

/** Where a wire enters a box: the term that it brings back, and whether the gate stops it. */
export interface Arm {
  edge: number;
  port: number;
  term: Figure;
  stops: boolean;
}

export type Shape = "circle" | "pill" | "box" | "fold" | "name";

/** A box with everything that is written on it and beside it. */
export interface Part {
  box: Box;
  shape: Shape;
  lines: string[];
  name: string;
  value: Figure;
  gradient: Figure;
  arms: Arm[];
  half: number;
  rise: number;
  zone: number;
  gather: number;
  ports: number[];
  label: number;
}

export interface Picture {
  parts: Part[];
  scene: Scene;
  layout: Layout;
  figures: Figures;
}

const BLANK: Figure = { lines: [] };
const signatures = new WeakMap<Part, string>();

/** What is seen of a part and said of it, as a text. */
function signature(part: Part): string {
  const known = signatures.get(part);
  if (known !== undefined) return known;
  const made = JSON.stringify({ ...part, box: { ...part.box, members: part.box.members.length } });
  signatures.set(part, made);
  return made;
}

/** A picture with the parts of an earlier one of the same graph where they are alike: what draws them may skip those. */
export function keeping(old: Picture | undefined, made: Picture): Picture {
  if (old?.figures.graph !== made.figures.graph) return made;
  const name = ({ box }: Part) => `${box.kind} ${box.node}`;
  const known = new Map(old.parts.map((part) => [name(part), part]));
  const parts = made.parts.map((part) => {
    const before = known.get(name(part));
    return before && signature(before) === signature(part) ? before : part;
  });
  return { ...made, parts };
}

/** The picture of what a document shows. */
export function picture(
  document: GraphDocument,
  trace: Trace | undefined = document.traces[document.traces.length - 1],
  view: ViewSettings = document.view,
): Picture {
  const figures = new Figures(document, trace, view);
  const made = scene(...boxesOf(document, view));
  const parts = made.boxes.map((box) => partOf(figures, box));
  for (const { source, target, port, edge } of made.arrows) {
    const term = edge >= 0 && parts[target].shape !== "fold" ? figures.term(edge) : BLANK;
    parts[target].arms.push({ edge, port, term, stops: edge >= 0 && figures.stops(edge) });
    if (parts[source].box.kind === "stub") parts[source].value = parts[source].gradient = BLANK;
  }
  return { parts, scene: made, layout: layout(parts.map(measured), made.arrows, made.rank), figures };
}

function partOf(figures: Figures, box: Box): Part {
  const { nodes, ops } = figures.graph;
  const name = shortened(nodes.label[box.node], LONGEST_NAME);
  const base = { box, value: figures.value(box.node), gradient: figures.gradient(box.node), arms: [], ports: [] };
  const part = { ...base, name: "", half: 0, rise: 0, zone: 0, gather: 0, label: 0 };
  if (box.kind === "leaf" || box.kind === "stub") {
    return { ...part, shape: "name", lines: [box.kind === "stub" ? `${name} ●` : name] };
  }
  if (box.kind === "fold") return { ...part, shape: "fold", lines: foldLines(figures, box) };
  const caption = shortened(nodes.caption[box.node], LONGEST_CAPTION);
  const own = nodes.name[box.node] === null ? "" : name;
  const kind = !ops[nodes.op[box.node]].elementwise && nodes.shape[box.node].length ? "box" : "pill";
  const isShort = Array.from(caption).length <= tokens.gate.characters && kind === "pill";
  return { ...part, shape: isShort ? "circle" : kind, lines: [caption], name: own };
}

/** What a folded box says: its name, its type or size, and the parameters in it. */
function foldLines(figures: Figures, box: Box): string[] {
  const { kind, name, label } = figures.graph.nodes;
  const held = new Set<string>();
  let count = 0;
  for (const node of box.members) {
    if (kind[node] === "op") count += 1;
    else if (kind[node] === "parameter") held.add(name[node] || label[node]);
  }
  const names = [...held];
  const chips = names.slice(0, MOST_CHIPS).join(", ") + (names.length > MOST_CHIPS ? " …" : "");
  const badge = box.repeats > 1 ? ` ×${box.repeats}` : "";
  const about = box.about ? `${box.about}${badge} · ` : "";
  const texts = [box.title, `${about}${grouped(count)} ${count === 1 ? "gate" : "gates"}`, chips];
  return texts.filter(Boolean).map((each) => shortened(each, LONGEST_NAME));
}

// --- sizes -----------------------------------------------------------------------------------------------------------

/** Width and height of the small chart of a figure; nothing without one. */
export function chartSize(chart: ArrayEntry | undefined): [number, number] {
  if (chart?.map) return [chart.map.columns * CELL[0], chart.map.rows * CELL[1]];
  return chart?.histogram ? [chart.histogram.counts.length * BAR[0], BAR[1]] : [0, 0];
}

function figureSize(figure: Figure): [number, number] {
  const [across, up] = chartSize(figure.chart);
  const gap = up ? tokens.label.clear : 0;
  return [Math.max(across, ...figure.lines.map(width)), figure.lines.length * tokens.font.line + up + gap];
}

/** The extent of a part; it also says where in it the pieces stand. */
function measured(part: Part): Size {
  const { gate, label, space } = tokens;
  measureBody(part);
  const ports = (part.ports = portsOf(part));
  const reach = Math.max(0, ...ports.map(Math.abs));
  if (part.shape === "box" || part.shape === "fold") part.rise = Math.max(part.rise, reach + space.lane);
  const isRound = part.shape === "circle" || part.shape === "pill";
  part.gather = reach > Math.floor(part.rise / 2) && isRound ? gate.radius : 0;
  const written = part.arms.filter((arm) => arm.term.lines.length);
  part.zone = Math.max(0, ...written.map((arm) => label.end + figureSize(arm.term)[0]));
  const [valueWide, valueHigh] = figureSize(part.value);
  const [gradientWide, gradientHigh] = figureSize(part.gradient);
  const halfName = part.name ? Math.floor(width(part.name) / 2) : 0;
  const body = part.shape === "name" ? 0 : part.half;
  part.label = Math.max(body, halfName) + label.near;
  const wide = Math.max(valueWide, gradientWide);
  const armsHigh = Math.max(0, ...part.arms.map((arm) => figureSize(arm.term)[1]));
  return {
    left: Math.max(part.half + part.gather + part.zone, halfName),
    right: part.label + (wide ? wide + label.end : label.near),
    above: Math.max(part.rise + (part.name ? space.name : 0), valueHigh + label.clear, reach + space.lane),
    below: Math.max(part.rise, gradientHigh + label.clear, reach + label.clear + Math.max(armsHigh, 1)),
    ports,
  };
}

/** Half the extent of the drawn shape; of a name, all of its width, left of the axis. */
function measureBody(part: Part): void {
  const { gate, font } = tokens;
  const wide = Math.max(...part.lines.map(width));
  const lines = Math.floor((part.lines.length * font.line) / 2) + 8;
  part.rise = Math.max(part.shape === "circle" ? gate.radius : 0, lines);
  if (part.shape === "name") part.half = wide + tokens.label.near;
  else if (part.shape === "circle") part.half = gate.radius;
  else part.half = Math.floor(wide / 2) + gate.padding + (part.shape === "fold" ? 2 : 0);
}

/** Heights of the places where wires enter, around the axis; farther apart where the arms carry terms. */
function portsOf(part: Part): number[] {
  const count = part.arms.length;
  const lines = Math.max(0, ...part.arms.map((arm) => arm.term.lines.length));
  const apart = tokens.space.port + (lines ? lines * tokens.font.line : 0);
  return part.arms.map((_, index) => Math.floor(((2 * index - (count - 1)) * apart) / 2));
}
