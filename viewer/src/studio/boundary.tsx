/** The decision boundary on the plane of two features: which class wins where, how surely, and the points. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Store } from "../store";
import { clean } from "../tokens";
import { classColour, isDark } from "./heat";
import type { Boundary, Plane, Run } from "./run";
import { brief } from "./scale";

const SIDE = 400;
const STRONGEST = 0.6; // how much of a class's colour covers the background where it is certain

interface Props {
  store: Store;
  run: Run;
  /** Rises when the run has grown. */
  version: number;
  step: number;
}

export function BoundaryMap({ store, run, step }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const plane = run.head?.plane;
  const boundary = run.boundaryAt(step);
  const dark = isDark(store.theme.value);
  useLayoutEffect(() => {
    if (canvas.current && plane && boundary) paint(canvas.current, plane, boundary);
  }, [plane, boundary, dark]);
  if (!plane || !boundary) return null;
  const classes = run.head?.classes ?? [];
  return (
    <figure class="boundary">
      <figcaption>
        <b>{store.t("boundary")}</b>
        {classes.map((name, label) => (
          <span class="class-key">
            <svg class="swatch" viewBox="-6 -6 12 12" aria-hidden="true">
              <path d={outline(label, 5)} fill={`rgb(${classColour(label).join(" ")})`} />
            </svg>
            {clean(name)}
          </span>
        ))}
      </figcaption>
      <canvas ref={canvas} width={SIDE} height={SIDE} role="img" aria-label={inWords(store, plane, boundary, classes)} />
      <Axes plane={plane} />
    </figure>
  );
}

/** What the axes of a plane are called, and how far they reach. */
export function Axes({ plane: { names, low, high } }: { plane: Plane }) {
  return (
    <div class="axes muted">
      <span>
        {clean(names[0])} → {brief(low[0])} … {brief(high[0])}
      </span>
      <span>
        {clean(names[1])} ↑ {brief(low[1])} … {brief(high[1])}
      </span>
    </div>
  );
}

function inWords(store: Store, { names }: Plane, { winner }: Boundary, classes: readonly string[]): string {
  const shares = classes.map((name, label) => {
    const count = winner.reduce((sum, each) => sum + Number(each === label), 0);
    return `${clean(name)} ${Math.round((100 * count) / winner.length)} %`;
  });
  return `${store.t("boundary")}: ${names.map(clean).join(" × ")}; ${shares.join(", ")}`;
}

function paint(canvas: HTMLCanvasElement, plane: Plane, { winner, share }: Boundary): void {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const { size, low, high, points } = plane;
  const styles = getComputedStyle(canvas);
  const [background, ink] = ["--background", "--ink"].map((name) => styles.getPropertyValue(name));
  pen.fillStyle = background;
  pen.fillRect(0, 0, SIDE, SIDE);
  const fewest = 1 / Math.max(2, new Set(winner).size);
  for (let place = 0; place < winner.length; place++) {
    const [column, row] = [place % size, Math.floor(place / size)];
    const sure = Math.max(0, (share[place] / 255 - fewest) / (1 - fewest));
    pen.fillStyle = `rgb(${classColour(winner[place]).join(" ")} / ${0.12 + (STRONGEST - 0.12) * sure})`;
    const [left, right] = [column, column + 1].map((at) => Math.round((at * SIDE) / size));
    const [bottom, top] = [row, row + 1].map((at) => SIDE - Math.round((at * SIDE) / size));
    pen.fillRect(left, top, right - left, bottom - top);
  }
  for (const [a, b, label] of points) {
    const x = ((a - low[0]) / (high[0] - low[0])) * SIDE;
    const y = SIDE - ((b - low[1]) / (high[1] - low[1])) * SIDE;
    const mark = new Path2D();
    mark.addPath(new Path2D(outline(label, 3.5)), new DOMMatrix().translateSelf(x, y));
    pen.fillStyle = `rgb(${classColour(label).join(" ")})`;
    pen.strokeStyle = ink;
    pen.fill(mark);
    pen.lineWidth = 0.7;
    pen.stroke(mark);
  }
}

/** The mark of a class around 0, so that classes are told apart without colours, too. */
function outline(label: number, r: number): string {
  const marks = [
    `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
    `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
    `M0 ${-1.2 * r}L${1.2 * r} ${r}H${-1.2 * r}z`,
    `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0z`,
    `M0 ${1.2 * r}L${1.2 * r} ${-r}H${-1.2 * r}z`,
  ];
  return marks[label % marks.length];
}
