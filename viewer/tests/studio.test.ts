import { diverging } from "../src/studio/surface";
import { describe, expect, it } from "vitest";
import { colour, place } from "../src/studio/heat";
import { Run } from "../src/studio/run";
import { brief, scaleOf, share, smoothed, thinned } from "../src/studio/scale";
import { tokens } from "../src/tokens";

function runOf(...records: object[]): Run {
  const run = new Run("1");
  for (const record of records) run.add(JSON.stringify(record));
  return run;
}

const STRIP = { kind: "strips", step: 4, gradient: ["nan", null], update: [1e-3, null], mean: [0, 1], spread: [1, 1] };

describe("a run from its records", () => {
  it("has the loss of every step in order", () => {
    const steps = (first: number, loss: (number | string)[]) => ({ kind: "steps", first, loss, rate: 0.1 });
    const run = runOf(steps(1, [3, 2]), steps(3, ["inf"]));
    expect(run.losses).toEqual([3, 2, Infinity]);
    expect(run.rates).toEqual([[2, 0.1], [3, 0.1]]);
    expect(run.step).toBe(3);
  });

  it("reads strips with what is not finite and what is not there", () => {
    const run = runOf({ ...STRIP, dead: [null, 0], saturated: [null, null], infinite: [2, 0] });
    expect(run.looks[0].strips.gradient).toEqual([NaN, null]);
    expect(run.step).toBe(4);
  });

  it("finds the boundary of a moment", () => {
    const at = (step: number) => ({ kind: "boundary", step, winner: btoa("\x00\x02"), share: btoa("\xff\x80") });
    const run = runOf(at(0), at(10));
    expect([...(run.boundaryAt(3)?.winner ?? [])]).toEqual([0, 2]);
    expect([...(run.boundaryAt(10)?.share ?? [])]).toEqual([255, 128]);
    expect([0, 9, 10, 99].map((step) => run.boundaryAt(step)?.step)).toEqual([0, 0, 10, 10]);
  });

  it("finds the surface of a moment, as little-endian numbers", () => {
    const values = btoa(String.fromCharCode(...new Uint8Array(new Uint32Array([0x3f800000, 0x7fc00000]).buffer)));
    const run = runOf({ kind: "surface", step: 0, values }, { kind: "surface", step: 5, values: btoa("\x00\x00\x00\xc0") });
    expect([...(run.surfaceAt(4)?.values ?? [])]).toEqual([1, NaN]);
    expect([...(run.surfaceAt(5)?.values ?? [])]).toEqual([-2]);
  });

  it("leaves out kinds that it does not draw", () => {
    expect(runOf({ kind: "weights", step: 1, arrays: {} }).step).toBe(0);
  });
});

describe("scales", () => {
  it.each([
    [[-1, 3], { centre: 0, reach: 3 }],
    [[2, 6, 3], { centre: 4, reach: 2 }],
    [[5, 5], { centre: 5, reach: 1 }],
    [[], { centre: 0, reach: 1 }],
  ])("of two colours are around zero, or around the middle: %o", (targets, scale) => {
    expect(diverging(targets)).toEqual(scale);
  });

  it("are linear from 0 for numbers alike, with round ticks", () => {
    const scale = scaleOf([0.2, 0.93]);
    expect([scale.low, scale.isLog, scale.ticks]).toEqual([0, false, [0, 0.5]]);
    expect(scaleOf([0, 800], false).ticks).toEqual([0, 200, 400, 600, 800]);
  });

  it("are logarithmic for positive numbers that differ much", () => {
    const scale = scaleOf([1e-3, 10]);
    expect([scale.isLog, scale.ticks]).toEqual([true, [1e-3, 0.01, 0.1, 1, 10]]);
    expect(share(scale, 0.1)).toBeCloseTo(0.5, 12);
  });

  it("leave out what is not finite and stand without a number", () => {
    expect(scaleOf([NaN, Infinity, 2]).high).toBe(2);
    expect(scaleOf([]).ticks.length).toBeGreaterThan(1);
    expect(scaleOf([-3, 4]).low).toBe(-3);
  });

  it("smooth without remembering what is not finite", () => {
    expect(smoothed([1, NaN, 3], 0.5)).toEqual([1, NaN, 2]);
  });

  it("thin a series and keep its peaks", () => {
    const values = Array.from({ length: 10_000 }, (_, i) => (i === 4321 ? 99 : i === 77 ? -99 : 0));
    const thin = thinned(values, 100);
    expect(thin.length).toBeLessThanOrEqual(200);
    expect(thin).toContainEqual([4321, 99]);
    expect(thin).toContainEqual([77, -99]);
    expect(thin.map(([at]) => at)).toEqual(thin.map(([at]) => at).sort((a, b) => a - b));
  });

  it("say numbers briefly", () => {
    expect([0, 0.5, 1234.56, 1e-7, 2.5e8, NaN, Infinity].map(brief)).toEqual(
      ["0", "0.5", "1235", "1.0e-7", "2.5e8", "nan", "∞"],
    );
  });
});

describe("colours of strips", () => {
  it("are unremarkable at the guide and extreme three decades away", () => {
    expect([1e-3, 1, 1e-6].map((ratio) => place("update", ratio, 1))).toEqual([-0, -1, 1]);
  });

  it("are those of the palette at its ends and in its middle", () => {
    for (const theme of ["light", "dark"] as const) {
      const hex = tokens.heat[theme].map((each) => Number.parseInt(each.slice(1), 16));
      const written = (value: number) => `rgb(${value >> 16} ${(value >> 8) & 255} ${value & 255})`;
      expect([-1, 0, 1].map((at) => colour(at, theme === "dark"))).toEqual([hex[0], hex[3], hex[6]].map(written));
    }
  });
});
