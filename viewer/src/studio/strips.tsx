/**
 * The strips: for each figure a heat map of layer × step. A cell is pressed, or walked to with the arrows and opened
 * with Enter, to see the graph at that layer and step.
 */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Store } from "../store";
import type { Key } from "../strings";
import { clean } from "../tokens";
import { colour, isDark, place } from "./heat";
import type { Run, StripName } from "./run";
import { STRIPS } from "./run";
import { brief } from "./scale";
import type { Studio } from "./studio";

const [ROW, WIDEST] = [14, 1200];
const NAMES: Record<StripName, Key> = {
  gradient: "stripGradient",
  update: "stripUpdate",
  mean: "stripMean",
  spread: "stripSpread",
  dead: "stripDead",
  saturated: "stripSaturated",
  infinite: "stripInfinite",
};

interface Props {
  store: Store;
  studio: Studio;
  run: Run;
  /** Rises when the run has grown. */
  version: number;
}

export function Strips({ store, studio, run, version }: Props) {
  const last = run.looks.length - 1;
  const at = studio.moment.value < 0 ? last : Math.min(studio.moment.value, last);
  const layers = run.head?.layers ?? [];
  const shown = STRIPS.filter((name) => name !== "infinite" || anyInfinite(run));
  const onKey = (event: KeyboardEvent) => {
    const [columns, rows] = MOVES[event.key] ?? [0, 0];
    if (event.key === "Enter") void studio.graph(studio.layer.value, run.looks[at].step);
    else if (event.key === "Home") go(store, studio, run, 0, studio.layer.value);
    else if (event.key === "End") go(store, studio, run, last, studio.layer.value);
    else if (columns || rows) go(store, studio, run, at + columns, studio.layer.value + rows);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <section class="strips" tabIndex={0} aria-label={store.t("strips")} onKeyDown={onKey}>
      <p class="muted">{store.t("stripsHint")}</p>
      <p class="at">
        {clean(layers[studio.layer.value]?.path ?? "")} · {store.t("stepNumber", run.looks[at]?.step ?? 0)}{" "}
        <button onClick={() => void studio.graph(studio.layer.value, run.looks[at].step)}>{store.t("stripOpen")}</button>
      </p>
      {shown.map((name) => (
        <Strip name={name} at={at} {...{ store, studio, run, version }} />
      ))}
    </section>
  );
}

const MOVES: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function anyInfinite(run: Run): boolean {
  return run.looks.some((look) => look.strips.infinite.some((count) => (count ?? 0) > 0));
}

/** Put the cursor on a cell and say what is there. */
function go(store: Store, studio: Studio, run: Run, column: number, row: number): void {
  const layers = run.head?.layers ?? [];
  const to = Math.max(0, Math.min(column, run.looks.length - 1));
  studio.moment.value = to;
  studio.layer.value = Math.max(0, Math.min(row, layers.length - 1));
  const look = run.looks[to];
  if (!look) return;
  const figures = STRIPS.map((name) => [name, look.strips[name][studio.layer.value]] as const)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${store.t(NAMES[name])} ${brief(value as number)}`);
  store.said.value = `${layers[studio.layer.value]?.path}, ${store.t("stepNumber", look.step)}: ${figures.join(", ")}`;
}

interface StripProps extends Props {
  name: StripName;
  at: number;
}

function Strip({ store, studio, run, version, name, at }: StripProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const rows = rowsOf(run, name);
  const dark = isDark(store.theme.value);
  useLayoutEffect(() => {
    if (canvas.current) draw(canvas.current, run, name, rows, at, studio.layer.value, dark);
  }, [version, run, at, studio.layer.value, dark, rows.length]);
  if (!rows.length) return null;
  const onPress = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * run.looks.length);
    const row = rows[Math.min(Math.floor((event.clientY - box.top) / ROW), rows.length - 1)];
    go(store, studio, run, column, row);
    if (event.detail > 1) void studio.graph(row, run.looks[studio.moment.value].step);
  };
  const here = run.looks[at]?.strips[name][studio.layer.value];
  return (
    <div class="strip">
      <h3>
        {store.t(NAMES[name])} {here !== null && here !== undefined && <output>{brief(here)}</output>}
      </h3>
      <div class="map">
        <ol aria-hidden="true">
          {rows.map((row) => (
            <li>{clean(shortPath(run, row))}</li>
          ))}
        </ol>
        <canvas ref={canvas} style={{ height: `${rows.length * ROW}px` }} onClick={onPress} aria-hidden="true" />
      </div>
    </div>
  );
}

/** The layers that have such a figure. */
function rowsOf(run: Run, name: StripName): number[] {
  const layers = run.head?.layers ?? [];
  return layers.map((_, row) => row).filter((row) => run.looks.some((look) => look.strips[name][row] !== null));
}

function shortPath(run: Run, row: number): string {
  const { path, type } = run.head?.layers[row] ?? { path: "", type: "" };
  return `${path.split(".").slice(-1)} ${type}`;
}

function draw(
  canvas: HTMLCanvasElement,
  run: Run,
  name: StripName,
  rows: readonly number[],
  at: number,
  chosen: number,
  dark: boolean,
): void {
  const count = Math.max(run.looks.length, 1);
  const cell = Math.max(1, Math.floor(WIDEST / count));
  [canvas.width, canvas.height] = [count * cell, rows.length * ROW];
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const ink = getComputedStyle(canvas).getPropertyValue("--ink");
  const largest = largestOf(run, name, rows);
  run.looks.forEach((look, column) => {
    rows.forEach((row, line) => {
      const value = look.strips[name][row];
      if (value === null) return;
      pen.fillStyle = Number.isFinite(value) ? colour(place(name, value, largest), dark) : ink;
      pen.fillRect(column * cell, line * ROW, cell, ROW - 1);
    });
  });
  const line = rows.indexOf(chosen);
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  pen.strokeRect(at * cell, 0, Math.max(cell, 3), canvas.height);
  if (line >= 0) pen.strokeRect(at * cell - 3, line * ROW, Math.max(cell, 3) + 6, ROW - 1);
}

function largestOf(run: Run, name: StripName, rows: readonly number[]): number {
  let largest = 0;
  for (const look of run.looks) {
    for (const row of rows) {
      const size = Math.abs(look.strips[name][row] ?? 0);
      if (Number.isFinite(size) && size > largest) largest = size;
    }
  }
  return largest;
}
