import fixture from "../../tests/view/layout.json?raw";
import { describe, expect, it } from "vitest";
import type { Size } from "../src/layout/layout";
import { VERSION, layout, ranks } from "../src/layout/layout";

interface Case {
  sizes: [number, number, number, number, number[]][];
  edges: [number, number, number][];
  near: boolean[];
  layout: { rank: number[]; y: number[]; columns: number[][]; links: number[][]; width: number; height: number };
}

const FIXTURE = JSON.parse(fixture) as {
  version: number;
  graphs: Record<string, Case>;
};

describe("the layout is that of Python, to the last bit", () => {
  it("has the version of the fixture", () => expect(VERSION).toBe(FIXTURE.version));

  it.each(Object.entries(FIXTURE.graphs))("%s", (_, { sizes, edges, near, layout: wanted }) => {
    const boxes = sizes.map(([left, right, above, below, ports]): Size => ({ left, right, above, below, ports }));
    const wires = edges.map(([source, target, port]) => ({ source, target, port }));
    const made = layout(boxes, wires, ranks(boxes.length, wires, near));
    expect(made.rank).toEqual(wanted.rank);
    expect(made.y).toEqual(wanted.y);
    expect(made.columns.map(({ left, axis, right }) => [left, axis, right])).toEqual(wanted.columns);
    expect(made.links.map(({ wire, edge, rank, start, end }) => [wire, edge, rank, start, end])).toEqual(wanted.links);
    expect([made.width, made.height]).toEqual([wanted.width, wanted.height]);
  });
});
