/**
 * A run as the page holds it: what the records of the run log say so far (`src/adjoint/view/runs.py`).
 *
 * Records are added in the order of the log; a moment is one of the looks at the network, by its place.
 */

import type { NumberEntry } from "../document";
import { numeric } from "../document";

export const STRIPS = ["gradient", "update", "mean", "spread", "dead", "saturated", "infinite"] as const;
export type StripName = (typeof STRIPS)[number];

export interface Layer {
  path: string;
  type: string;
}

export interface Plane {
  names: [string, string];
  low: [number, number];
  high: [number, number];
  size: number;
  points: [number, number, number][];
}

export interface Head {
  title: string;
  layers: Layer[];
  classes: string[];
  about: Record<string, unknown>;
  plane: Plane | null;
  network: unknown;
}

/** A look at the network: for every strip an entry per layer, null where a layer has none. */
export interface Look {
  step: number;
  strips: Record<StripName, (number | null)[]>;
}

export interface Boundary {
  step: number;
  winner: Uint8Array;
  share: Uint8Array;
}

/** What a regression gives over the plane. */
export interface Surface {
  step: number;
  values: Float32Array;
}

export interface Finding {
  step: number;
  layer: number;
  what: string;
  text: string;
}

export interface Epoch {
  epoch: number;
  step: number;
  figures: Record<string, number>;
}

type Parsed = Record<string, unknown> & { kind: string };

export class Run {
  head: Head | null = null;
  /** The loss of every step; the first is that of step 1. */
  readonly losses: number[] = [];
  /** Learning rates with the step up to which they are known. */
  readonly rates: [number, number][] = [];
  readonly epochs: Epoch[] = [];
  readonly looks: Look[] = [];
  readonly boundaries: Boundary[] = [];
  readonly surfaces: Surface[] = [];
  readonly findings: Finding[] = [];
  end: { step: number; reason: string } | null = null;

  constructor(readonly id: string) {}

  /** Add a line of the log. Kinds that the page does not draw are left out. */
  add(line: string): void {
    const record = JSON.parse(line) as Parsed;
    switch (record.kind) {
      case "run":
        this.head = record as unknown as Head;
        break;
      case "steps":
        for (const loss of record.loss as NumberEntry[]) this.losses.push(numeric(loss));
        this.rates.push([this.losses.length, numeric(record.rate as NumberEntry)]);
        break;
      case "epoch":
        this.epochs.push(epochOf(record));
        break;
      case "strips":
        this.looks.push(lookOf(record));
        break;
      case "boundary":
        this.boundaries.push(boundaryOf(record));
        break;
      case "surface":
        this.surfaces.push(surfaceOf(record));
        break;
      case "finding":
        this.findings.push(record as unknown as Finding);
        break;
      case "end":
        this.end = record as unknown as { step: number; reason: string };
    }
  }

  /** How many steps the run has so far. */
  get step(): number {
    return Math.max(this.losses.length, this.looks[this.looks.length - 1]?.step ?? 0);
  }

  /** The last boundary up to a step. */
  boundaryAt(step: number): Boundary | undefined {
    return lastUpTo(this.boundaries, step);
  }

  /** The last surface up to a step. */
  surfaceAt(step: number): Surface | undefined {
    return lastUpTo(this.surfaces, step);
  }
}

function lastUpTo<Record extends { step: number }>(records: readonly Record[], step: number): Record | undefined {
  return records.findLast((each) => each.step <= step) ?? records[0];
}

function surfaceOf(record: Parsed): Surface {
  const { buffer } = bytes(record.values as string);
  const view = new DataView(buffer);
  const values = Float32Array.from({ length: buffer.byteLength / 4 }, (_, at) => view.getFloat32(4 * at, true));
  return { step: record.step as number, values };
}

function lookOf(record: Parsed): Look {
  const entries = (name: StripName) =>
    (record[name] as (NumberEntry | null)[]).map((each) => (each === null ? null : numeric(each)));
  const strips = Object.fromEntries(STRIPS.map((name) => [name, entries(name)]));
  return { step: record.step as number, strips: strips as Look["strips"] };
}

function epochOf(record: Parsed): Epoch {
  const figures = Object.entries(record.figures as Record<string, NumberEntry>);
  return {
    epoch: record.epoch as number,
    step: record.step as number,
    figures: Object.fromEntries(figures.map(([name, value]) => [name, numeric(value)])),
  };
}

function boundaryOf(record: Parsed): Boundary {
  return { step: record.step as number, winner: bytes(record.winner as string), share: bytes(record.share as string) };
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
