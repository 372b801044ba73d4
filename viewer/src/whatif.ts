/**
 * A circuit of numbers computed anew in the page: what if a leaf had another value, and what a wiggle of it does.
 *
 * Invariant. A `Circuit` exists only if the page, from the leaves of the document, finds the values that Python found;
 * so nobody is ever shown a number that the library would not have printed.
 */

import type { Graph, Trace } from "./document";
import { constantsOf, scalar, wiring } from "./document";
import type { ScalarOp } from "./ops";
import { scalarOp } from "./ops";
import { whole } from "./parts";

const LARGEST = 400; // nodes
const CLOSE = 1e-9;

/** Inputs of a gate in order: the node or the constant at each place, with the edge that brings it, or -1. */
interface Input {
  node: number;
  edge: number;
  constant: number;
}

interface Gate {
  node: number;
  op: ScalarOp;
  inputs: Input[];
}

/** A value moved at one place: of a node, or only as one edge brings it into its gate. */
export interface Bump {
  node?: number;
  edge?: number;
  by: number;
}

export class Circuit {
  private constructor(
    private readonly graph: Graph,
    private readonly trace: Trace,
    private readonly gates: readonly Gate[],
    readonly recorded: readonly number[],
  ) {}

  /** The circuit of a trace; null where something in it is no number, or where the page computes something else. */
  static of(graph: Graph, trace: Trace | undefined): Circuit | null {
    if (!trace || graph.count > LARGEST || graph.count === 0) return null;
    const recorded = trace.values.map((entry) => (typeof entry === "boolean" ? Number(entry) : scalar(entry)));
    if (graph.nodes.shape.some((shape) => shape.length) || recorded.includes(undefined)) return null;
    const values = recorded as number[];
    const gates: Gate[] = [];
    for (let node = 0; node < graph.count; node++) {
      if (graph.nodes.kind[node] !== "op") continue;
      const gate = gateOf(graph, node, values);
      if (!gate) return null;
      gates.push(gate);
    }
    return new Circuit(graph, trace, gates, values);
  }

  /** All values, with some leaves set to others, and one value moved. */
  values(edits: ReadonlyMap<number, number>, bump?: Bump): number[] {
    const values = this.recorded.slice();
    for (const [node, value] of edits) values[node] = value;
    const move = (node: number) => {
      if (bump?.node === node) values[node] += bump.by;
    };
    values.forEach((_, node) => this.graph.nodes.kind[node] !== "op" && move(node));
    for (const { node, op, inputs } of this.gates) {
      values[node] = op.forward(
        ...inputs.map((input) => {
          const value = input.node < 0 ? input.constant : values[input.node];
          return bump && bump.edge !== undefined && bump.edge === input.edge ? value + bump.by : value;
        }),
      );
      move(node);
    }
    return values;
  }

  /** How the output changes when one value is moved, everything else kept. */
  change(edits: ReadonlyMap<number, number>, bump: Bump): number {
    const output = this.graph.output;
    return this.values(edits, bump)[output] - this.values(edits)[output];
  }

  /** The slope by central differences: what the gradient of a node claims, or the term of one edge. */
  slope(edits: ReadonlyMap<number, number>, place: Omit<Bump, "by">): number {
    const node = place.node ?? this.graph.edges.source[place.edge ?? 0];
    const at = this.values(edits)[node];
    const h = 1e-6 * Math.max(1, Math.abs(at));
    const output = this.graph.output;
    const [up, down] = [h, -h].map((by) => this.values(edits, { ...place, by })[output]);
    return (up - down) / (2 * h);
  }

  /** The trace of other leaves: where Python found no gradient there is none here. */
  retraced(edits: ReadonlyMap<number, number>): Trace {
    const { trace, graph } = this;
    const values = this.values(edits);
    const flows = (edge: number) => trace.contributions[edge] !== null;
    const gradients = new Array<number>(graph.count).fill(0);
    const contributions = new Array<number | null>(graph.edges.source.length).fill(null);
    const locals = contributions.slice();
    gradients[graph.output] = scalar(trace.gradients[graph.output]) ?? 0;
    for (let at = this.gates.length - 1; at >= 0; at--) {
      const { node, op, inputs } = this.gates[at];
      const given = inputs.map((input) => (input.node < 0 ? input.constant : values[input.node]));
      const active = inputs.map((input) => input.edge >= 0 && trace.locals[input.edge] !== null);
      inputs.forEach(({ node: source, edge }, place) => {
        if (edge < 0 || trace.locals[edge] === null) return;
        const local = (locals[edge] = op.locals[place](given, values[node], active));
        if (!flows(edge)) return;
        const product = (contributions[edge] = gradients[node] * local);
        gradients[source] += product;
      });
    }
    const known = (node: number) => trace.states[node] === "value" || trace.states[node] === "zero";
    const states = trace.states.map((state, node) => (known(node) ? (gradients[node] !== 0 ? "value" : "zero") : state));
    const shown = gradients.map((gradient, node) => (known(node) ? gradient : null));
    return { title: trace.title, values, gradients: shown, states, contributions, locals };
  }
}

/** A gate with the constants that it carries, if it then gives the value that was recorded. */
function gateOf(graph: Graph, node: number, recorded: readonly number[]): Gate | null {
  const edges = wiring(graph).entering[node];
  const { name, parts } = graph.ops[graph.nodes.op[node]];
  const op = parts ? whole(parts, edges.length) : scalarOp(name);
  if (!op) return null;
  const constants = constantsOf(graph, node);
  const inputs = op.locals.map((_, place): Input => ({ node: -1, edge: -1, constant: constants[place] ?? NaN }));
  for (const edge of edges) {
    const place = graph.edges.position[edge];
    if (place >= inputs.length) return null;
    inputs[place] = { node: graph.edges.source[edge], edge, constant: NaN };
  }
  const isGiven = inputs.every((each, place) => each.node >= 0 || constants[place] !== undefined);
  const given = inputs.map((each) => (each.node < 0 ? each.constant : recorded[each.node]));
  return isGiven && isClose(op.forward(...given), recorded[node]) ? { node, op, inputs } : null;
}

function isClose(a: number, b: number): boolean {
  return Object.is(a, b) || a === b || Math.abs(a - b) <= CLOSE * Math.max(Math.abs(a), Math.abs(b));
}
