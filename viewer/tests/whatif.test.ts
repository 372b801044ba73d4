import { describe, expect, it } from "vitest";
import { scalarOp } from "../src/ops";
import { Circuit } from "../src/whatif";
import { circuit, constants, product } from "./circuit";

const made = (of: ReturnType<typeof product>) => Circuit.of(of.graph, of.traces[0]) as Circuit;

describe("a circuit computed in the page", () => {
  it("gives the recorded numbers with the recorded leaves", () => {
    for (const of of [product(), constants()]) {
      const found = made(of).retraced(new Map());
      const { values, gradients, contributions, locals } = of.traces[0];
      expect([found.values, found.gradients]).toEqual([values, gradients]);
      expect([found.contributions, found.locals]).toEqual([contributions, locals]);
    }
  });

  it("follows a leaf that is changed", () => {
    const found = made(product()).retraced(new Map([[0, 1]]));
    expect(found.values).toEqual([1, 5, -4, 6, -24]);
    expect(found.gradients).toEqual([-4, -4, 6, -4, 1]);
  });

  it("wiggles a leaf, and one arm of a branch", () => {
    const of = made(constants());
    const h = 1e-6;
    expect(of.change(new Map(), { node: 0, by: h }) / h).toBeCloseTo(29, 3);
    expect(of.change(new Map(), { edge: 0, by: h }) / h).toBeCloseTo(28, 3);
    expect(of.change(new Map(), { edge: 4, by: h }) / h).toBeCloseTo(1, 3);
    expect(of.slope(new Map(), { node: 0 })).toBeCloseTo(29, 6);
    expect(of.slope(new Map(), { edge: 4 })).toBeCloseTo(1, 6);
  });

  it("is refused where the page would find other numbers, or cannot compute a gate", () => {
    const wrong = product();
    wrong.traces[0].values[4] = -11;
    expect(Circuit.of(wrong.graph, wrong.traces[0])).toBeNull();
    const unknown = circuit([
      { label: "x", value: 1, gradient: 1 },
      { label: "f", op: "special", value: 1, gradient: 1, from: [0] },
    ]);
    expect(Circuit.of(unknown.graph, unknown.traces[0])).toBeNull();
  });

  it("keeps gradients away from where Python found none", () => {
    const of = product();
    of.traces[0].states[2] = "none";
    of.traces[0].gradients[2] = null;
    of.traces[0].contributions[3] = null;
    const found = made(of).retraced(new Map([[0, 1]]));
    expect([found.gradients[2], found.states[2], found.contributions[3]]).toEqual([null, "none", null]);
  });
});

describe("local gradients are slopes", () => {
  const points: Record<string, number[]> = { power: [1.3, 2.2], where: [1, 0.3, 0.4] };
  const names = [
    ..."add subtract multiply divide power maximum minimum negative square sqrt reciprocal exp expm1 exp2".split(" "),
    ..."log log1p log2 log10 sin cos tan arctan sinh cosh tanh sigmoid softplus relu abs".split(" "),
  ];
  it.each(names)("%s", (name) => {
    const op = scalarOp(name);
    if (!op) throw new Error(name);
    const x = points[name] ?? op.locals.map((_, place) => 0.7 + 0.4 * place);
    const active = x.map(() => true);
    const out = op.forward(...x);
    op.locals.forEach((local, place) => {
      const at = (h: number) => op.forward(...x.map((each, other) => (other === place ? each + h : each)));
      expect(local(x, out, active)).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 6);
    });
  });

  it("a tie of max gives half to each, and nothing against a constant", () => {
    const max = scalarOp("maximum");
    expect(max?.locals[0]([1, 1], 1, [true, true])).toBe(0.5);
    expect(max?.locals[0]([1, 1], 1, [true, false])).toBe(0);
  });
});
