import { expect, it } from "vitest";
import { search } from "../src/search";
import { product } from "./circuit";

const find = (query: string, of = product()) =>
  search(of, of.traces[0], query).map((node) => of.graph.nodes.label[node]);

it.each([
  ["", []],
  ["q", ["q"]],
  ["multiply", ["f"]],
  ["op:add", ["q"]],
  ["grad:>1", ["z"]],
  ["grad:<=-4", ["x", "y", "q"]],
  ["value:=3", ["q"]],
  ["grad:<0 value:>0", ["y", "q"]],
  ["()", ["x", "y", "z", "q", "f"]],
  ["shape:(2, 3)", []],
  ["nan", []],
  ["none such", []],
])("%s", (query, labels) => expect(find(query)).toEqual(labels));

it("finds what is not finite, and shapes in both spellings", () => {
  const made = product();
  made.traces[0].gradients[1] = "nan";
  made.graph.nodes.shape[3] = [2, 3];
  expect(find("nan", made)).toEqual(["y"]);
  expect(find("(2, 3)", made)).toEqual(["q"]);
  expect(find("2x3", made)).toEqual(["q"]);
});
