/**
 * The local Jacobian of a gate: d out / d input as a matrix, one row for each element of the output.
 *
 * Its structure is known from the op alone, its numbers where the document holds what they are made of. Backward never
 * forms it, and what it would take says why.
 */

import type { Graph, Trace } from "./document";
import { elements, opName, sizeOf, wiring } from "./document";
import type { Key } from "./strings";

export const MOST_ENTRIES = 4096;

export interface Jacobian {
  rows: number;
  columns: number;
  structure: Key;
  /** Entries that are not zero by structure; null where the page does not know. */
  filled: number | null;
  /** All entries by row, if they are few and known. */
  data: number[] | null;
}

interface Gate {
  graph: Graph;
  trace: Trace | undefined;
  node: number;
  edge: number;
  out: number[];
  shape: number[];
}

type Made = Pick<Jacobian, "structure" | "filled"> & { at?: (row: number, column: number) => number };

export function jacobian(graph: Graph, trace: Trace | undefined, edge: number): Jacobian {
  const [source, node] = [graph.edges.source[edge], graph.edges.target[edge]];
  const [out, shape] = [graph.nodes.shape[node], graph.nodes.shape[source]];
  const [rows, columns] = [sizeOf(out), sizeOf(shape)];
  const made = structureOf({ graph, trace, node, edge, out, shape });
  const isSmall = rows * columns <= MOST_ENTRIES && made.at !== undefined;
  const data = isSmall ? Array.from({ length: rows * columns }, (_, at) => entry(made, at, columns)) : null;
  return { rows, columns, structure: made.structure, filled: made.filled, data };
}

function entry(made: Made, at: number, columns: number): number {
  return made.at?.(Math.floor(at / columns), at % columns) ?? NaN;
}

function structureOf(gate: Gate): Made {
  const { graph, node } = gate;
  if (graph.ops[graph.nodes.op[node]].elementwise) return elementwise(gate);
  const rows = sizeOf(gate.out);
  const name = opName(graph, node);
  if (name === "matmul") return matmul(gate);
  if (name === "reshape") {
    return { structure: "structurePermutation", filled: rows, at: (row, column) => Number(row === column) };
  }
  if (name === "transpose" || name === "mT") return transposed(gate, rows);
  if (name === "sum" && rows === 1) return { structure: "structureOnes", filled: sizeOf(gate.shape), at: () => 1 };
  if (name === "mean" && rows === 1) {
    const count = sizeOf(gate.shape);
    return { structure: "structureOnes", filled: count, at: () => 1 / count };
  }
  if (name === "stop_gradient") return { structure: "structureZero", filled: 0, at: () => 0 };
  return { structure: "structureUnknown", filled: null };
}

/** One number in each row: where the element of the input stands from which an element of the output is made. */
function elementwise({ trace, edge, out, shape }: Gate): Made {
  const local = elements(trace?.locals[edge]);
  const filled = sizeOf(out);
  const isSame = out.length === shape.length && out.every((length, axis) => length === shape[axis]);
  const structure = isSame && out.length ? "structureDiagonal" : out.length ? "structureBlocks" : "structureDense";
  if (!local) return { structure, filled };
  return { structure, filled, at: (row, column) => (column === sourceOf(row, out, shape) ? local[row] : 0) };
}

/** The element of an input that broadcasting puts at an element of the output. */
export function sourceOf(element: number, out: readonly number[], shape: readonly number[]): number {
  let [rest, found, stride] = [element, 0, 1];
  for (let back = 1; back <= shape.length; back++) {
    const length = out[out.length - back];
    const place = rest % length;
    rest = Math.floor(rest / length);
    const own = shape[shape.length - back];
    if (own !== 1) found += place * stride;
    stride *= own;
  }
  return found;
}

/** Y = A·B of matrices: each row of Y depends on its row of A by Bᵀ, each column on its column of B by A. */
function matmul({ graph, trace, node, edge, out, shape }: Gate): Made {
  const { source, position } = graph.edges;
  const other = wiring(graph).entering[node].find((each) => each !== edge);
  const numbers = other === undefined ? null : elements(trace?.values[source[other]]);
  const isFirst = position[edge] === 0;
  if (out.length !== 2 || shape.length !== 2) {
    const dense = out.length === 1 && shape.length === 2 ? "structureBlocks" : "structureDense";
    return { structure: dense, filled: dense === "structureDense" ? sizeOf(out) * sizeOf(shape) : sizeOf(shape) };
  }
  const [, across] = out;
  const inner = isFirst ? shape[1] : shape[0];
  const filled = sizeOf(out) * inner;
  const structure = "structureBlocks";
  if (!numbers) return { structure, filled };
  return {
    structure,
    filled,
    at: (row, column) => {
      const [i, j] = [Math.floor(row / across), row % across];
      const [k, l] = [Math.floor(column / shape[1]), column % shape[1]];
      if (isFirst) return k === i ? numbers[l * across + j] : 0;
      return l === j ? numbers[i * inner + k] : 0;
    },
  };
}

function transposed({ out }: Gate, rows: number): Made {
  const structure = "structurePermutation";
  if (out.length !== 2) return { structure, filled: rows };
  const [down, across] = out;
  return {
    structure,
    filled: rows,
    at: (row, column) => Number(column === (row % across) * down + Math.floor(row / across)),
  };
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** What a matrix of float64 would take. */
export function bytes(entries: number): string {
  let [size, unit] = [entries * 8, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
