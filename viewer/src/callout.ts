/**
 * What happens at a gate, as data: upstream × local = downstream for each input, formula first, then numbers.
 *
 * Of an elementwise gate the local gradient is a formula; of a tensor gate the rule is an equation of shapes.
 */

import { constantsOf, opName, wiring } from "./document";
import { localFormula } from "./formulas";
import { shapeText } from "./picture/digits";
import type { Store } from "./store";
import type { Key } from "./strings";
import { labelOf, spoken } from "./words";

/** What goes back along one wire into the gate; texts are empty where nothing is known. */
export interface Row {
  edge: number;
  node: number;
  label: string;
  formula: string;
  upstream: string;
  local: string;
  downstream: string;
}

export interface Callout {
  node: number;
  /** What the lecture says of the gate; empty where it says nothing. */
  pattern: string;
  rows: Row[];
  /** Equations of shapes of a tensor gate, one for each input. */
  equations: string[];
}

export function callout(store: Store, node: number): Callout {
  const { graph } = store.document.value;
  const { figures } = store.picture.value;
  const name = opName(graph, node);
  const entering = wiring(graph).entering[node];
  const labels: (string | undefined)[] = [];
  constantsOf(graph, node).forEach((x, place) => (labels[place] = String(x).replace("-", "−")));
  for (const edge of entering) labels[graph.edges.position[edge]] = labelOf(store, graph.edges.source[edge]);
  const hidden = store.isHidden(node, "gradient");
  const asks = store.asks.value;
  const rows = entering.map((edge): Row => {
    const source = graph.edges.source[edge];
    const place = graph.edges.position[edge];
    const said = (held: Parameters<typeof figures.figure>[0] | undefined, of: number) =>
      held === null || held === undefined ? "" : spoken(figures.figure(held, of));
    const trace = figures.trace;
    const secret = store.isHidden(source, "gradient");
    return {
      ...{ edge, node: source, label: labelOf(store, source) },
      formula: filled(localFormula(name, place), labels, labelOf(store, node)),
      upstream: hidden ? "?" : said(trace?.gradients[node], node),
      local: said(asks && trace ? null : trace?.locals[edge], node) || (asks ? "?" : ""),
      downstream: secret ? "?" : said(trace?.contributions[edge], source),
    };
  });
  const gate = graph.ops[graph.nodes.op[node]];
  const isTensor = !gate?.elementwise;
  const equations = isTensor ? rows.map((row, place) => equation(store, node, row, place, rows)) : [];
  return { node, pattern: gate?.pattern?.[store.language.value] ?? "", rows, equations };
}

/** A formula with the labels of its inputs, and the constants at places that no wire takes. */
function filled(formula: string, labels: readonly (string | undefined)[], out: string): string {
  return formula.replace(/\{(out|\d)\}/g, (_, key: string) => (key === "out" ? out : (labels[Number(key)] ?? "c")));
}

/** Whether the formula of a local gradient is its number already. */
export function isNumber({ formula, local }: Row): boolean {
  return formula !== "" && Number(formula.replace("−", "-")) === Number(local);
}

const EQUATIONS: Record<string, Key> = {
  sum: "equationSpread",
  mean: "equationMean",
  broadcast_to: "equationSum",
  reshape: "equationReshape",
  transpose: "equationTranspose",
  mT: "equationTranspose",
  getitem: "equationPlace",
  take: "equationPlace",
  concatenate: "equationPart",
  stack: "equationPart",
  max: "equationWinner",
  min: "equationWinner",
  softmax_cross_entropy: "equationSoftmax",
  stop_gradient: "equationStop",
};

/** How the gradient of one input is made of that of the output, with the shapes below. */
function equation(store: Store, node: number, row: Row, place: number, rows: readonly Row[]): string {
  const { graph } = store.document.value;
  const shape = (of: number) => shapeText(graph.nodes.shape[of]);
  const [down, up] = [`d${row.label}`, `d${labelOf(store, node)}`];
  const name = opName(graph, node);
  if (name === "matmul" && rows.length === 2) {
    const other = rows[1 - place];
    const factors = place === 0 ? [up, `${other.label}ᵀ`] : [`${other.label}ᵀ`, up];
    const turned = shapeText(graph.nodes.shape[other.node].slice().reverse());
    const shapes = place === 0 ? [shape(node), turned] : [turned, shape(node)];
    return `${down} = ${factors.join(" · ")}    ${shape(row.node)} = ${shapes.join(" · ")}`;
  }
  return store.t(EQUATIONS[name] ?? "equationOther", down, up, shape(row.node), row.label);
}
