import { expect, it } from "vitest";
import { createStore, END, lastStep } from "../src/store";
import { circuit, constants, product } from "./circuit";

const labels = (store: ReturnType<typeof createStore>, boxes: readonly number[]) =>
  boxes.map((box) => store.document.value.graph.nodes.label[store.picture.value.parts[box].box.node]);

it("goes forward in recording order and back in reverse", () => {
  const store = createStore(product());
  const { forward, backward } = store.timeline.value;
  expect(labels(store, forward)).toEqual(["q", "f"]);
  expect(labels(store, backward)).toEqual(["f", "q"]);
  expect(lastStep(store)).toBe(4);
});

it("knows at each step what has been computed, and what is ready", () => {
  const store = createStore(product());
  const known = () => {
    const now = store.moment.value;
    const parts = store.picture.value.parts.map((_, box) => box);
    const of = (has: (box: number) => boolean) => labels(store, parts.filter(has)).sort().join(" ");
    return [of(now.hasValue), of(now.hasGradient), labels(store, [...now.ready]).join(" ")];
  };
  const seen = [0, 1, 2, 3, 4].map((step) => ((store.step.value = step), known()));
  expect(seen).toEqual([
    ["x y z", "", "q"],
    ["q x y z", "", "f"],
    ["f q x y z", "", "f"],
    ["f q x y z", "f q z", "q"],
    ["f q x y z", "f q x y z", ""],
  ]);
  store.step.value = END;
  expect(known()).toEqual(seen[4]);
});

it("gives the gradient of a branch only when all its arms have come back", () => {
  const store = createStore(constants());
  const x = store.owner.value[0];
  const known = Array.from({ length: lastStep(store) + 1 }, (_, step) => {
    store.step.value = step;
    return store.moment.value.hasGradient(x);
  });
  expect(known.indexOf(true)).toBe(lastStep(store));
});

it("has no step backward before a backward pass", () => {
  const made = circuit([
    { label: "x", value: 3 },
    { label: "f", op: "square", formula: "square(x)", value: 9, from: [0], locals: [6] },
  ]);
  made.traces[0].states = ["unknown", "unknown"];
  const store = createStore(made);
  expect(store.timeline.value.backward).toEqual([]);
  expect(lastStep(store)).toBe(1);
});
