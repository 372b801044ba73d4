/**
 * What is written on the wires of a picture: numbers, ranges, states, small charts. The twin of `figures.py`.
 */

import type { ArrayEntry, Entry, Graph, GraphDocument, HeatMap, Histogram, Statistics, Trace, ViewSettings } from "../document";
import { elements, numeric, wiring } from "../document";
import { grouped } from "../tokens";
import type { Product, Values } from "./digits";
import { ENTRIES, FEWEST, enough, entry, isFloat, isShort, lines, number, shapeText } from "./digits";

export const NOTHING = "—";
export const STOPPED = "stopped";
export const BLANK = "[ ? ]"; // a label that the reader is to find
const LARGEST_CHECKED = 40; // nodes
const BINS = 16;
const MAP = [8, 16] as const;

/** Lines of text and, of a large array, its summary, from which a small chart is drawn. */
export interface Figure {
  lines: string[];
  chart?: ArrayEntry;
}

const EMPTY: Figure = { lines: [] };

export class Figures {
  readonly graph: Graph;
  readonly digits: number;
  private readonly leaving: readonly number[][];
  private readonly blank: ReadonlySet<string>;

  /** The figures of one trace of a document; without one, nothing is written. */
  constructor(document: GraphDocument, readonly trace: Trace | undefined, view: ViewSettings) {
    this.graph = document.graph;
    this.leaving = wiring(this.graph).leaving;
    this.blank = new Set((view.quiz ?? []).map(({ node, what }) => `${node} ${what}`));
    this.digits = view.digits ?? this.precision();
  }

  private isBlank(node: number, what: "value" | "gradient"): boolean {
    return this.blank.size > 0 && this.blank.has(`${node} ${what}`);
  }

  /** The value of a node; of one that was recorded without data, its dtype and shape. */
  value(node: number): Figure {
    const { shape, dtype } = this.graph.nodes;
    if (!this.trace) return { lines: [`${dtype[node]}[${shape[node].join(", ")}]`] };
    if (this.isBlank(node, "value")) return { lines: [BLANK] };
    return this.figure(this.trace.values[node], node);
  }

  /** The gradient of a node, or why there is none. */
  gradient(node: number): Figure {
    const state = this.trace?.states[node] ?? "unknown";
    if (!this.trace || state === "unknown") return EMPTY;
    if (state === "none" || state === "stopped") return { lines: [state === "none" ? NOTHING : STOPPED] };
    if (this.isBlank(node, "gradient")) return { lines: [BLANK] };
    const figure = this.figure(this.trace.gradients[node], node);
    return figure.chart ? { ...figure, lines: figure.lines.slice(1) } : figure;
  }

  /** What an edge adds to the gradient of a node that is used more than once. */
  term(edge: number): Figure {
    const { source, target } = this.graph.edges;
    const state = this.trace?.states[source[edge]];
    if (!this.trace || this.leaving[source[edge]].length < 2 || (state !== "value" && state !== "zero")) return EMPTY;
    const held = this.trace.contributions[edge];
    if (held === null) {
      const known = this.stops(edge) || this.trace.states[target[edge]] === "none";
      return { lines: known ? [NOTHING] : [] };
    }
    if (this.isBlank(source[edge], "gradient")) return { lines: [BLANK] };
    return { lines: this.figure(held, source[edge]).lines };
  }

  /** Whether the gate at the end of an edge lets no gradient through. */
  stops(edge: number): boolean {
    return this.graph.ops[this.graph.nodes.op[this.graph.edges.target[edge]]].stops;
  }

  /** An entry in full, or null. */
  array(column: "values" | "gradients" | "contributions" | "locals", place: number, node: number): Values | null {
    return this.restored(this.trace?.[column][place], node);
  }

  private restored(held: Entry | undefined, node: number): Values | null {
    const data = elements(held);
    return data && { data, shape: this.graph.nodes.shape[node], dtype: this.graph.nodes.dtype[node] };
  }

  /** The figure of an entry that has the shape of a node. */
  figure(held: Entry, node: number): Figure {
    const full = this.restored(held, node);
    if (full && (!full.data.length || isShort(full))) return { lines: lines(full, this.digits) };
    const chart = full ? summary(full) : (held as ArrayEntry);
    return { lines: [shapeText(this.graph.nodes.shape[node]), ...this.statistics(chart.statistics)], chart };
  }

  private statistics(found: Statistics | undefined): string[] {
    const texts: string[] = [];
    if (found?.min !== undefined) {
      const [low, high, mean, spread] = [found.min, found.max, found.mean, found.std].map((x) => numeric(x ?? NaN));
      const brief = (x: number) => number(x, Math.max(this.digits, FEWEST));
      texts.push(low === high ? entry(low, "float64", this.digits) : `${brief(low)} … ${brief(high)}`);
      if (low !== high) texts.push(`${brief(mean)} ± ${brief(spread)}`);
    }
    if (found?.infinite) texts.push(`${grouped(found.infinite)} not finite`);
    return texts;
  }

  private precision(): number {
    if (!this.trace || this.graph.count > LARGEST_CHECKED) return FEWEST;
    const products = this.products();
    return enough([...this.numbers(), ...products.map((each) => each[1])], products);
  }

  /** The numbers that are printed one by one. */
  private numbers(): number[] {
    const found: number[] = [];
    for (let node = 0; node < this.graph.count; node++) {
      for (const column of ["values", "gradients"] as const) {
        const array = this.array(column, node, node);
        if (array && isFloat(array.dtype) && isShort(array)) found.push(...array.data);
      }
    }
    return found;
  }

  /** Upstream, local and downstream of every edge, element by element, where all have one shape and are few. */
  private products(): Product[] {
    const { source, target } = this.graph.edges;
    return source.flatMap((from, edge): Product[] => {
      const upstream = this.array("gradients", target[edge], target[edge]);
      const local = this.array("locals", edge, target[edge]);
      const product = this.array("contributions", edge, from);
      if (!upstream || !local || !product || product.data.length > ENTRIES) return [];
      if (String(product.shape) !== String(local.shape)) return [];
      return product.data.map((down, at) => [upstream.data[at], local.data[at], down] as const);
    });
  }
}

/** Statistics, a histogram and, of what has two axes or more, a small heat map. */
export function summary({ data, shape }: Values): ArrayEntry {
  const finite = data.filter(Number.isFinite);
  if (!finite.length) return { statistics: { infinite: data.length, zeros: 0 } };
  const [low, high] = [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))];
  const mean = finite.reduce((a, b) => a + b, 0) / finite.length;
  const std = Math.sqrt(finite.reduce((sum, x) => sum + (x - mean) ** 2, 0) / finite.length);
  const zeros = finite.filter((x) => x === 0).length;
  const statistics = { min: low, max: high, mean, std, zeros, infinite: data.length - finite.length };
  if (low === high) return { statistics };
  const made: ArrayEntry = { statistics, histogram: histogram(finite, low, high) };
  if (shape.length > 1) made.map = heatMap(data, shape[shape.length - 1]);
  return made;
}

function histogram(finite: readonly number[], low: number, high: number): Histogram {
  const counts = new Array<number>(BINS).fill(0);
  const scale = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const width = high / scale - low / scale;
  for (const x of finite) {
    const place = width > 0 ? ((x / scale - low / scale) / width) * BINS : 0;
    counts[Math.min(Math.trunc(place), BINS - 1)] += 1;
  }
  return { low, high, counts };
}

/** Means of equal blocks of the matrix whose columns are the last axis. */
function heatMap(data: readonly number[], across: number): HeatMap {
  const down = data.length / across;
  const [rows, columns] = [Math.min(down, MAP[0]), Math.min(across, MAP[1])];
  const cells: number[] = [];
  for (let row = 0; row < rows; row++) {
    const [top, bottom] = [Math.floor((row * down) / rows), Math.floor(((row + 1) * down) / rows)];
    for (let column = 0; column < columns; column++) {
      const [left, right] = [Math.floor((column * across) / columns), Math.floor(((column + 1) * across) / columns)];
      let total = 0;
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) total += Number.isFinite(data[i * across + j]) ? data[i * across + j] : 0;
      }
      cells.push(total / ((bottom - top) * (right - left)));
    }
  }
  return { rows, columns, data: cells };
}

