/**
 * The layers of a network, read from its gates: a product with a leaf of weights, a bias, an activation.
 *
 * Names are those of the lecture: a 2-layer network has one hidden layer; a layer is counted by its weights.
 */

import type { Graph, Trace } from "./document";
import { elements, opName, wiring } from "./document";

export interface Layer {
  inputs: number;
  units: number;
  product: number;
  /** The leaf of weights, and whether its rows are the units, as in W @ x. */
  weights: number;
  rowsAreUnits: boolean;
  /** What goes in, the leaf of biases or -1, the sum before the activation, and what comes out. */
  input: number;
  bias: number;
  before: number;
  after: number;
  activation: string;
}

const PASSING: readonly string[] = ["cast", "transpose", "mT", "identity", "reshape"];
const ACTIVATIONS: readonly string[] = ["relu", "sigmoid", "tanh", "leaky_relu", "elu", "softplus"];

const known = new WeakMap<Graph, Layer[]>();

export function layersOf(graph: Graph): Layer[] {
  const held = known.get(graph) ?? readLayers(graph);
  known.set(graph, held);
  return held;
}

function readLayers(graph: Graph): Layer[] {
  const found: Layer[] = [];
  for (let node = 0; node < graph.count; node++) {
    const layer = opName(graph, node) === "matmul" ? layerOf(graph, node) : null;
    if (layer) found.push(layer);
  }
  return found;
}

function layerOf(graph: Graph, node: number): Layer | null {
  const edges = wiring(graph).entering[node];
  if (edges.length !== 2) return null;
  const sides = edges.map((edge) => rootOf(graph, graph.edges.source[edge]));
  const isWeights = (at: number) =>
    graph.nodes.kind[sides[at].node] !== "op" && graph.nodes.shape[sides[at].node].length === 2;
  const isParameter = (at: number) => graph.nodes.kind[sides[at].node] === "parameter";
  const at = [1, 0].find((each) => isWeights(each) && isParameter(each)) ?? [0, 1].find(isWeights);
  if (at === undefined) return null;
  const weights = sides[at].node;
  const rowsAreUnits = (at === 0) !== sides[at].turned;
  const [down, across] = graph.nodes.shape[weights];
  const [inputs, units] = rowsAreUnits ? [across, down] : [down, across];
  const bias = biasOf(graph, node);
  const before = bias?.node ?? node;
  const next = users(graph, before).find((user) => ACTIVATIONS.includes(opName(graph, user)));
  return {
    ...{ inputs, units, product: node, weights, rowsAreUnits, input: graph.edges.source[edges[1 - at]] },
    ...{ bias: bias?.leaf ?? -1, before, after: next ?? before },
    activation: next === undefined ? "" : opName(graph, next),
  };
}

/** Where a value comes from, past what only moves it, and whether it was transposed on the way. */
function rootOf(graph: Graph, node: number): { node: number; turned: boolean } {
  let [at, turned] = [node, false];
  while (PASSING.includes(opName(graph, at)) && wiring(graph).entering[at].length === 1) {
    if (opName(graph, at) === "transpose" || opName(graph, at) === "mT") turned = !turned;
    at = graph.edges.source[wiring(graph).entering[at][0]];
  }
  return { node: at, turned };
}

function users(graph: Graph, node: number): number[] {
  return wiring(graph).leaving[node].map((edge) => graph.edges.target[edge]);
}

function biasOf(graph: Graph, node: number): { node: number; leaf: number } | null {
  for (const user of users(graph, node)) {
    if (opName(graph, user) !== "add") continue;
    for (const edge of wiring(graph).entering[user]) {
      const leaf = graph.edges.source[edge];
      if (leaf !== node && graph.nodes.kind[leaf] !== "op" && graph.nodes.shape[leaf].length <= 1) {
        return { node: user, leaf };
      }
    }
  }
  return null;
}

/** One neuron on the first sample: what comes in, its weights, bias, sum and output; null where it is not written. */
export interface Neuron {
  inputs: number[];
  weights: number[];
  bias: number | null;
  sum: number | null;
  output: number | null;
}

export function neuron(trace: Trace | undefined, layer: Layer, unit: number): Neuron | null {
  const values = (node: number) => (node < 0 ? null : elements(trace?.values[node]));
  const weights = values(layer.weights);
  if (!weights) return null;
  const own = Array.from({ length: layer.inputs }, (_, input) =>
    layer.rowsAreUnits ? weights[unit * layer.inputs + input] : weights[input * layer.units + unit],
  );
  return {
    inputs: values(layer.input)?.slice(0, layer.inputs) ?? [],
    weights: own,
    bias: values(layer.bias)?.[unit] ?? null,
    sum: values(layer.before)?.[unit] ?? null,
    output: values(layer.after)?.[unit] ?? null,
  };
}
