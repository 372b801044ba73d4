/** The output of a regression over the plane of its two features: a diverging heat map, lines of equal output, points. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Store } from "../store";
import { clean } from "../tokens";
import { Axes } from "./boundary";
import { colour, isDark } from "./heat";
import type { Plane, Run, Surface } from "./run";
import { brief } from "./scale";

const SIDE = 400;
const BANDS = 8; // between the ends of the scale; lines of equal output stand between them
const RADIUS = 3.5;

interface Props {
  store: Store;
  run: Run;
  /** Rises when the run has grown. */
  version: number;
  step: number;
}

/** Where the two colours meet, and how far from there both ends are. */
export interface Diverging {
  centre: number;
  reach: number;
}

/** A scale for targets, the same at every step: around 0 where they have both signs, else around their middle. */
export function diverging(targets: readonly number[]): Diverging {
  const finite = targets.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (!finite.length) return { centre: 0, reach: 1 };
  const centre = low < 0 && high > 0 ? 0 : (low + high) / 2;
  return { centre, reach: Math.max(high - centre, centre - low) || 1 };
}

export function SurfaceMap({ store, run, step }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const plane = run.head?.plane;
  const surface = run.surfaceAt(step);
  const dark = isDark(store.theme.value);
  useLayoutEffect(() => {
    if (canvas.current && plane && surface) paint(canvas.current, plane, surface, dark);
  }, [plane, surface, dark]);
  if (!plane || !surface) return null;
  const scale = diverging(plane.points.map(([, , target]) => target));
  return (
    <figure class="boundary">
      <figcaption>
        <b>{store.t("surface")}</b>
        <Key scale={scale} isDark={dark} />
      </figcaption>
      <canvas ref={canvas} width={SIDE} height={SIDE} role="img" aria-label={inWords(store, plane, surface)} />
      <Axes plane={plane} />
      <p class="muted">{store.t("surfaceLines")}</p>
    </figure>
  );
}

/** The colours of the scale with the numbers at its ends and in its middle. */
function Key({ scale: { centre, reach }, isDark }: { scale: Diverging; isDark: boolean }) {
  const places = Array.from({ length: BANDS }, (_, at) => (2 * at + 1) / BANDS - 1);
  return (
    <svg class="scale" viewBox="0 0 200 26" role="img" aria-label={[-1, 0, 1].map((at) => brief(centre + at * reach)).join(" … ")}>
      {places.map((at, band) => (
        <rect x={(band * 200) / BANDS} y={0} width={200 / BANDS} height={10} fill={colour(at, isDark)} />
      ))}
      {[-1, 0, 1].map((at) => (
        <text class={`small muted ${at < 0 ? "" : at ? "end" : "middle"}`} x={100 + 100 * at} y={23}>
          {brief(centre + at * reach)}
        </text>
      ))}
    </svg>
  );
}

function inWords(store: Store, { names, points }: Plane, { values }: Surface): string {
  const ends = (all: Iterable<number>) => {
    const finite = [...all].filter(Number.isFinite);
    return finite.length ? [brief(Math.min(...finite)), brief(Math.max(...finite))] : ["nan", "nan"];
  };
  const targets = ends(points.map(([, , target]) => target));
  return store.t("surfaceWords", store.t("surface"), ...names.map(clean), ...ends(values), ...targets);
}

function paint(canvas: HTMLCanvasElement, plane: Plane, { values }: Surface, dark: boolean): void {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const { size, low, high, points } = plane;
  const { centre, reach } = diverging(points.map(([, , target]) => target));
  const place = (value: number) => (value - centre) / reach;
  const edge = (at: number) => Math.round((at * SIDE) / size);
  pen.clearRect(0, 0, SIDE, SIDE);
  values.forEach((value, at) => {
    const [column, row] = [at % size, Math.floor(at / size)];
    if (!Number.isFinite(value)) return; // what is no number is left blank
    pen.fillStyle = colour(place(value), dark);
    pen.fillRect(edge(column), SIDE - edge(row + 1), edge(column + 1) - edge(column), edge(row + 1) - edge(row));
  });
  const ink = getComputedStyle(canvas).getPropertyValue("--ink");
  pen.strokeStyle = ink;
  pen.lineWidth = 0.7;
  pen.stroke(lines(values, size, (value) => Math.floor(((place(value) + 1) / 2) * BANDS), edge));
  for (const [a, b, target] of points) {
    pen.beginPath();
    pen.arc(((a - low[0]) / (high[0] - low[0])) * SIDE, SIDE - ((b - low[1]) / (high[1] - low[1])) * SIDE, RADIUS, 0, 7);
    pen.fillStyle = colour(place(target), dark);
    pen.fill();
    pen.stroke();
  }
}

/** The edges between cells of different bands. */
function lines(values: Float32Array, size: number, band: (value: number) => number, edge: (at: number) => number): Path2D {
  const path = new Path2D();
  values.forEach((value, at) => {
    const [column, row] = [at % size, Math.floor(at / size)];
    const [x, y] = [edge(column + 1), SIDE - edge(row + 1)];
    if (column + 1 < size && band(value) !== band(values[at + 1])) {
      path.moveTo(x, y);
      path.lineTo(x, SIDE - edge(row));
    }
    if (row + 1 < size && band(value) !== band(values[at + size])) {
      path.moveTo(edge(column), y);
      path.lineTo(x, y);
    }
  });
  return path;
}
