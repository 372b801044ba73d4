import { describe, expect, it } from "vitest";
import { enough, fixed, lines, number, scientific } from "../src/picture/digits";

describe("numbers are printed as Python prints them", () => {
  it.each([
    [0.125, 2, "0.12"],
    [0.375, 2, "0.38"],
    [-0.125, 2, "-0.12"],
    [2.5, 0, "2"],
    [0.5, 0, "0"],
    [1.5, 0, "2"],
    [1.005, 2, "1.00"],
    [0.1 + 0.2, 17, "0.30000000000000004"],
  ])("%f with %i decimals is %s", (x, digits, text) => expect(fixed(x, digits)).toBe(text));

  it.each([
    [0, 2, "0.00"],
    [-0, 2, "0.00"],
    [1.5e-7, 2, "1.5e-7"],
    [-3e-9, 4, "-3e-9"],
    [12345678, 2, "1.2e7"],
    [NaN, 2, "nan"],
    [Infinity, 2, "inf"],
    [-Infinity, 0, "-inf"],
    [9999999, 0, "9999999"],
  ])("%f with %i digits is %s", (x, digits, text) => expect(number(x, digits)).toBe(text));

  it("rounds ties of the scientific form to even", () => expect(scientific(125e8, 1)).toBe("1.2e10"));
});

it("digits rise until the printed products are true", () => {
  const upstream = 0.19661193324148188;
  expect(enough([upstream, 2, 0.39322386648296376], [[upstream, 2, 0.39322386648296376]])).toBe(4);
  expect(enough([3, -4, -12], [[1, -4, -4]])).toBe(0);
  expect(enough([0.116, 0.5], [])).toBe(3);
});

it("small arrays are written in full, large ones by shape and range", () => {
  expect(lines({ data: [1, 2], shape: [2], dtype: "float64" }, 1)).toEqual(["[1.0 2.0]"]);
  expect(lines({ data: [1, -2, 3, 10], shape: [2, 2], dtype: "float64" }, 0)).toEqual(["⎡1 -2⎤", "⎣3 10⎦"]);
  expect(lines({ data: [1, 0], shape: [2], dtype: "bool" }, 0)).toEqual(["[true false]"]);
  const many = { data: Array.from({ length: 10 }, (_, at) => at), shape: [10], dtype: "float64" };
  expect(lines(many, 2)).toEqual(["(10,)", "0.00 … 9.00"]);
});
