import fixture from "../../tests/view/recomputed.json?raw";
import { describe, expect, it } from "vitest";
import type { Entry, GraphDocument } from "../src/document";
import { current, scalar } from "../src/document";
import { scalarOp } from "../src/ops";
import { Circuit } from "../src/whatif";
import { constants } from "./circuit";

const FIXTURE = JSON.parse(fixture) as Record<"gates" | "groups", GraphDocument>;
const DIGITS = 1e-12; // relative: functions of two machines differ in the last bits

const numbers = (entries: readonly Entry[]) => entries.map((entry) => (entry === null ? null : scalar(entry)));

function differing(found: readonly Entry[], wanted: readonly Entry[]): string[] {
  const [a, b] = [numbers(found), numbers(wanted)];
  return b.flatMap((x, at) => {
    const y = a[at];
    if (typeof x !== "number" || typeof y !== "number") return x === y ? [] : [`${at}: ${y}, not ${x}`];
    const isClose = x === y || Object.is(x, y) || Math.abs(x - y) <= DIGITS * Math.max(Math.abs(x), Math.abs(y));
    return isClose ? [] : [`${at}: ${y}, not ${x}`];
  });
}

describe.each(Object.entries(FIXTURE))("%s computed in the page", (_, { graph, traces }) => {
  const circuit = Circuit.of(graph, traces[0]);

  it("are ops that the page has", () => {
    const names = graph.ops.flatMap(({ name, parts }) => (parts ? parts.map((part) => part.op) : [name]));
    expect(names.filter((name) => !scalarOp(name))).toEqual([]);
    expect(circuit).not.toBeNull();
  });

  it.each(traces.map((trace, place) => [place, trace] as const))("give Python's numbers at point %s", (_, trace) => {
    const edits = new Map<number, number>();
    graph.nodes.kind.forEach((kind, node) => kind === "input" && edits.set(node, scalar(trace.values[node]) as number));
    const found = (circuit as Circuit).retraced(edits);
    for (const column of ["values", "gradients", "contributions", "locals"] as const) {
      expect([column, differing(found[column], trace[column])]).toEqual([column, []]);
    }
    expect(found.states).toEqual(trace.states);
  });
});

it("an older document does not say what its gates carry, and is not computed", () => {
  const { graph, ...rest } = constants();
  const older = { ...rest, version: 1, graph: { ...graph, constants: undefined } } as unknown as GraphDocument;
  const made = current(older);
  expect([made.version, made.graph.constants.node, made.graph.ops[0].parts]).toEqual([2, [], null]);
  expect(Circuit.of(made.graph, made.traces[0])).toBeNull();
});
