/**
 * The search: names, ops, shapes, numbers. All terms must hold.
 *
 * A term is `grad:>10`, `value:<=0.5`, `nan`, `op:exp`, `module:layers.0`, `shape:(64, 10)` or `64x10`, or a text that
 * is looked for in label, caption, op and module.
 */

import type { Entry, GraphDocument, Trace } from "./document";
import { elements, numeric, opName } from "./document";

type Test = (node: number) => boolean;

const COMPARISONS: Record<string, (x: number, y: number) => boolean> = {
  ">": (x, y) => x > y,
  ">=": (x, y) => x >= y,
  "<": (x, y) => x < y,
  "<=": (x, y) => x <= y,
  "=": (x, y) => x === y,
};

/** The nodes that fit, in recording order; of an empty query none. */
export function search(document: GraphDocument, trace: Trace | undefined, query: string): number[] {
  const terms = query.trim().match(/\w*:?\([^)]*\)|\S+/g) ?? [];
  if (!terms.length) return [];
  const tests = terms.map((term) => testOf(document, trace, term.toLowerCase()));
  const found: number[] = [];
  for (let node = 0; node < document.graph.count; node++) if (tests.every((test) => test(node))) found.push(node);
  return found;
}

function testOf(document: GraphDocument, trace: Trace | undefined, term: string): Test {
  const { graph } = document;
  const { nodes, modules } = graph;
  const comparison = /^(grad|gradient|value):(>=|<=|>|<|=)(-?[\d.]+(?:e[+-]?\d+)?)$/.exec(term);
  if (comparison) {
    const [, what, sign, text] = comparison;
    const column = what === "value" ? trace?.values : trace?.gradients;
    return (node) => extremes(column?.[node]).some((x) => COMPARISONS[sign](x, Number(text)));
  }
  if (term === "nan" || term === "inf") {
    return (node) => !isFinite(trace?.values[node]) || !isFinite(trace?.gradients[node]);
  }
  const shape = /^(?:shape:)?(\([\d, ]*\)|\d+(?:[x×]\d+)+)$/.exec(term);
  if (shape) {
    const wanted = (shape[1].match(/\d+/g) ?? []).join(",");
    return (node) => nodes.shape[node].join(",") === wanted;
  }
  const field = /^(op|module|name):(.+)$/.exec(term);
  const path = (node: number) => (nodes.module[node] < 0 ? "" : modules[nodes.module[node]].path);
  if (field) {
    const of = { op: (node: number) => opName(graph, node), module: path, name: (node: number) => nodes.label[node] };
    return (node) => of[field[1] as keyof typeof of](node).toLowerCase().includes(field[2]);
  }
  return (node) =>
    [nodes.label[node], nodes.caption[node], opName(graph, node), path(node)].some((each) =>
      each.toLowerCase().includes(term),
    );
}

/** The numbers by which an entry is found: all of a short one by size, the range of a summary; of a scalar itself. */
function extremes(entry: Entry | undefined): number[] {
  if (entry === null || entry === undefined) return [];
  if (typeof entry === "object" && !entry.data) {
    return [entry.statistics?.min, entry.statistics?.max].flatMap((x) => (x === undefined ? [] : [numeric(x)]));
  }
  return elements(entry) ?? [];
}

function isFinite(entry: Entry | undefined): boolean {
  if (entry === null || entry === undefined || typeof entry === "boolean") return true;
  if (typeof entry === "object" && !entry.data) return !entry.statistics?.infinite;
  return (elements(entry) ?? []).every(Number.isFinite);
}
