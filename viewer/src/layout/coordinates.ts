/**
 * Heights: long wires straight and boxes between what they are joined to, by the method of Brandes and Köpf.
 *
 * The twin of `coordinates.py`: all numbers are whole, and both give the same ones.
 */

import type { Layers, Order } from "./ordering";
import { places } from "./ordering";

/** A pair of members as one number. */
class Pairs {
  private readonly found = new Set<number>();

  constructor(private readonly count: number) {}

  add(a: number, b: number): void {
    this.found.add(a * this.count + b);
  }

  has(a: number, b: number): boolean {
    return this.found.has(a * this.count + b);
  }
}

/** The height of every box and lane, so that all in a column are `row` apart. */
export function heights(layers: Layers, order: Order, above: number[], below: number[], row: number): number[] {
  if (!order.length) return [];
  const [before, after] = alignable(layers);
  const place = places(layers, order);
  const conflicts = findConflicts(layers, order, place);
  const four: number[][] = [];
  for (const back of [false, true]) {
    for (const upward of [false, true]) {
      const along = back ? order.slice().reverse() : order;
      const columns = along.map((column) => (upward ? column.slice().reverse() : column.slice()));
      const sign = upward ? -1 : 1;
      const keyed = place.map((each) => sign * each);
      const root = blocks(columns, back ? after : before, keyed, conflicts);
      const [upper, lower] = upward ? [below, above] : [above, below];
      four.push(compacted(columns, root, upper, lower, row).map((y) => sign * y));
    }
  }
  return middle(four);
}

/** Along which pieces members may stand on one height: not with a leaf where a computed value comes in, too. */
function alignable(layers: Layers): [number[][], number[][]] {
  const before = layers.before.map((starts) => {
    const computed = starts.filter((start) => layers.before[start].length);
    return computed.length ? computed : starts;
  });
  const after: number[][] = before.map(() => []);
  before.forEach((starts, end) => {
    for (const start of starts) after[start].push(end);
  });
  return [before, after];
}

/** Pieces that cross a piece between two lanes: they give way, so that long wires stay straight. */
function findConflicts(layers: Layers, order: Order, place: readonly number[]): Pairs {
  const conflicts = new Pairs(layers.count);
  for (const column of order.slice(1)) {
    const inner: [number, number][] = [];
    for (const lane of column) {
      if (lane < layers.boxes) continue;
      for (const start of layers.before[lane]) if (start >= layers.boxes) inner.push([place[start], place[lane]]);
    }
    if (inner.length) mark(layers, column, place, inner, conflicts);
  }
  return conflicts;
}

/** Mark the pieces into one column that cross an inner one; inner ones are met from top to bottom. */
function mark(
  layers: Layers,
  column: readonly number[],
  place: readonly number[],
  inner: readonly [number, number][],
  conflicts: Pairs,
): void {
  let passed = 0;
  let low = -1;
  for (const end of column) {
    while (passed < inner.length && inner[passed][1] < place[end]) {
      low = Math.max(low, inner[passed][0]);
      passed += 1;
    }
    const own = passed < inner.length && inner[passed][1] === place[end];
    const high = passed < inner.length ? inner[passed][0] : -1;
    for (const start of layers.before[end]) {
      const crosses = place[start] < low || (high >= 0 && place[start] > high);
      if (crosses && !(own && start >= layers.boxes)) conflicts.add(start, end);
    }
  }
}

/** For every member the root of its block: the median of what it is joined to, where nothing is in the way. */
function blocks(
  columns: readonly number[][],
  joined: readonly number[][],
  place: readonly number[],
  conflicts: Pairs,
): number[] {
  const root = place.map((_, member) => member);
  const taken = new Uint8Array(place.length);
  for (const column of columns) {
    let last: number | null = null;
    for (const member of column) {
      const neighbours = [...new Set(joined[member])].sort((a, b) => place[a] - place[b]);
      const half = Math.floor(neighbours.length / 2);
      const medians = neighbours.length ? neighbours.slice(Math.floor((neighbours.length - 1) / 2), half + 1) : [];
      for (const other of medians) {
        const free = !taken[other] && (last === null || last < place[other]);
        if (!free || conflicts.has(other, member) || conflicts.has(member, other)) continue;
        taken[other] = 1;
        root[member] = root[other];
        last = place[other];
        break;
      }
    }
  }
  return root;
}

/** Heights of the blocks: each as high as it can stand, then each as low as those below it let it. */
function compacted(
  columns: readonly number[][],
  root: readonly number[],
  above: readonly number[],
  below: readonly number[],
  row: number,
): number[] {
  const count = root.length;
  const apart = new Map<number, number>();
  for (const column of columns) {
    for (let index = 1; index < column.length; index++) {
      const [upper, lower] = [column[index - 1], column[index]];
      const pair = root[upper] * count + root[lower];
      apart.set(pair, Math.max(apart.get(pair) ?? 0, below[upper] + row + above[lower]));
    }
  }
  const met = [...new Set(columns.flat().map((member) => root[member]))];
  const follows: [number, number][][] = Array.from({ length: count }, () => []);
  const waiting = new Array<number>(count).fill(0);
  for (const [pair, distance] of apart) {
    const [upper, lower] = [Math.floor(pair / count), pair % count];
    follows[upper].push([lower, distance]);
    waiting[lower] += 1;
  }
  const y = new Array<number>(count).fill(0);
  const ready = met.filter((block) => !waiting[block]);
  for (let at = 0; at < ready.length; at++) {
    const block = ready[at];
    for (const [lower, distance] of follows[block]) {
      y[lower] = Math.max(y[lower], y[block] + distance);
      waiting[lower] -= 1;
      if (!waiting[lower]) ready.push(lower);
    }
  }
  for (const block of ready.reverse()) {
    if (!follows[block].length) continue;
    let least = Infinity;
    for (const [lower, distance] of follows[block]) least = Math.min(least, y[lower] - distance);
    y[block] = Math.max(y[block], least);
  }
  return root.map((each) => y[each]);
}

const least = (ys: readonly number[]): number => ys.reduce((a, b) => Math.min(a, b), Infinity);
const most = (ys: readonly number[]): number => ys.reduce((a, b) => Math.max(a, b), -Infinity);

/** The middle of four heights, after all are moved to the least extent: two by their top, two by their bottom. */
function middle(four: readonly number[][]): number[] {
  let narrow = four[0];
  for (const ys of four) if (most(ys) - least(ys) < most(narrow) - least(narrow)) narrow = ys;
  const [low, high] = [least(narrow), most(narrow)];
  const moved = four.map((ys, index) => {
    const shift = index % 2 ? high - most(ys) : low - least(ys);
    return ys.map((y) => y + shift);
  });
  return narrow.map((_, member) => {
    const each = moved.map((ys) => ys[member]).sort((a, b) => a - b);
    return Math.floor((each[1] + each[2]) / 2);
  });
}
