/**
 * Two documents on one graph: what only one of them has, and what both have with other numbers.
 *
 * Nodes belong together by name, and without one by what they compute from what; so the union has no cycle unless names
 * are used otherwise in the second document, and then they are left aside.
 */

import type { Constants, Entry, Graph, GraphDocument, ModuleCall, Nodes, NumberEntry, Trace } from "./document";
import { opName, wiring } from "./document";

export type Status = "same" | "changed" | "onlyLeft" | "onlyRight";

export interface Compared {
  /** Both graphs as one, with the numbers of the right where it has the node. */
  document: GraphDocument;
  status: Status[];
  /** For every node of the union its number on the left and on the right, or -1. */
  left: number[];
  right: number[];
}

export function compared(left: GraphDocument, right: GraphDocument): Compared {
  return united(left, right, true) ?? (united(left, right, false) as Compared);
}

/** A key for every node: its name, or what it computes; equal keys are told apart by their order. */
function keysOf({ graph }: GraphDocument, byName: boolean): string[] {
  const { entering } = wiring(graph);
  const met = new Map<string, number>();
  const keys: string[] = [];
  for (let node = 0; node < graph.count; node++) {
    const { kind, name, label, shape, caption } = graph.nodes;
    const inputs = () => entering[node].map((edge) => `${graph.edges.position[edge]}${keys[graph.edges.source[edge]]}`);
    const own = kind[node] === "op" ? "op" : "leaf";
    const text =
      name[node] !== null && (byName || own === "leaf")
        ? `${own} ${name[node]}`
        : own === "leaf"
          ? `leaf ${label[node].replace(/#\d+$/, "")} ${shape[node]}`
          : `${opName(graph, node)} ${caption[node]}(${inputs().join(",")})`;
    const key = shortKey(text);
    met.set(key, (met.get(key) ?? 0) + 1);
    keys.push(`${key}~${met.get(key)}`);
  }
  return keys;
}

/** A text of bounded length that stands for a text: keys of keys would double with every gate. */
function shortKey(text: string): string {
  if (text.length < 80) return text;
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    [a, b] = [Math.imul(a ^ code, 2654435761), Math.imul(b ^ code, 1597334677)];
  }
  return `${text.slice(0, 24)}…${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}

interface Both {
  left: number;
  right: number;
}

/** The union in an order in which every edge rises; null if there is none. */
function united(left: GraphDocument, right: GraphDocument, byName: boolean): Compared | null {
  const nodes = new Map<string, Both>();
  const keys = { left: keysOf(left, byName), right: keysOf(right, byName) };
  keys.left.forEach((key, node) => nodes.set(key, { left: node, right: -1 }));
  keys.right.forEach((key, node) => nodes.set(key, { left: nodes.get(key)?.left ?? -1, right: node }));
  const edges = new Map<string, [string, string, number, Both]>();
  for (const side of ["left", "right"] as const) {
    const { source, target, position } = (side === "left" ? left : right).graph.edges;
    source.forEach((from, edge) => {
      const ends = [keys[side][from], keys[side][target[edge]]] as const;
      const key = JSON.stringify([...ends, position[edge]]);
      const known = edges.get(key)?.[3] ?? { left: -1, right: -1 };
      edges.set(key, [...ends, position[edge], { ...known, [side]: edge }]);
    });
  }
  const order = topological(inTime(nodes), [...edges.values()]);
  if (!order) return null;
  const place = new Map(order.map((key, at) => [key, at]));
  const pairs = order.map((key) => nodes.get(key) as Both);
  const wires = [...edges.values()]
    .map(([from, to, position, both]) => ({ from: place.get(from) ?? 0, to: place.get(to) ?? 0, position, both }))
    .sort((a, b) => a.to - b.to || a.position - b.position || a.from - b.from);
  const output = place.get(keys.right[right.graph.output]) ?? order.length - 1;
  return assembled(left, right, pairs, wires, output);
}

/** Nodes as the right recorded them; what only the left has stands behind what it had before itself. */
function inTime(nodes: ReadonlyMap<string, Both>): string[] {
  let last = -1;
  const times = new Map<string, number>();
  for (const [key, { right }] of nodes) {
    if (right >= 0) last = right;
    times.set(key, right >= 0 ? right : last + 0.5);
  }
  const time = (key: string) => times.get(key) as number;
  return [...nodes.keys()].sort((a, b) => time(a) - time(b));
}

/** Nodes in an order in which every edge rises, otherwise as they were given; null if there is a cycle. */
function topological(keys: readonly string[], edges: readonly (readonly [string, string, ...unknown[]])[]): string[] | null {
  const inputs = new Map<string, string[]>(keys.map((key) => [key, []]));
  for (const [from, to] of edges) inputs.get(to)?.push(from);
  const order: string[] = [];
  const isDone = new Map<string, boolean>(); // false while its inputs are still awaited
  const stack = keys.slice().reverse();
  while (stack.length) {
    const key = stack[stack.length - 1];
    const waits = isDone.has(key) ? [] : (inputs.get(key) as string[]).filter((input) => !isDone.get(input));
    if (waits.some((input) => isDone.has(input))) return null;
    if (!isDone.get(key) && !waits.length) order.push(key);
    if (waits.length) isDone.set(key, false);
    else isDone.set(stack.pop() as string, true);
    stack.push(...waits);
  }
  return order;
}

interface Wire {
  from: number;
  to: number;
  position: number;
  both: Both;
}

function assembled(
  left: GraphDocument,
  right: GraphDocument,
  pairs: readonly Both[],
  wires: readonly Wire[],
  output: number,
): Compared {
  const [lastLeft, lastRight] = [left, right].map((each) => each.traces[each.traces.length - 1]) as [Trace?, Trace?];
  const nodes = nodesOf(left.graph, right.graph, pairs);
  const [modules, module] = modulesOf(left.graph, right.graph, pairs);
  const edges = {
    source: wires.map((wire) => wire.from),
    target: wires.map((wire) => wire.to),
    position: wires.map((wire) => wire.position),
  };
  const of = <T>(both: Both, name: "values" | "gradients" | "states" | "contributions" | "locals", other: T): T => {
    const found = both.right >= 0 ? lastRight?.[name][both.right] : lastLeft?.[name][both.left];
    return (found ?? other) as T;
  };
  const trace: Trace = {
    title: "",
    values: pairs.map((pair) => of<Entry>(pair, "values", NaN)),
    gradients: pairs.map((pair) => of<Entry>(pair, "gradients", null)),
    states: pairs.map((pair) => of<Trace["states"][number]>(pair, "states", "unknown")),
    contributions: wires.map((wire) => of<Entry>(wire.both, "contributions", null)),
    locals: wires.map((wire) => of<Entry>(wire.both, "locals", null)),
  };
  const graph: Graph = {
    ...{ count: pairs.length, output, modules, files: [], nodes: { ...nodes, module }, edges },
    ...{ ops: [...left.graph.ops, ...right.graph.ops], constants: constantsOf(left.graph, right.graph, pairs) },
  };
  return {
    document: { ...right, graph, findings: [], view: {}, traces: lastLeft && lastRight ? [trace] : [] },
    status: pairs.map((pair) => statusOf(pair, lastLeft, lastRight)),
    left: pairs.map((pair) => pair.left),
    right: pairs.map((pair) => pair.right),
  };
}

function nodesOf(left: Graph, right: Graph, pairs: readonly Both[]): Nodes {
  const column = <K extends keyof Nodes>(name: K): Nodes[K] =>
    pairs.map((pair) => (pair.right >= 0 ? right.nodes[name][pair.right] : left.nodes[name][pair.left])) as Nodes[K];
  const op = pairs.map((pair) => {
    if (pair.right < 0) return left.nodes.op[pair.left];
    const own = right.nodes.op[pair.right];
    return own < 0 ? -1 : own + left.ops.length;
  });
  return {
    ...{ kind: column("kind"), name: column("name"), label: column("label"), caption: column("caption") },
    ...{ formula: column("formula"), shape: column("shape"), dtype: column("dtype"), line: column("line"), op },
    ...{ module: column("module"), file: pairs.map(() => -1) },
  };
}

/** A call of a module by its path, and the how-manieth of that path it is. */
function callKeys(modules: readonly ModuleCall[]): string[] {
  const met = new Map<string, number>();
  return modules.map(({ path }) => {
    met.set(path, (met.get(path) ?? 0) + 1);
    return `${path}~${met.get(path)}`;
  });
}

/** The calls of both, and for every node its own: those of the right, then those that only the left has. */
function modulesOf(left: Graph, right: Graph, pairs: readonly Both[]): [ModuleCall[], number[]] {
  const modules = right.modules.slice();
  const known = new Map(callKeys(right.modules).map((key, place) => [key, place]));
  const place: number[] = [];
  callKeys(left.modules).forEach((key, at) => {
    const { path, type, parent } = left.modules[at];
    const found = known.get(key);
    place.push(found ?? modules.push({ path, type, parent: parent < 0 ? -1 : place[parent] }) - 1);
  });
  const leftOf = (node: number) => place[left.nodes.module[node]] ?? -1;
  return [modules, pairs.map((pair) => (pair.right < 0 ? leftOf(pair.left) : right.nodes.module[pair.right]))];
}

function constantsOf(left: Graph, right: Graph, pairs: readonly Both[]): Constants {
  const found: [number, number, NumberEntry][] = [];
  for (const side of ["left", "right"] as const) {
    const { node, position, value } = (side === "left" ? left : right).constants;
    const place = new Map(pairs.map((pair, at) => [side === "right" || pair.right < 0 ? pair[side] : -1, at]));
    node.forEach((of, at) => {
      const own = place.get(of);
      if (own !== undefined) found.push([own, position[at], value[at]]);
    });
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return { node: found.map(([node]) => node), position: found.map(([, at]) => at), value: found.map(([, , x]) => x) };
}

function statusOf(pair: Both, left: Trace | undefined, right: Trace | undefined): Status {
  if (pair.right < 0) return "onlyLeft";
  if (pair.left < 0) return "onlyRight";
  const differs = (["values", "gradients", "states"] as const).some(
    (name) => JSON.stringify(left?.[name][pair.left]) !== JSON.stringify(right?.[name][pair.right]),
  );
  return differs ? "changed" : "same";
}
