/**
 * Which boxes of a document are seen: modules, repeats and long runs folded until a budget is kept.
 *
 * The twin of `fold.py`. A span is unbroken in recording order, so that every wire goes from an earlier box to a later.
 */

import type { Graph, GraphDocument, ModuleCall, ViewSettings } from "../document";

export const BUDGET = 250;
const FEWEST_REPEATS = 3;
const PIECES = 60;

/** What is drawn in one place; `node` is the node whose wire leaves it. */
export interface Box {
  kind: "gate" | "leaf" | "fold" | "stub";
  node: number;
  members: number[];
  key: string;
  title: string;
  about: string;
  repeats: number;
}

/** A wire between two boxes; `edge` is the edge of the document that it stands for, or -1 for several. */
export interface Arrow {
  source: number;
  target: number;
  port: number;
  edge: number;
}

type Item = Span | number;

/** Ops that stand together in recording order, and the spans within them. */
class Span {
  constructor(
    public key: string,
    public title = "",
    readonly about = "",
    readonly depth = 0,
    readonly repeats = 1,
    readonly items: Item[] = [],
  ) {}

  private held: number[] | undefined;

  /** The ops in it, in order. */
  nodes(): number[] {
    this.held ??= this.walk();
    return this.held;
  }

  private walk(): number[] {
    const found: number[] = [];
    const stack: Item[] = [this];
    while (stack.length) {
      const item = stack.pop() as Item;
      if (typeof item === "number") found.push(item);
      else for (let at = item.items.length - 1; at >= 0; at--) stack.push(item.items[at]);
    }
    return found;
  }
}

/** What depends on a graph alone and is asked for at every change of what is open. */
interface Known {
  spans: Span;
  leaves: number[];
  weight: number[];
  /** What each span shows when it is opened, by budget. */
  insides: Map<number, Map<Span, Item[]>>;
  /** Edges by target, then by position: their numbers, and their columns in this order. */
  edges: Record<"edge" | "source" | "target" | "position", Int32Array>;
  /** A number above all positions. */
  positions: number;
}

const known = new WeakMap<Graph, Known>();

function knownOf(graph: Graph): Known {
  const held = known.get(graph);
  if (held) return held;
  const { source, target, position } = graph.edges;
  const edge = Int32Array.from(source, (_, each) => each);
  edge.sort((a, b) => target[a] - target[b] || position[a] - position[b] || source[a] - source[b]);
  const sorted = (column: readonly number[]) => edge.map((each) => column[each]);
  const edges = { edge, source: sorted(source), target: sorted(target), position: sorted(position) };
  const positions = position.reduce((most, each) => Math.max(most, each), 0) + 2;
  const leaves = graph.nodes.kind.flatMap((kind, node) => (kind === "op" ? [] : [node]));
  const made = { spans: spans(graph), leaves, weight: weights(graph), insides: new Map(), edges, positions };
  known.set(graph, made);
  return made;
}

/** The ops of a document by call of module. */
function spans(graph: Graph): Span {
  const root = new Span("");
  const chains = new Map<number, number[]>([[-1, []]]);
  const open = [root];
  const calls = [-1];
  graph.nodes.kind.forEach((kind, node) => {
    if (kind !== "op") return;
    const chain = chainOf(graph.modules, graph.nodes.module[node], chains);
    let common = 0;
    while (common < Math.min(chain.length, calls.length - 1) && chain[common] === calls[common + 1]) common += 1;
    open.length = calls.length = common + 1;
    for (const call of chain.slice(common)) {
      const span = spanOf(graph.modules, call, open.length, node);
      open[open.length - 1].items.push(span);
      open.push(span);
      calls.push(call);
    }
    open[open.length - 1].items.push(node);
  });
  return root;
}

/** A call and those around it, the outermost first. */
function chainOf(modules: readonly ModuleCall[], call: number, known: Map<number, number[]>): number[] {
  const missing: number[] = [];
  for (let at = call; !known.has(at); at = modules[at].parent) missing.push(at);
  for (const each of missing.reverse()) known.set(each, [...(known.get(modules[each].parent) as number[]), each]);
  return known.get(call) as number[];
}

function spanOf(modules: readonly ModuleCall[], call: number, depth: number, node: number): Span {
  const { path, parent, type } = modules[call];
  const outer = parent < 0 ? "" : `${modules[parent].path}.`;
  const title = outer && path.startsWith(outer) ? path.slice(outer.length) : path;
  return new Span(`${path}@${node}`, title, type, depth);
}

type Rank = readonly [boolean, boolean, number, number];

function earlier(a: Rank, b: Rank): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return a[at] < b[at];
  return false;
}

/** Spans by rank, the first on top. */
class Heap {
  private readonly items: [Rank, Span][] = [];

  push(rank: Rank, span: Span): void {
    const items = this.items;
    let at = items.push([rank, span]) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!earlier(items[at][0], items[parent][0])) break;
      [items[at], items[parent]] = [items[parent], items[at]];
      at = parent;
    }
  }

  pop(): Span | undefined {
    const items = this.items;
    const top = items[0];
    const last = items.pop();
    if (!last || !items.length) return top?.[1];
    items[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < items.length && earlier(items[child][0], items[least][0])) least = child;
      }
      if (least === at) return top[1];
      [items[at], items[least]] = [items[least], items[at]];
      at = least;
    }
  }
}

/** The choice of what is open. */
class Folding {
  private readonly budget: number;
  private readonly open: ReadonlySet<string>;
  private readonly closed: ReadonlySet<string>;
  private readonly troubled: ReadonlySet<number>;
  private readonly weight: number[];

  constructor(private readonly graph: Graph, view: ViewSettings, found: readonly number[]) {
    this.budget = view.budget ?? BUDGET;
    this.open = new Set(view.open ?? []);
    this.closed = new Set(view.closed ?? []);
    this.troubled = troubled(graph, new Set(found));
    this.weight = knownOf(graph).weight;
  }

  /** What is seen of the ops, in order. */
  items(): Item[] {
    const root = knownOf(this.graph).spans;
    const opened = new Map<Span, Item[]>();
    const heap = new Heap();
    let [seen, count] = [1, 0];
    heap.push(this.rank(root, count), root);
    for (let span = heap.pop(); span; span = heap.pop()) {
      const inside = this.inside(span);
      const cost = inside.reduce<number>((sum, item) => sum + this.cost(item), 0) - 1;
      if (span.key && !this.opens(span, seen + cost)) continue;
      seen += cost;
      opened.set(span, inside);
      for (const item of inside) {
        if (typeof item === "number") continue;
        count += 1;
        heap.push(this.rank(item, count), item);
      }
    }
    return visible(root, opened);
  }

  private opens(span: Span, seen: number): boolean {
    if (this.closed.has(span.key) || this.open.has(span.key)) return this.open.has(span.key);
    return span.repeats === 1 && seen <= this.budget;
  }

  /** Those asked for first, then those where something is wrong, then from the outside in. */
  private rank(span: Span, count: number): Rank {
    const wrong = this.troubled.size > 0 && span.nodes().some((node) => this.troubled.has(node));
    return [!this.open.has(span.key), !wrong, span.depth, count];
  }

  private cost(item: Item): number {
    return typeof item === "number" ? this.weight[item] : 1;
  }

  /** What a span shows when it is opened; found once, so that the same span is the same object. */
  private inside(span: Span): Item[] {
    const { insides } = knownOf(this.graph);
    const held = insides.get(this.budget) ?? new Map<Span, Item[]>();
    insides.set(this.budget, held);
    const found = held.get(span) ?? this.divided(span);
    held.set(span, found);
    return found;
  }

  /** Its items, repeats as one; a long run in pieces, if it does not fit. */
  private divided(span: Span): Item[] {
    const items = span.repeats > 1 ? span.items : repeatsFolded(span, this.graph);
    const fewest = span.key ? PIECES : 2; // the whole cannot stay folded
    const cost = items.reduce<number>((sum, item) => sum + this.cost(item), 0);
    if (cost <= this.budget || items.length <= fewest) return items;
    const pieces = Math.max(Math.min(PIECES, Math.floor(this.budget / 2)), 2);
    const size = Math.ceil(items.length / pieces);
    const made: Item[] = [];
    for (let at = 0; at < items.length; at += size) made.push(piece(items.slice(at, at + size), span.depth + 1));
    return made;
  }
}

/** The ops where something was found, or that use a leaf where it was. */
function troubled(graph: Graph, found: ReadonlySet<number>): ReadonlySet<number> {
  if (!found.size) return found;
  const all = new Set(found);
  graph.edges.source.forEach((source, edge) => {
    if (found.has(source) && graph.nodes.kind[source] !== "op") all.add(graph.edges.target[edge]);
  });
  return all;
}

/** Boxes that an op brings along: itself, and the leaves that it is the first to use. */
function weights(graph: Graph): number[] {
  const weight = new Array<number>(graph.count).fill(1);
  const used = new Set<number>();
  graph.edges.source.forEach((source, edge) => {
    if (graph.nodes.kind[source] === "op" || used.has(source)) return;
    used.add(source);
    weight[graph.edges.target[edge]] += 1;
  });
  return weight;
}

function visible(root: Span, opened: ReadonlyMap<Span, Item[]>): Item[] {
  const found: Item[] = [];
  const stack: Item[] = [root];
  while (stack.length) {
    const item = stack.pop() as Item;
    const inside = typeof item === "number" ? undefined : opened.get(item);
    if (inside) for (let at = inside.length - 1; at >= 0; at--) stack.push(inside[at]);
    else found.push(item);
  }
  return found;
}

/** The items of a span, three or more neighbours of the same ops and shapes as one. */
function repeatsFolded(span: Span, graph: Graph): Item[] {
  const items: Item[] = [];
  let alike: Span[] = [];
  let last = "";
  const close = () => {
    if (alike.length >= FEWEST_REPEATS) items.push(repeated(alike, span.depth + 1));
    else items.push(...alike);
    alike = [];
  };
  for (const item of span.items) {
    const key = typeof item === "number" ? "" : signature(item, graph);
    if (alike.length && key !== last) close();
    last = key;
    if (typeof item === "number") items.push(item);
    else alike.push(item);
  }
  close();
  return items;
}

/** What two calls have in common that do the same to values of the same shapes. */
function signature(span: Span, graph: Graph): string {
  const { op, shape } = graph.nodes;
  return JSON.stringify([span.about, ...span.nodes().map((node) => [op[node], ...shape[node]])]);
}

function repeated(calls: Span[], depth: number): Span {
  const title = `${calls[0].title} … ${calls[calls.length - 1].title}`;
  return new Span(`${calls[0].key}×${calls.length}`, title, calls[0].about, depth, calls.length, calls);
}

function piece(items: Item[], depth: number): Span {
  const made = new Span("", "", "", depth, 1, items);
  const nodes = made.nodes();
  made.key = made.title = `#${nodes[0]}…#${nodes[nodes.length - 1]}`;
  return made;
}

// --- boxes and wires -------------------------------------------------------------------------------------------------

/** What is seen of a document, in an order in which every wire goes from a lower box to a higher. */
export function boxesOf(document: GraphDocument, view: ViewSettings = document.view): [Box[], Arrow[]] {
  const { graph, findings } = document;
  const ops = new Folding(graph, view, findings.map((finding) => finding.node)).items().map(box);
  const owner = owners(ops, graph.count);
  const users = onlyUsers(graph, owner);
  const inside = new Map<number, number[]>();
  const leaves: Box[] = [];
  for (const node of knownOf(graph).leaves) {
    const only = users[node];
    if (only >= 0 && ops[only].kind === "fold" && belongs(graph, node, ops[only])) {
      const held = inside.get(only);
      if (held) held.push(node);
      else inside.set(only, [node]);
    } else {
      leaves.push({ kind: "leaf", node, members: [node], key: "", title: "", about: "", repeats: 1 });
    }
  }
  const filled = ops.map((each, index) => {
    const own = inside.get(index);
    return own ? { ...each, members: own.concat(each.members) } : each;
  });
  const lastOf = (each: Box) => each.members[each.members.length - 1];
  const boxes = [...filled, ...leaves].sort((a, b) => lastOf(a) - lastOf(b));
  return [boxes, arrows(graph, boxes)];
}

const SEVERAL = -2;

/** For every node the box that alone uses it; below 0 where none does, or several. */
function onlyUsers(graph: Graph, owner: Int32Array): Int32Array {
  const users = new Int32Array(graph.count).fill(-1);
  const { source, target } = knownOf(graph).edges;
  for (let at = 0; at < source.length; at++) {
    const held = users[source[at]];
    const user = owner[target[at]];
    users[source[at]] = held === -1 || held === user ? user : SEVERAL;
  }
  return users;
}

/** Whether a leaf that only one folded box uses is part of it: what a module is given is not. */
function belongs(graph: Graph, leaf: number, fold: Box): boolean {
  const kind = graph.nodes.kind[leaf];
  return !fold.about || kind === "parameter" || kind === "state" || graph.nodes.module[leaf] >= 0;
}

function box(item: Item): Box {
  if (typeof item === "number") {
    return { kind: "gate", node: item, members: [item], key: "", title: "", about: "", repeats: 1 };
  }
  const members = item.nodes();
  const node = members[members.length - 1];
  return { kind: "fold", node, members, key: item.key, title: item.title, about: item.about, repeats: item.repeats };
}

/** For every node the place of the box that shows it. */
export function owners(boxes: readonly Box[], count: number): Int32Array {
  const owner = new Int32Array(count).fill(-1);
  boxes.forEach((each, index) => {
    if (each.kind !== "stub") for (const node of each.members) owner[node] = index;
  });
  return owner;
}

/** Wires between boxes; all between the same two are one where one of them is folded. */
function arrows(graph: Graph, boxes: readonly Box[]): Arrow[] {
  const owner = owners(boxes, graph.count);
  const { edges, positions } = knownOf(graph);
  const isGate = boxes.map((each) => each.kind === "gate");
  const found = new Map<number, Arrow>();
  for (let at = 0; at < edges.edge.length; at++) {
    const from = owner[edges.source[at]];
    const to = owner[edges.target[at]];
    if (from === to) continue;
    const place = isGate[to] ? edges.position[at] + 1 : 0;
    const key = (from * boxes.length + to) * positions + place;
    const held = found.get(key);
    if (held) held.edge = -1;
    else found.set(key, { source: from, target: to, port: 0, edge: edges.edge[at] });
  }
  const ports = new Array<number>(boxes.length).fill(0);
  return [...found.values()].map((arrow) => ({ ...arrow, port: ports[arrow.target]++ }));
}
