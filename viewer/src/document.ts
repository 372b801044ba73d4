/**
 * The graph document as Python writes it (`src/adjoint/view/schema.json`): types, and how its entries are read.
 *
 * Nodes and edges are columns; a node is named by its place in recording order, so every edge goes from a lower number
 * to a higher. Numbers that JSON lacks are strings.
 */

export const VERSION = 2;

export type NumberEntry = number | string;

export interface Statistics {
  min?: NumberEntry;
  max?: NumberEntry;
  mean?: NumberEntry;
  std?: NumberEntry;
  zeros: number;
  infinite: number;
}

export interface Histogram {
  low: number;
  high: number;
  counts: number[];
}

export interface HeatMap {
  rows: number;
  columns: number;
  data: NumberEntry[];
}

export interface ArrayEntry {
  data?: (NumberEntry | boolean)[];
  statistics?: Statistics;
  histogram?: Histogram;
  map?: HeatMap;
}

export type Entry = null | boolean | NumberEntry | ArrayEntry;
export type Kind = "input" | "parameter" | "state" | "constant" | "op";
export type GradientState = "unknown" | "none" | "stopped" | "zero" | "value";

/** A sentence by language. */
export type Words = Record<"en" | "zh", string>;

export interface Op {
  name: string;
  elementwise: boolean;
  stops: boolean;
  /** How it hands its upstream gradient on; null where nothing short is to be said. */
  pattern: Words | null;
  /** What each of the gates that are drawn as one computes, in order; null of a single gate. */
  parts: Part[] | null;
}

export interface Part {
  op: string;
  inputs: Given[];
}

/** What a part is given: an input of the whole by position, the result of an earlier part, or a constant. */
export interface Given {
  input?: number;
  part?: number;
  constant?: NumberEntry;
}

export interface ModuleCall {
  path: string;
  type: string;
  parent: number;
}

export interface Nodes {
  kind: Kind[];
  op: number[];
  name: (string | null)[];
  label: string[];
  caption: string[];
  formula: string[];
  shape: number[][];
  dtype: string[];
  module: number[];
  file: number[];
  line: number[];
}

export interface Edges {
  source: number[];
  target: number[];
  position: number[];
}

/** Numbers that stand in gates in place of an input. */
export interface Constants {
  node: number[];
  position: number[];
  value: NumberEntry[];
}

export interface Graph {
  count: number;
  output: number;
  ops: Op[];
  modules: ModuleCall[];
  files: string[];
  nodes: Nodes;
  edges: Edges;
  constants: Constants;
}

export interface Trace {
  title: string;
  values: Entry[];
  gradients: Entry[];
  states: GradientState[];
  contributions: Entry[];
  locals: Entry[];
}

export interface Run {
  title: string;
  series: Record<string, NumberEntry[]>;
}

export interface Finding {
  kind: string;
  node: number;
  text: string;
  severity: "error" | "warning" | "note";
}

/** A label that the page leaves blank until the student has typed it. */
export interface Question {
  node: number;
  what: "value" | "gradient";
  tolerance: NumberEntry;
  /** What is shown after the answer. */
  rule: Words;
}

export interface ViewSettings {
  budget?: number;
  open?: string[];
  closed?: string[];
  digits?: number;
  quiz?: Question[];
}

export interface GraphDocument {
  format: "adjoint-graph";
  version: typeof VERSION;
  detail: "structure" | "statistics" | "histograms" | "full";
  graph: Graph;
  traces: Trace[];
  runs: Run[];
  findings: Finding[];
  view: ViewSettings;
}

const NAMED: Record<string, number> = { nan: NaN, inf: Infinity, "-inf": -Infinity };

/** A number of the document: strings are the ones that JSON has no numbers for. */
export function numeric(entry: NumberEntry | boolean): number {
  if (typeof entry === "string") return NAMED[entry] ?? Number(entry);
  return Number(entry);
}

/** All elements of an entry in C order; null of a summary, or where there is no entry. */
export function elements(entry: Entry | undefined): number[] | null {
  if (entry === null || entry === undefined) return null;
  if (typeof entry !== "object") return [numeric(entry)];
  return entry.data ? entry.data.map(numeric) : null;
}

/** The number of a scalar entry, or undefined. */
export function scalar(entry: Entry | undefined): number | undefined {
  return entry === null || entry === undefined || typeof entry === "object" ? undefined : numeric(entry);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** For every node the edges that leave it and those that enter it, the latter by position. */
export interface Wiring {
  leaving: number[][];
  entering: number[][];
}

const wirings = new WeakMap<Graph, Wiring>();

export function wiring(graph: Graph): Wiring {
  const known = wirings.get(graph);
  if (known) return known;
  const leaving: number[][] = Array.from({ length: graph.count }, () => []);
  const entering: number[][] = Array.from({ length: graph.count }, () => []);
  graph.edges.source.forEach((source, edge) => {
    leaving[source].push(edge);
    entering[graph.edges.target[edge]].push(edge);
  });
  for (const edges of entering) edges.sort((a, b) => graph.edges.position[a] - graph.edges.position[b]);
  const made = { leaving, entering };
  wirings.set(graph, made);
  return made;
}

/** The constants of a gate by position; a place without one is empty. Their column of nodes rises. */
export function constantsOf({ constants }: Graph, node: number): readonly number[] {
  let [low, high] = [0, constants.node.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (constants.node[middle] < node) low = middle + 1;
    else high = middle;
  }
  const found: number[] = [];
  for (; constants.node[low] === node; low++) found[constants.position[low]] = numeric(constants.value[low]);
  return found;
}

/** A document that was read from a file, of this version or the one before, which did not say what gates carry. */
export function current(made: GraphDocument): GraphDocument {
  if ((made.version as number) !== 1) return made;
  const ops = made.graph.ops.map((op) => ({ ...op, parts: null }));
  const graph = { ...made.graph, ops, constants: { node: [], position: [], value: [] } };
  return { ...made, version: VERSION, graph };
}

/** The op of a node by name; empty for a leaf. */
export function opName(graph: Graph, node: number): string {
  const op = graph.nodes.op[node];
  return op < 0 ? "" : graph.ops[op].name;
}

/** The one document without a node, for a page that is given its document later. */
export function emptyDocument(): GraphDocument {
  const nodes: Nodes = {
    ...{ kind: [], op: [], name: [], label: [], caption: [], formula: [] },
    ...{ shape: [], dtype: [], module: [], file: [], line: [] },
  };
  const edges = { source: [], target: [], position: [] };
  const constants = { node: [], position: [], value: [] };
  const graph = { count: 0, output: 0, ops: [], modules: [], files: [], nodes, edges, constants };
  const rest = { traces: [], runs: [], findings: [], view: {} };
  return { format: "adjoint-graph", version: VERSION, detail: "full", graph, ...rest };
}
