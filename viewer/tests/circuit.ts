/** Documents of small circuits for the tests, written as Python writes them. */

import type { Constants, Edges, GraphDocument, Kind, NumberEntry } from "../src/document";
import { VERSION } from "../src/document";

interface Spec {
  kind?: Kind;
  op?: string;
  label: string;
  formula?: string;
  value: NumberEntry;
  gradient?: NumberEntry;
  from?: number[];
  /** Where its inputs stand among those of the op; in order, unless a constant is among them. */
  at?: number[];
  locals?: number[];
  /** Constants by position. */
  constants?: Record<number, NumberEntry>;
}

const PATTERNS: Record<string, string> = { add: "add distributes", multiply: "multiply swaps" };

export function circuit(specs: readonly Spec[]): GraphDocument {
  const names = [...new Set(specs.flatMap((spec) => (spec.op ? [spec.op] : [])))];
  const column = <T>(of: (spec: Spec) => T): T[] => specs.map(of);
  const edges: Edges = { source: [], target: [], position: [] };
  const [contributions, locals]: [number[], number[]] = [[], []];
  specs.forEach((spec, target) =>
    (spec.from ?? []).forEach((source, place) => {
      edges.source.push(source);
      edges.target.push(target);
      edges.position.push(spec.at?.[place] ?? place);
      locals.push(spec.locals?.[place] ?? 1);
      contributions.push(Number(spec.gradient ?? 0) * (spec.locals?.[place] ?? 1));
    }),
  );
  const constants: Constants = { node: [], position: [], value: [] };
  specs.forEach((spec, node) => {
    for (const [position, value] of Object.entries(spec.constants ?? {})) {
      constants.node.push(node);
      constants.position.push(Number(position));
      constants.value.push(value);
    }
  });
  return {
    ...{ format: "adjoint-graph", version: VERSION, detail: "full", runs: [], findings: [], view: {} },
    graph: {
      count: specs.length,
      output: specs.length - 1,
      ops: names.map((name) => ({
        ...{ name, elementwise: true, stops: false },
        parts: null,
        pattern: PATTERNS[name] ? { en: PATTERNS[name], zh: PATTERNS[name] } : null,
      })),
      modules: [],
      files: ["a.py"],
      nodes: {
        kind: column((spec) => spec.kind ?? (spec.op ? "op" : "input")),
        op: column((spec) => (spec.op ? names.indexOf(spec.op) : -1)),
        name: column((spec) => (spec.label.startsWith("#") ? null : spec.label)),
        label: column((spec) => spec.label),
        caption: column((spec) => spec.op ?? ""),
        formula: column((spec) => spec.formula ?? ""),
        shape: column(() => []),
        dtype: column(() => "float64"),
        ...{ module: column(() => -1), file: column(() => 0), line: column(() => 1) },
      },
      edges,
      constants,
    },
    traces: [
      {
        title: "",
        values: column((spec) => spec.value),
        gradients: column((spec) => spec.gradient ?? null),
        states: column((spec) => (spec.gradient === undefined ? "none" : spec.gradient ? "value" : "zero")),
        ...{ contributions, locals },
      },
    ],
  };
}

/** f = (x + y) · z of the lecture: x = −2, y = 5, z = −4. */
export function product(): GraphDocument {
  return circuit([
    { label: "x", value: -2, gradient: -4 },
    { label: "y", value: 5, gradient: -4 },
    { label: "z", value: -4, gradient: 3 },
    { label: "q", op: "add", formula: "x + y", value: 3, gradient: -4, from: [0, 1], locals: [1, 1] },
    { label: "f", op: "multiply", formula: "q × z", value: -12, gradient: 1, from: [3, 2], locals: [-4, 3] },
  ]);
}

/** f = (2x + 1)², with constants in the gates, and x used twice in the end: f + x. */
export function constants(): GraphDocument {
  return circuit([
    { label: "x", value: 3, gradient: 29 },
    { label: "#1", op: "multiply", formula: "2 × x", constants: { 0: 2 }, value: 6, gradient: 14, from: [0], at: [1], locals: [2] },
    { label: "#2", op: "add", formula: "#1 + 1", constants: { 1: 1 }, value: 7, gradient: 14, from: [1], locals: [1] },
    { label: "#3", op: "power", formula: "#2²", constants: { 1: 2 }, value: 49, gradient: 1, from: [2], locals: [14] },
    { label: "f", op: "add", formula: "#3 + x", value: 52, gradient: 1, from: [3, 0], locals: [1, 1] },
  ]);
}
