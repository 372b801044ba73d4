/**
 * The picture as SVG elements: wires, boxes, labels. The twin of `svg.py`, with what the reader's moment hides.
 *
 * Texts are text nodes only; nothing from a document is ever part of a tag, a name or an address.
 */

import type { ArrayEntry, HeatMap } from "../document";
import { numeric } from "../document";
import type { Link } from "../layout/layout";
import type { Figure } from "../picture/figures";
import type { Part, Picture } from "../picture/picture";
import { BAR, CELL, chartSize } from "../picture/picture";
import { clean, tokens } from "../tokens";

const DOT = 4;
const { font, label } = tokens;

/** Whole numbers of a circle's edge, as `math.isqrt` has them. */
function root(x: number): number {
  return Math.floor(Math.sqrt(x));
}

/** Half the width of a shape at a height: of a circle and of round ends less than in the middle. */
function halfAt(part: Part, offset: number): number {
  const isRound = part.shape === "circle" || part.shape === "pill";
  if (!isRound || Math.abs(offset) >= part.rise) return part.half;
  return part.half - part.rise + root(part.rise * part.rise - offset * offset);
}

/** The path of a wire with all its branches, and the dots where it branches. */
export function wirePath(drawn: Picture, index: number, links: readonly Link[]): { path: string; dots: number[][] } {
  const { columns, rank, y } = drawn.layout;
  const [part, column] = [drawn.parts[index], columns[rank[index]]];
  const start = column.axis + (part.shape === "name" ? 0 : part.half);
  const ends = new Map<string, [number, number, number]>();
  let path = `M${start} ${y[index]}H${column.right}`;
  for (const link of links) {
    const key = `${link.rank} ${link.start}`;
    const [at, height, count] = ends.get(key) ?? [columns[link.rank].right, link.start, 0];
    ends.set(key, [at, height, count + 1]);
    path += bend(drawn, link);
  }
  const dots = [...ends.values()].filter((each) => each[2] > 1).map(([x, height]) => [x, height]);
  if (drawn.scene.named.has(index)) dots.push([column.right, y[index]]);
  return { path, dots };
}

/** The piece between two columns, and what follows of it in the second: a lane, or the way into a gate. */
function bend(drawn: Picture, link: Link): string {
  const { columns } = drawn.layout;
  const [start, end] = [columns[link.rank].right, columns[link.rank + 1].left];
  const middle = Math.floor((start + end) / 2);
  const curve =
    link.start === link.end ? `H${end}` : `C${middle} ${link.start} ${middle} ${link.end} ${end} ${link.end}`;
  const to = link.edge < 0 ? `H${columns[link.rank + 1].right}` : entry(drawn, link);
  return `M${start} ${link.start}${curve}${to}`;
}

/** From the column's edge straight past the arm's label, then to the edge of the gate. */
function entry(drawn: Picture, link: Link): string {
  const target = drawn.scene.arrows[link.edge].target;
  const [part, y] = [drawn.parts[target], drawn.layout.y[target]];
  const axis = drawn.layout.columns[link.rank + 1].axis;
  if (!part.gather) return `H${axis - halfAt(part, link.end - y)}`;
  const limit = Math.floor((part.rise * 3) / 5);
  const inner = Math.max(-limit, Math.min(limit, link.end - y));
  return `H${axis - part.half - part.gather}L${axis - halfAt(part, inner)} ${y + inner}`;
}

/** The barred end of a wire into a gate that lets no gradient through; empty elsewhere. */
export function barPath(drawn: Picture, link: Link): string {
  if (link.edge < 0) return "";
  const { target, port } = drawn.scene.arrows[link.edge];
  const part = drawn.parts[target];
  if (!part.arms.some((arm) => arm.stops && arm.port === port)) return "";
  const x = drawn.layout.columns[link.rank + 1].axis - part.half - Math.floor(part.gather / 2) - 6;
  return `M${x} ${link.end - 7}V${link.end + 7}`;
}

export interface WireProps {
  drawn: Picture;
  index: number;
  links: readonly Link[];
}

export function Wire({ drawn, index, links }: WireProps) {
  const { path, dots } = wirePath(drawn, index, links);
  const bars = links.map((link) => barPath(drawn, link)).join("");
  return (
    <>
      <path class="wire" d={path} />
      {dots.map(([x, y]) => (
        <circle class="dot" cx={x} cy={y} r={DOT} />
      ))}
      {bars && <path class="bar" d={bars} />}
    </>
  );
}

// --- boxes -----------------------------------------------------------------------------------------------------------

/** The drawn shape with what stands in it. */
export function Body({ part, x, y }: { part: Part; x: number; y: number }) {
  const { half, shape } = part;
  if (shape === "name") {
    const kind = part.box.kind === "stub" ? "muted end" : "end";
    return (
      <text class={kind} x={x - label.near} y={y + 4}>
        {clean(part.lines[0])}
      </text>
    );
  }
  const top = y - Math.floor((part.lines.length * font.line) / 2) + font.line - 4;
  return (
    <>
      {shape === "circle" ? <circle class="gate" cx={x} cy={y} r={half} /> : <Rectangle part={part} x={x} y={y} />}
      {part.lines.map((text, place) => {
        const isSymbol = shape === "circle" && Array.from(text).length === 1;
        const kind = isSymbol ? "middle symbol" : place && shape === "fold" ? "middle muted" : "middle";
        return (
          <text class={kind} x={x} y={top + place * font.line + (isSymbol ? 2 : 0)}>
            {clean(text)}
          </text>
        );
      })}
    </>
  );
}

function Rectangle({ part, x, y }: { part: Part; x: number; y: number }) {
  const { half, rise, shape } = part;
  const outer = { x: x - half, y: y - rise, width: 2 * half, height: 2 * rise, rx: shape === "pill" ? rise : 6 };
  if (shape !== "fold") return <rect class="gate" {...outer} />;
  const inner = { x: x - half + 3, y: y - rise + 3, width: 2 * half - 6, height: 2 * rise - 6, rx: 4 };
  return (
    <>
      <rect class="gate fold" {...outer} />
      <rect class="inner" {...inner} />
    </>
  );
}

/** The ring around a box, at a distance. */
export function Ring({ part, x, y, kind }: { part: Part; x: number; y: number; kind: string }) {
  const { half, rise, shape } = part;
  if (shape === "circle") return <circle class={`ring ${kind}`} cx={x} cy={y} r={half + 4} />;
  const isName = shape === "name";
  const left = isName ? x - half - 2 : x - half - 4;
  const width = isName ? half + 2 : 2 * half + 8;
  const tall = isName ? 11 : rise + 4;
  return <rect class={`ring ${kind}`} x={left} y={y - tall} width={width} height={2 * tall} rx={9} />;
}

// --- labels ----------------------------------------------------------------------------------------------------------

/** A figure that ends above a wire: chart, then lines. */
export function Above({ figure, x, y }: { figure: Figure; x: number; y: number }) {
  const { clear } = label;
  const chartTop = y - 2 * clear - figure.lines.length * font.line - chartSize(figure.chart)[1];
  return (
    <>
      {figure.lines.map((text, place) => (
        <text class="value" x={x} y={y - clear - 1 - (figure.lines.length - 1 - place) * font.line}>
          {text}
        </text>
      ))}
      <Chart chart={figure.chart} x={x} y={chartTop} />
    </>
  );
}

/** A figure that begins below a wire. */
export function Below({ figure, x, y }: { figure: Figure; x: number; y: number }) {
  const { clear } = label;
  return (
    <>
      {figure.lines.map((text, place) => (
        <text class="gradient" x={x} y={y + clear + font.line - 5 + place * font.line}>
          {text}
        </text>
      ))}
      <Chart chart={figure.chart} x={x} y={y + 2 * clear + figure.lines.length * font.line - 3} />
    </>
  );
}

/** The small heat map of a matrix, or the histogram of what has one axis. */
export function Chart({ chart, x, y }: { chart: ArrayEntry | undefined; x: number; y: number }) {
  if (chart?.map) {
    const paths = [...levelPaths(chart.map, x, y)].sort(([a], [b]) => a - b);
    return (
      <>
        {paths.map(([level, path]) => (
          <path class={`h${level}`} d={path} />
        ))}
      </>
    );
  }
  if (!chart?.histogram) return null;
  const { counts } = chart.histogram;
  const highest = Math.max(...counts);
  const bars = counts.map((count, place) => {
    const high = Math.max(Math.floor((count * BAR[1]) / highest), 1);
    return count ? `M${x + place * BAR[0]} ${y + BAR[1]}v-${high}h${BAR[0] - 1}v${high}z` : "";
  });
  return <path class="chart" d={bars.join("")} />;
}

/** Cells by level: three below zero, zero, three above. */
function levelPaths(map: HeatMap, x: number, y: number): Map<number, string> {
  const cells = map.data.map(numeric);
  const largest = cells.reduce((most, each) => (Number.isFinite(each) ? Math.max(most, Math.abs(each)) : most), 0);
  const paths = new Map<number, string>();
  cells.forEach((cell, at) => {
    const [row, column] = [Math.floor(at / map.columns), at % map.columns];
    const level = levelOf(cell, largest);
    const [left, top] = [x + column * CELL[0], y + row * CELL[1]];
    paths.set(level, `${paths.get(level) ?? ""}M${left} ${top}h${CELL[0]}v${CELL[1]}h-${CELL[0]}z`);
  });
  return paths;
}

const STEPS = [1 / 6, 1 / 2, 5 / 6] as const;

/** Of seven levels, the middle one for what is less than a sixth of the largest. */
export function levelOf(x: number, largest: number): number {
  if (!largest || !Number.isFinite(x)) return 3;
  const share = x / largest;
  return 3 + STEPS.filter((step) => share > step).length - STEPS.filter((step) => share < -step).length;
}
