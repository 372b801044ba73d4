/**
 * The order within columns: few crossings, by sweeps of barycentres and exchanges of neighbours.
 *
 * The twin of `ordering.py`, step by step: whatever is changed here is changed there, and the shared fixtures say so.
 */

export const STEP = 1024;
const MOST_SWEEPS = 8;
const MOST_EXCHANGES = 4;
const PATIENCE = 2;

export type Order = number[][];

/** A piece of a wire between members of neighbouring columns. */
export interface Piece {
  start: number;
  end: number;
  port: number;
  wire: number;
  edge: number;
}

/** Boxes and, after them, lanes, with the pieces of wire that join them. */
export class Layers {
  readonly boxes: number;
  readonly pieces: Piece[] = [];
  readonly before: number[][];
  /** What follows, with the share of its port, in steps. */
  readonly after: [number, number][][];

  constructor(readonly rank: number[]) {
    this.boxes = rank.length;
    this.before = rank.map(() => []);
    this.after = rank.map(() => []);
  }

  get count(): number {
    return this.rank.length;
  }

  /** A place where a wire passes a column. */
  addLane(rank: number): number {
    this.rank.push(rank);
    this.before.push([]);
    this.after.push([]);
    return this.rank.length - 1;
  }

  join(piece: Piece, ports: number): void {
    this.pieces.push(piece);
    this.before[piece.end].push(piece.start);
    this.after[piece.start].push([piece.end, Math.floor(((piece.port + 1) * STEP) / (ports + 1))]);
  }
}

const copied = (order: Order): Order => order.map((column) => column.slice());

/** The members of each column from top to bottom. */
export function ordered(layers: Layers): Order {
  const order = first(layers);
  let best = copied(order);
  let fewest = crossings(layers, order);
  let worse = 0;
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    if (fewest === 0 || worse >= PATIENCE) break;
    (sweep % 2 ? forth : back)(layers, order);
    const count = crossings(layers, order);
    worse = count < fewest ? 0 : worse + 1;
    if (count < fewest) {
      best = copied(order);
      fewest = count;
    }
  }
  if (fewest) exchange(layers, best);
  return best;
}

/** Columns as a walk from the last boxes back to the leaves meets their members: a tree has no crossing. */
function first(layers: Layers): Order {
  const columns = layers.rank.reduce((most, rank) => Math.max(most, rank), -1) + 1;
  const order: Order = Array.from({ length: columns }, () => []);
  const entering: [number, number][][] = layers.rank.map(() => []);
  for (const piece of layers.pieces) entering[piece.end].push([piece.port, piece.start]);
  for (const each of entering) each.sort((a, b) => b[0] - a[0] || b[1] - a[1]);
  const seen = new Uint8Array(layers.count);
  for (let root = 0; root < layers.count; root++) {
    const stack = layers.after[root].length ? [] : [root];
    while (stack.length) {
      const at = stack.pop() as number;
      if (seen[at]) continue;
      seen[at] = 1;
      order[layers.rank[at]].push(at);
      for (const [, start] of entering[at]) stack.push(start);
    }
  }
  return order;
}

/** The place of each member in its column. */
export function places(layers: Layers, order: Order): number[] {
  const place = new Array<number>(layers.count).fill(0);
  for (const column of order) column.forEach((member, index) => (place[member] = index));
  return place;
}

function forth(layers: Layers, order: Order): void {
  const place = places(layers, order);
  for (const column of order.slice(1)) {
    const keys = new Map<number, number>();
    for (const member of column) {
      const joined = layers.before[member];
      let total = 0;
      for (const start of joined) total += place[start];
      keys.set(member, joined.length ? total / joined.length : place[member]);
    }
    sort(column, keys, place);
  }
}

function back(layers: Layers, order: Order): void {
  const place = places(layers, order);
  for (const column of order.slice(0, -1).reverse()) {
    const keys = new Map<number, number>();
    for (const member of column) {
      const joined = layers.after[member];
      let total = 0;
      for (const [end, share] of joined) total += place[end] * STEP + share;
      keys.set(member, joined.length ? total / joined.length : place[member] * STEP);
    }
    sort(column, keys, place);
  }
}

function sort(column: number[], keys: ReadonlyMap<number, number>, place: number[]): void {
  column.sort((a, b) => (keys.get(a) as number) - (keys.get(b) as number));
  column.forEach((member, index) => (place[member] = index));
}

/** The first place in a sorted list behind everything that is not greater. */
function behind(sorted: readonly number[], x: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x < sorted[middle]) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** How many pairs of pieces cross. */
export function crossings(layers: Layers, order: Order): number {
  const place = places(layers, order);
  let total = 0;
  for (const column of order.slice(0, -1)) {
    const ends: number[] = [];
    for (const member of column) {
      const own = layers.after[member].map(([end, share]) => place[end] * STEP + share).sort((a, b) => a - b);
      for (const end of own) total += ends.length - behind(ends, end);
      for (const end of own) ends.splice(behind(ends, end), 0, end);
    }
  }
  return total;
}

/** Exchange neighbours while that removes crossings. */
function exchange(layers: Layers, order: Order): void {
  const place = places(layers, order);
  for (let round = 0; round < MOST_EXCHANGES; round++) {
    let changed = false;
    for (const column of order) {
      for (let index = 0; index < column.length - 1; index++) {
        const [upper, lower] = [column[index], column[index + 1]];
        if (gain(layers, place, upper, lower) <= 0) continue;
        [column[index], column[index + 1]] = [lower, upper];
        [place[upper], place[lower]] = [index + 1, index];
        changed = true;
      }
    }
    if (!changed) break;
  }
}

/** Crossings that go away when two neighbours are exchanged, less those that arise. */
function gain(layers: Layers, place: readonly number[], upper: number, lower: number): number {
  let found = 0;
  const [before, after] = [layers.before, layers.after];
  if (before[upper].length && before[lower].length) {
    found += balance(before[upper].map((x) => place[x]), before[lower].map((x) => place[x]));
  }
  if (after[upper].length && after[lower].length) {
    const ends = [upper, lower].map((each) => after[each].map(([end, share]) => place[end] * STEP + share));
    found += balance(ends[0], ends[1]);
  }
  return found;
}

/** Pairs that cross as they are, less those that would cross the other way round. */
function balance(above: readonly number[], below: readonly number[]): number {
  let found = 0;
  for (const a of above) for (const b of below) found += Number(a > b) - Number(a < b);
  return found;
}
