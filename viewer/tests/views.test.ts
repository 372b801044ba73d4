import { describe, expect, it } from "vitest";
import { written, read } from "../src/address";
import { compared } from "../src/compare";
import { origins } from "../src/graph/history";
import { bytes, jacobian, sourceOf } from "../src/jacobian";
import { layersOf, neuron } from "../src/network";
import { isRight, typedNumbers } from "../src/quiz";
import { createStore } from "../src/store";
import { circuit, constants, product } from "./circuit";

describe("two documents on one graph", () => {
  it("tells what only one has and what has other numbers", () => {
    const right = product();
    right.traces[0].values[2] = -5;
    right.graph.nodes.label[1] = right.graph.nodes.name[1] = "other";
    const made = compared(product(), right);
    const told = Object.fromEntries(made.document.graph.nodes.label.map((label, node) => [label, made.status[node]]));
    expect(told).toEqual({ x: "same", y: "onlyLeft", other: "onlyRight", z: "changed", q: "same", f: "same" });
    const { source, target } = made.document.graph.edges;
    source.forEach((from, edge) => expect(from).toBeLessThan(target[edge]));
  });

  it("finds no difference between equal documents", () => {
    expect(new Set(compared(product(), product()).status)).toEqual(new Set(["same"]));
  });

  it("keeps modules, so that the union folds as its graphs do", () => {
    const within = (name: string, last: string) => {
      const made = product();
      made.graph.modules = [{ path: "net", type: "Net", parent: -1 }, { path: `net.${name}`, type: "Linear", parent: 0 }];
      made.graph.nodes.module = [-1, -1, -1, 1, 0];
      made.graph.nodes.label[4] = made.graph.nodes.name[4] = last;
      return made;
    };
    const { graph } = compared(within("a", "f"), within("b", "g")).document;
    expect(graph.modules.map(({ path, parent }) => [path, parent])).toEqual([["net", -1], ["net.b", 0], ["net.a", 0]]);
    const call = Object.fromEntries(graph.nodes.label.map((label, node) => [label, graph.nodes.module[node]]));
    expect(call).toEqual({ x: -1, y: -1, z: -1, q: 1, f: 0, g: 0 });
  });

  it("keeps what gates carry", () => {
    const { graph } = compared(constants(), constants()).document;
    expect(graph.constants).toEqual({ node: [1, 2, 3], position: [0, 1, 1], value: [2, 1, 2] });
    expect(compared(product(), constants()).document.graph.constants.value.slice().sort()).toEqual([1, 2, 2]);
  });

  it("leaves names aside where they would make a cycle", () => {
    const chain = (first: string, second: string) =>
      circuit([
        { label: "x", value: 1 },
        { label: first, op: "exp", formula: "exp(x)", value: 1, from: [0] },
        { label: second, op: "exp", formula: "exp", value: 1, from: [1] },
      ]);
    expect(compared(chain("a", "b"), chain("b", "a")).document.graph.count).toBe(3);
  });
});

describe("the local Jacobian", () => {
  const gate = (op: string, out: number[], shapes: number[][], values: number[][]) => {
    const made = circuit([
      ...shapes.map((_, at) => ({ label: `x${at}`, value: 0, gradient: 1 })),
      { label: "f", op, value: 0, gradient: 1, from: shapes.map((_, at) => at) },
    ]);
    made.graph.nodes.shape = [...shapes, out];
    made.graph.ops[0].elementwise = op === "add";
    made.traces[0].values = [...values, out.length ? [0] : [0]].map((data) => ({ data }));
    made.traces[0].locals = shapes.map(() => ({ data: new Array<number>(out.reduce((a, b) => a * b, 1)).fill(1) }));
    return made;
  };

  it("of a matrix product is made of blocks of the other matrix", () => {
    const made = gate("matmul", [1, 2], [[1, 2], [2, 2]], [[5, 6], [1, 2, 3, 4]]);
    expect(jacobian(made.graph, made.traces[0], 0).data).toEqual([1, 3, 2, 4]);
    expect(jacobian(made.graph, made.traces[0], 1).data).toEqual([5, 0, 6, 0, 0, 5, 0, 6]);
  });

  it("of an elementwise gate has one entry in each row, also where an input is repeated", () => {
    const made = gate("add", [2, 2], [[2, 2], [2]], [[1, 2, 3, 4], [1, 2]]);
    const [first, second] = [0, 1].map((edge) => jacobian(made.graph, made.traces[0], edge));
    expect([first.structure, first.filled]).toEqual(["structureDiagonal", 4]);
    expect(second.data).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
    expect([0, 1, 2, 3].map((at) => sourceOf(at, [2, 2], [2, 1]))).toEqual([0, 0, 1, 1]);
  });

  it("says what it would take", () => {
    expect([bytes(1), bytes(4096 * 4096), bytes(4_096_000 ** 2)]).toEqual(["8 B", "134 MB", "134 TB"]);
  });
});

it("reads layers from gates, whichever way the weights stand", () => {
  const made = circuit([
    { label: "x", value: 0 },
    { label: "W", kind: "parameter", value: 0 },
    { label: "b", kind: "parameter", value: 0 },
    { label: "#3", op: "matmul", formula: "x @ W", value: 0, from: [0, 1] },
    { label: "#4", op: "add", formula: "#3 + b", value: 0, from: [3, 2] },
    { label: "h", op: "relu", formula: "relu(#4)", value: 0, from: [4] },
  ]);
  made.graph.nodes.shape = [[1, 2], [2, 3], [3], [1, 3], [1, 3], [1, 3]];
  const data = [[1, 2], [1, 2, 3, 4, 5, 6], [0, 0, 1], [9, 12, 15], [9, 12, 16], [9, 12, 16]];
  made.traces[0].values = data.map((each) => ({ data: each }));
  const [layer] = layersOf(made.graph);
  expect([layer.inputs, layer.units, layer.bias, layer.activation]).toEqual([2, 3, 2, "relu"]);
  expect(neuron(made.traces[0], layer, 2)).toEqual({ inputs: [1, 2], weights: [3, 6], bias: 1, sum: 16, output: 16 });
});

it("a node comes from leaves through gates", () => {
  expect(origins(constants().graph, 4)).toEqual({ leaves: [0], gates: 4 });
  expect(origins(product().graph, 3)).toEqual({ leaves: [0, 1], gates: 1 });
  expect(origins(product().graph, 0)).toEqual({ leaves: [0], gates: 0 });
});

describe("a quiz", () => {
  it.each([
    ["-0.39", [-0.39]],
    ["−1/4", [-0.25]],
    ["0,5", [0.5]],
    ["1 2 3", [1, 2, 3]],
    ["[1 −2]", [1, -2]],
    ["", []],
  ])("reads %s", (text, numbers) => expect(typedNumbers(text)).toEqual(numbers));

  it("allows what its author allows, and hides only until it is answered", () => {
    const made = product();
    const rule = { en: "swap", zh: "交换" };
    made.view = { quiz: [{ node: 0, what: "gradient", tolerance: 0.04, rule }] };
    const question = made.view.quiz?.[0];
    if (!question) throw new Error("no question");
    expect([isRight("-4.03", [-4], question), isRight("4", [-4], question), isRight("x", [-4], question)]).toEqual([
      true,
      false,
      false,
    ]);
    const store = createStore(made);
    const texts = () => store.picture.value.figures.gradient(0).lines;
    expect([store.isHidden(0, "gradient"), store.isHidden(0, "value"), texts()]).toEqual([true, false, ["[ ? ]"]]);
    store.answered.value = new Set([0]);
    expect([store.isHidden(0, "gradient"), texts()]).toEqual([false, ["-4"]]);
  });
});

it("a link carries what was chosen", () => {
  const store = createStore(product(), { language: "en" });
  expect(written(store)).toBe("");
  store.node.value = 3;
  store.step.value = 2;
  store.theme.value = "dark";
  store.language.value = "zh";
  store.edit(0, -1.5);
  const copy = createStore(product(), { language: "en" });
  read(copy, written(store));
  expect([copy.node.value, copy.step.value, copy.theme.value, copy.language.value]).toEqual([3, 2, "dark", "zh"]);
  expect([...copy.edits.value]).toEqual([[0, -1.5]]);
});

it("a link that makes no sense changes nothing", () => {
  const store = createStore(product());
  read(store, "#node=99&step=-1&theme=pink&set=3:1&set=0:x&view");
  expect([store.node.value, store.theme.value, store.edits.value.size]).toEqual([-1, "auto", 0]);
});
