/** A chart of a few series over steps, as SVG: grid, ticks, lines told apart by colour and by dashes, and a cursor. */

import type { Scale } from "./scale";
import { brief, scaleOf, share, thinned } from "./scale";

export interface Series {
  name: string;
  values: readonly number[];
  /** Steps of the values; 1, 2, 3 … if left out. */
  steps?: readonly number[];
  class: "value" | "gradient" | "muted";
}

interface Props {
  title: string;
  series: readonly Series[];
  steps: number;
  cursor?: number;
  /** The largest value that there can be; the scale is then from 0 to it. */
  top?: number;
}

const [WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM] = [640, 210, 56, 12, 10, 24];
const BUCKETS = 300;

export function Chart({ title, series, steps, cursor, top }: Props) {
  const shown = series.filter((each) => each.values.length);
  const values = shown.flatMap((each) => each.values);
  const scale = top === undefined ? scaleOf(values) : scaleOf([...values, 0, top], false);
  const across = scaleOf([0, Math.max(steps, 1)], false);
  const x = (step: number) => LEFT + share(across, step) * (WIDE - LEFT - RIGHT);
  const y = (value: number) => HIGH - BOTTOM - share(scale, value) * (HIGH - TOP - BOTTOM);
  return (
    <figure class="series">
      <figcaption>
        <b>{title}</b>
        {shown.map((each) => (
          <span class={`series-key ${each.class}`}>
            {each.name} {brief(each.values[each.values.length - 1])}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} role="img" aria-label={inWords(title, shown)}>
        <Grid scale={scale} across={across} x={x} y={y} />
        {shown.map((each) => (
          <path class={`line ${each.class}`} d={path(each, x, y)} />
        ))}
        {cursor !== undefined && <line class="cursor" x1={x(cursor)} x2={x(cursor)} y1={TOP} y2={HIGH - BOTTOM} />}
      </svg>
    </figure>
  );
}

function inWords(title: string, series: readonly Series[]): string {
  const said = series.map((each) => {
    const finite = each.values.filter(Number.isFinite);
    return `${each.name}: ${brief(finite[0] ?? NaN)} → ${brief(finite[finite.length - 1] ?? NaN)}`;
  });
  return `${title}. ${said.join("; ")}`;
}

interface GridProps {
  scale: Scale;
  across: Scale;
  x: (step: number) => number;
  y: (value: number) => number;
}

function Grid({ scale, across, x, y }: GridProps) {
  return (
    <g class="ticks" aria-hidden="true">
      {scale.ticks.map((tick) => (
        <>
          <line x1={LEFT} x2={WIDE - RIGHT} y1={y(tick)} y2={y(tick)} />
          <text class="small muted end" x={LEFT - 6} y={y(tick) + 4}>
            {brief(tick)}
          </text>
        </>
      ))}
      {across.ticks.map((tick) => (
        <text class="small muted middle" x={x(tick)} y={HIGH - 6}>
          {tick}
        </text>
      ))}
    </g>
  );
}

/** The line of a series; it is broken where a value is not finite. */
function path({ values, steps }: Series, x: (step: number) => number, y: (value: number) => number): string {
  let isDown = false;
  const pieces: string[] = [];
  for (const [place, value] of thinned(values, BUCKETS)) {
    if (!Number.isFinite(value)) {
      isDown = false;
      continue;
    }
    pieces.push(`${isDown ? "L" : "M"}${x(steps?.[place] ?? place + 1).toFixed(1)} ${y(value).toFixed(1)}`);
    isDown = true;
  }
  return pieces.join("");
}
