/**
 * Places of boxes and wires: a layered layout from left to right, as a pure function of whole numbers.
 *
 * The twin of `layout.py`; `tests/view/layout.json` of the repository holds both to the same places.
 */

import { tokens } from "../tokens";
import { heights } from "./coordinates";
import { Layers, ordered } from "./ordering";

export const VERSION = 1;

/** How far a box reaches from the point in which its wires meet, and where they enter it, relative to there. */
export interface Size {
  left: number;
  right: number;
  above: number;
  below: number;
  ports: readonly number[];
}

/** A wire from one box to the port of a later one. */
export interface Edge {
  source: number;
  target: number;
  port: number;
}

/** A piece of the wire of a box, from one column to the next; `edge` is -1 where it goes on through a lane. */
export interface Link {
  wire: number;
  edge: number;
  rank: number;
  start: number;
  end: number;
}

/** The strip that the boxes of one rank own, and the line on which their wires meet. */
export interface Column {
  left: number;
  axis: number;
  right: number;
}

export interface Layout {
  rank: number[];
  y: number[];
  columns: Column[];
  links: Link[];
  width: number;
  height: number;
}

/** The column of each box: one after the last of its inputs; a leaf that is `near` stands beside its first use. */
export function ranks(count: number, edges: readonly Edge[], near: readonly boolean[]): number[] {
  const rank = new Array<number>(count).fill(0);
  const first = new Array<number>(count).fill(-1);
  const hasInputs = new Uint8Array(count);
  for (const edge of edges.slice().sort((a, b) => a.source - b.source)) {
    rank[edge.target] = Math.max(rank[edge.target], rank[edge.source] + 1);
    hasInputs[edge.target] = 1;
  }
  for (const edge of edges) {
    const held = first[edge.source];
    first[edge.source] = held < 0 ? rank[edge.target] : Math.min(held, rank[edge.target]);
  }
  for (let box = 0; box < count; box++) {
    if (near[box] && !hasInputs[box] && first[box] >= 0) rank[box] = first[box] - 1;
  }
  return rank;
}

/** Places of boxes of these sizes in these columns, and of the wires between them. */
export function layout(sizes: readonly Size[], edges: readonly Edge[], rank: readonly number[]): Layout {
  const layers = layersOf(sizes, edges, rank);
  const order = ordered(layers);
  const lanes = new Array<number>(layers.count - sizes.length).fill(tokens.space.lane);
  const above = [...sizes.map((size) => size.above), ...lanes];
  const below = [...sizes.map((size) => size.below), ...lanes];
  const { margin, row } = tokens.space;
  const found = heights(layers, order, above, below, row);
  const top = found.reduce((least, at, index) => Math.min(least, at - above[index]), Infinity);
  const y = found.map((at) => at - top + margin);
  const links = linksOf(layers, sizes, y);
  const columns = columnsOf(sizes, rank, links, order.length);
  const bottom = y.reduce((most, at, index) => Math.max(most, at + below[index]), y.length ? -Infinity : 0);
  const width = columns.length ? columns[columns.length - 1].right + margin : 2 * margin;
  return { rank: rank.slice(), y: y.slice(0, sizes.length), columns, links, width, height: bottom + margin };
}

/** The graph with lanes: every piece of wire joins two neighbouring columns. A box has one chain of lanes. */
function layersOf(sizes: readonly Size[], edges: readonly Edge[], rank: readonly number[]): Layers {
  const layers = new Layers(rank.slice());
  const outgoing: number[][] = sizes.map(() => []);
  edges.forEach((edge, index) => outgoing[edge.source].push(index));
  const before = (i: number, j: number): number => {
    const [a, b] = [edges[i], edges[j]];
    return rank[a.target] - rank[b.target] || a.target - b.target || a.port - b.port;
  };
  outgoing.forEach((indices, source) => {
    let [at, reached] = [source, rank[source]];
    for (const index of indices.sort(before)) {
      const edge = edges[index];
      while (reached < rank[edge.target] - 1) {
        reached += 1;
        const lane = layers.addLane(reached);
        layers.join({ start: at, end: lane, port: 0, wire: source, edge: -1 }, 1);
        at = lane;
      }
      const piece = { start: at, end: edge.target, port: edge.port, wire: source, edge: index };
      layers.join(piece, sizes[edge.target].ports.length);
    }
  });
  return layers;
}

function linksOf(layers: Layers, sizes: readonly Size[], y: readonly number[]): Link[] {
  return layers.pieces.map((piece) => {
    const port = piece.edge >= 0 ? sizes[piece.end].ports[piece.port] : 0;
    const rank = layers.rank[piece.start];
    return { wire: piece.wire, edge: piece.edge, rank, start: y[piece.start], end: y[piece.end] + port };
  });
}

/** Strips as wide as their widest boxes, with channels between them in which wires have room to bend. */
function columnsOf(sizes: readonly Size[], rank: readonly number[], links: readonly Link[], count: number): Column[] {
  const [left, right, steepest] = [0, 0, 0].map(() => new Array<number>(count).fill(0));
  sizes.forEach((size, box) => {
    const at = rank[box];
    left[at] = Math.max(left[at], size.left);
    right[at] = Math.max(right[at], size.right);
  });
  for (const link of links) steepest[link.rank] = Math.max(steepest[link.rank], Math.abs(link.end - link.start));
  const { channel, margin } = tokens.space;
  const columns: Column[] = [];
  let free = margin;
  for (let at = 0; at < count; at++) {
    columns.push({ left: free, axis: free + left[at], right: free + left[at] + right[at] });
    free = columns[at].right + channel + Math.min(2 * channel, Math.floor(steepest[at] / 5));
  }
  return columns;
}
