/**
 * Two documents on one graph: what only one of them has, and what both have with other numbers.
 *
 * Nodes belong together by name, and without one by what they compute from what; so the union has no cycle unless names
 * are used otherwise in the second document, and then they are left aside.
 */

import type { Entry, GraphDocument, Nodes, Trace } from "./document";
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
  const order = topological([...nodes.keys()], [...edges.values()].map(([from, to]) => [from, to]));
  if (!order) return null;
  const place = new Map(order.map((key, at) => [key, at]));
  const pairs = order.map((key) => nodes.get(key) as Both);
  const wires = [...edges.values()]
    .map(([from, to, position, both]) => ({ from: place.get(from) ?? 0, to: place.get(to) ?? 0, position, both }))
    .sort((a, b) => a.to - b.to || a.position - b.position || a.from - b.from);
  const output = place.get(keys.right[right.graph.output]) ?? order.length - 1;
  return assembled(left, right, pairs, wires, output);
}

/** Nodes in an order in which every edge rises, otherwise as they were given; null if there is a cycle. */
function topological(keys: readonly string[], edges: readonly (readonly [string, string])[]): string[] | null {
  const waiting = new Map(keys.map((key) => [key, 0]));
  const after = new Map<string, string[]>();
  for (const [from, to] of edges) {
    waiting.set(to, (waiting.get(to) ?? 0) + 1);
    after.set(from, [...(after.get(from) ?? []), to]);
  }
  const order = keys.filter((key) => !waiting.get(key));
  for (const key of order) {
    for (const to of after.get(key) ?? []) {
      const left = (waiting.get(to) ?? 0) - 1;
      waiting.set(to, left);
      if (!left) order.push(to);
    }
  }
  return order.length === keys.length ? order : null;
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
  const ops = [...left.graph.ops, ...right.graph.ops];
  const column = <K extends keyof Nodes>(name: K): Nodes[K] =>
    pairs.map((pair) =>
      pair.right >= 0 ? right.graph.nodes[name][pair.right] : left.graph.nodes[name][pair.left],
    ) as Nodes[K];
  const op = pairs.map((pair) => {
    if (pair.right < 0) return left.graph.nodes.op[pair.left];
    const own = right.graph.nodes.op[pair.right];
    return own < 0 ? -1 : own + left.graph.ops.length;
  });
  const nodes: Nodes = {
    ...{ kind: column("kind"), name: column("name"), label: column("label"), caption: column("caption") },
    ...{ formula: column("formula"), shape: column("shape"), dtype: column("dtype"), line: column("line"), op },
    ...{ module: pairs.map(() => -1), file: pairs.map(() => -1) },
  };
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
  const graph = { count: pairs.length, output, ops, modules: [], files: [], nodes, edges };
  return {
    document: { ...right, graph, findings: [], view: {}, traces: lastLeft && lastRight ? [trace] : [] },
    status: pairs.map((pair) => statusOf(pair, lastLeft, lastRight)),
    left: pairs.map((pair) => pair.left),
    right: pairs.map((pair) => pair.right),
  };
}

function statusOf(pair: Both, left: Trace | undefined, right: Trace | undefined): Status {
  if (pair.right < 0) return "onlyLeft";
  if (pair.left < 0) return "onlyRight";
  const differs = (["values", "gradients", "states"] as const).some(
    (name) => JSON.stringify(left?.[name][pair.left]) !== JSON.stringify(right?.[name][pair.right]),
  );
  return differs ? "changed" : "same";
}
