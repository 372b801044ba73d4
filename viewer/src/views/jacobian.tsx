/** The local Jacobian of the selected gate: a heat map while it is small, else its structure and its cost. */

import { useSignal } from "@preact/signals";
import { wiring } from "../document";
import { select } from "../graph/moves";
import { levelOf } from "../graph/shapes";
import type { Jacobian } from "../jacobian";
import { MOST_ENTRIES, bytes, jacobian } from "../jacobian";
import { number } from "../picture/digits";
import { grouped } from "../tokens";
import type { Store } from "../store";
import { formulaOf, labelOf } from "../words";
import type { ViewProps } from "./index";

const WIDEST = 640;
const READABLE = 144; // entries up to which the numbers are written in the cells

export function JacobianView({ store }: ViewProps) {
  const { graph } = store.document.value;
  const place = useSignal(0);
  const gate = gateOf(store);
  const gates = graph.nodes.kind.flatMap((kind, node) => (kind === "op" ? [node] : [])).slice(0, 2000);
  const edges = gate < 0 ? [] : wiring(graph).entering[gate];
  const edge = edges[Math.min(place.value, edges.length - 1)];
  return (
    <div class="page-view">
      <p>
        <select
          aria-label={store.t("kindOp")}
          value={gate}
          onChange={(event) => select(store, Number(event.currentTarget.value))}
        >
          {gates.map((node) => (
            <option value={node}>
              {labelOf(store, node)} = {formulaOf(store, node)}
            </option>
          ))}
        </select>{" "}
        <label>
          {store.t("jacobianInput")}{" "}
          <select value={place.value} onChange={(event) => (place.value = Number(event.currentTarget.value))}>
            {edges.map((each, at) => (
              <option value={at}>{labelOf(store, graph.edges.source[each])}</option>
            ))}
          </select>
        </label>
      </p>
      {edge === undefined ? <p class="muted">{store.t("jacobianPick")}</p> : <Matrix store={store} edge={edge} />}
    </div>
  );
}

/** The selected gate; of a leaf, the first that uses it; else the output. */
function gateOf(store: Store): number {
  const { graph } = store.document.value;
  const node = store.node.value;
  if (node >= 0 && graph.nodes.kind[node] === "op") return node;
  const users = node < 0 ? [] : wiring(graph).leaving[node];
  const first = users.length ? graph.edges.target[users[0]] : graph.output;
  return graph.nodes.kind[first] === "op" ? first : -1;
}

function Matrix({ store, edge }: { store: Store; edge: number }) {
  const { t } = store;
  const { graph } = store.document.value;
  const made = jacobian(graph, store.asks.value ? undefined : store.trace.value, edge);
  const isLarge = made.rows * made.columns > MOST_ENTRIES;
  const [out, input] = [labelOf(store, graph.edges.target[edge]), labelOf(store, graph.edges.source[edge])];
  return (
    <>
      <h2>{t("jacobianOf", out, input, grouped(made.rows), grouped(made.columns))}</h2>
      <p>
        {t(made.structure)}
        {made.filled !== null && `: ${t("jacobianEntries", grouped(made.filled), grouped(made.rows * made.columns))}`}
      </p>
      <p class="muted">{t("jacobianCost", bytes(made.rows * made.columns))}</p>
      {made.data ? (
        <HeatMap made={made} data={made.data} />
      ) : (
        <>
          <p class="muted">
            {isLarge ? t("jacobianLarge", grouped(MOST_ENTRIES)) : t("jacobianNumbers")}
          </p>
          <Scheme structure={made.structure} />
        </>
      )}
    </>
  );
}

function HeatMap({ made: { rows, columns }, data }: { made: Jacobian; data: readonly number[] }) {
  const isReadable = data.length <= READABLE;
  const cell = Math.max(4, Math.min(isReadable ? 64 : 24, Math.floor(WIDEST / columns), isReadable ? 64 : 24));
  const high = isReadable ? Math.min(cell, 32) : cell;
  const largest = data.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
  return (
    <svg
      role="img"
      aria-label={`${rows} × ${columns}`}
      width={columns * cell + 1}
      height={rows * high + 1}
      style={{ maxWidth: "none" }}
    >
      {data.map((x, at) => {
        const [left, top] = [(at % columns) * cell, Math.floor(at / columns) * high];
        const level = levelOf(x, largest);
        return (
          <g>
            <rect class={`h${level} cell`} x={left} y={top} width={cell} height={high}>
              <title>{`[${Math.floor(at / columns)}, ${at % columns}] = ${x}`}</title>
            </rect>
            {isReadable && cell >= 40 && (
              <text class={`middle small ${level === 0 || level === 6 ? "strong" : ""}`} x={left + cell / 2} y={top + high / 2 + 4}>
                {x === 0 ? "0" : number(x, 2)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

const SIDE = 160;
const PARTS = 8;

/** The structure of a large Jacobian as a sketch: where entries may be other than 0. */
function Scheme({ structure }: { structure: string }) {
  const part = SIDE / PARTS;
  const places = Array.from({ length: PARTS }, (_, at) => at);
  const turned = (at: number) => (at * 3 + 1) % PARTS;
  return (
    <svg width={SIDE + 2} height={SIDE + 2} aria-hidden="true">
      <rect class="gate" x={1} y={1} width={SIDE} height={SIDE} />
      {structure === "structureDiagonal" && <path class="curve value" d={`M1 1L${SIDE} ${SIDE}`} />}
      {structure === "structureBlocks" &&
        places.map((at) => <rect class="h6" x={1 + at * part} y={1 + at * part} width={part} height={part} />)}
      {structure === "structurePermutation" &&
        places.map((at) => <rect class="h6" x={1 + turned(at) * part} y={1 + at * part} width={4} height={4} />)}
      {(structure === "structureOnes" || structure === "structureDense") && (
        <rect class="h5" x={1} y={1} width={SIDE} height={SIDE} />
      )}
    </svg>
  );
}
