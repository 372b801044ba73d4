/** The network as the lecture draws it: layers of neurons; one neuron; its gates. Activations with their derivatives. */

import { useSignal } from "@preact/signals";
import type { ArrayEntry } from "../document";
import { constantsOf, elements } from "../document";
import { select } from "../graph/moves";
import type { Layer } from "../network";
import { layersOf, neuron } from "../network";
import { scalarOp } from "../ops";
import { number } from "../picture/digits";
import { summary } from "../picture/figures";
import type { Store } from "../store";
import { labelOf } from "../words";
import type { ViewProps } from "./index";

const MOST = 10; // neurons drawn of a layer
const [ACROSS, DOWN, RADIUS] = [170, 44, 15];
const MOST_INPUTS = 12;

export function NetworkView({ store }: ViewProps) {
  const { t } = store;
  const layers = layersOf(store.document.value.graph);
  const chosen = useSignal<{ layer: number; unit: number }>({ layer: 0, unit: 0 });
  if (!layers.length) return <p class="page-view muted">{t("networkNone")}</p>;
  const at = Math.min(chosen.value.layer, layers.length - 1);
  const layer = layers[at];
  const unit = Math.min(chosen.value.unit, layer.units - 1);
  const sizes = [layers[0].inputs, ...layers.map((each) => each.units)];
  return (
    <div class="page-view network">
      <section>
        <h2>
          {sizes.join("-")}: {t("layerCount", layers.length, layers.length - 1)}
        </h2>
        <Diagram store={store} sizes={sizes} at={at} unit={unit} choose={(l, u) => (chosen.value = { layer: l, unit: u })} />
      </section>
      <div>
        <Neuron store={store} layer={layer} unit={unit} place={at} />
        <Activation store={store} layer={layer} />
      </div>
    </div>
  );
}

interface DiagramProps {
  store: Store;
  sizes: readonly number[];
  at: number;
  unit: number;
  choose: (layer: number, unit: number) => void;
}

/** The units of a layer that are drawn; -1 stands for those left out. */
function drawnUnits(size: number): number[] {
  if (size <= MOST) return Array.from({ length: size }, (_, unit) => unit);
  return [...Array.from({ length: MOST - 2 }, (_, unit) => unit), -1, size - 1];
}

function Diagram({ store, sizes, at, unit, choose }: DiagramProps) {
  const { t } = store;
  const columns = sizes.map(drawnUnits);
  const high = Math.max(...columns.map((units) => units.length)) * DOWN + 34;
  const y = (column: number, row: number) => high / 2 + (row - (columns[column].length - 1) / 2) * DOWN - 8;
  const x = (column: number) => 60 + column * ACROSS;
  const names = sizes.map((_, column) =>
    column === 0 ? t("layerInput") : column === sizes.length - 1 ? t("layerOutput") : t("layer", column),
  );
  const onKey = (event: KeyboardEvent, column: number, own: number) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(column - 1, own);
  };
  return (
    <svg class="diagram" width={x(sizes.length - 1) + 60} height={high} role="group" aria-label={t("network")}>
      {columns.slice(1).flatMap((units, before) =>
        units.flatMap((own, row) =>
          columns[before].map((from, start) => {
            const isOwn = before === at && own === unit;
            if (own < 0 || from < 0) return null;
            const path = `M${x(before) + RADIUS} ${y(before, start)}L${x(before + 1) - RADIUS} ${y(before + 1, row)}`;
            return <path class={isOwn ? "wire own" : "wire thin"} d={path} />;
          }),
        ),
      )}
      {columns.map((units, column) => (
        <g>
          {units.map((own, row) =>
            own < 0 ? (
              <text class="middle" x={x(column)} y={y(column, row) + 5}>
                ⋮
              </text>
            ) : column === 0 ? (
              <circle class="gate" cx={x(0)} cy={y(0, row)} r={RADIUS} />
            ) : (
              <circle
                class={column - 1 === at && own === unit ? "gate pick" : "gate"}
                role="button"
                tabindex={0}
                aria-label={`${names[column]}: ${t("neuron", own + 1, sizes[column])}`}
                cx={x(column)}
                cy={y(column, row)}
                r={RADIUS}
                onClick={() => choose(column - 1, own)}
                onKeyDown={(event) => onKey(event, column, own)}
              />
            ),
          )}
          <text class="middle small muted" x={x(column)} y={high - 6}>
            {names[column]} ({sizes[column]})
          </text>
        </g>
      ))}
    </svg>
  );
}

interface NeuronProps {
  store: Store;
  layer: Layer;
  unit: number;
  place: number;
}

/** One neuron: each input times its weight, the sum with the bias, the activation. */
function Neuron({ store, layer, unit, place }: NeuronProps) {
  const { t } = store;
  const made = neuron(store.trace.value, layer, unit);
  const show = (node: number) => {
    select(store, node);
    store.view.value = "graph";
  };
  const text = (x: number | null | undefined) => (x === null || x === undefined ? "?" : number(x, 3));
  return (
    <section>
      <h2>
        {t("layer", place + 1)}: {t("neuron", unit + 1, layer.units)}
      </h2>
      {made && (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{t("inputs")}</th>
              <th scope="col">{t("weights")}</th>
              <th scope="col">×</th>
            </tr>
          </thead>
          <tbody>
            {made.weights.slice(0, MOST_INPUTS).map((weight, input) => (
              <tr>
                <td class="value">{text(made.inputs[input])}</td>
                <td class="value">{text(weight)}</td>
                <td class="value">{made.inputs.length ? text(made.inputs[input] * weight) : "?"}</td>
              </tr>
            ))}
            {made.weights.length > MOST_INPUTS && (
              <tr>
                <td>…</td>
                <td>{made.weights.length}</td>
                <td />
              </tr>
            )}
          </tbody>
        </table>
      )}
      <p class="formula">
        Σ {layer.bias >= 0 && `+ ${t("bias")} ${text(made?.bias)}`} = {text(made?.sum)}
        {layer.activation && ` → ${layer.activation}(…) = ${text(made?.output)}`}
      </p>
      <button onClick={() => show(layer.before)}>{t("asGates")}</button>{" "}
      <button onClick={() => show(layer.weights)}>{labelOf(store, layer.weights)}</button>
    </section>
  );
}

// --- activations -----------------------------------------------------------------------------------------------------

const [WIDE, HIGH, SPAN, POINTS] = [320, 190, 6, 121];
const FLAT = 0.05; // a derivative below this share of its largest is called saturated

/** The activation and its derivative, saturated zones shaded, and where the layer's sums really lie. */
function Activation({ store, layer }: { store: Store; layer: Layer }) {
  const { t } = store;
  const op = scalarOp(layer.activation);
  const constants = constantsOf(store.document.value.graph, layer.after).slice(1);
  const at = (x: number) => op?.forward(x, ...constants) ?? NaN;
  const held = store.trace.value?.values[layer.before];
  const data = elements(held);
  const { shape, dtype } = store.document.value.graph.nodes;
  const made: ArrayEntry | null = data
    ? summary({ data, shape: shape[layer.before], dtype: dtype[layer.before] })
    : held !== null && typeof held === "object"
      ? held
      : null;
  const bins = made?.histogram;
  return (
    <section>
      <h2>
        {t("activation")}: {layer.activation || t("linear")}
      </h2>
      <svg width={WIDE} height={HIGH} role="img" aria-label={`${layer.activation} ${t("derivative")}`}>
        {op && <Curves forward={at} slope={(x) => op.locals[0]([x, ...constants], at(x), [true])} />}
        {bins && <Sums low={bins.low} high={bins.high} counts={bins.counts} />}
      </svg>
      <ul class="legend">
        {op && <li class="value">{layer.activation}</li>}
        {op && <li class="gradient">{t("derivative")}</li>}
        {op && <li>▒ {t("saturated")}</li>}
        {bins && <li>▁▃▅ {t("preActivations")}</li>}
      </ul>
    </section>
  );
}

const across = (x: number): number => ((x + SPAN) / (2 * SPAN)) * WIDE;

interface CurvesProps {
  forward: (x: number) => number;
  slope: (x: number) => number;
}

function Curves({ forward, slope }: CurvesProps) {
  const xs = Array.from({ length: POINTS }, (_, at) => -SPAN + (2 * SPAN * at) / (POINTS - 1));
  const [ys, slopes] = [xs.map(forward), xs.map(slope)];
  const high = Math.min(2, Math.max(...ys, ...slopes));
  const low = Math.max(-2, Math.min(...ys, ...slopes, 0));
  const up = (y: number) => 12 + ((high - y) / (high - low)) * (HIGH - 60);
  const path = (of: readonly number[]) => of.map((y, at) => `${at ? "L" : "M"}${across(xs[at])} ${up(y)}`).join("");
  const steepest = Math.max(...slopes.map(Math.abs));
  const step = WIDE / (POINTS - 1);
  return (
    <>
      {xs.map((x, at) =>
        Math.abs(slopes[at]) < FLAT * steepest ? (
          <rect class="shade" x={across(x) - step / 2} y={0} width={step} height={HIGH - 34} />
        ) : null,
      )}
      <path class="wire" d={`M0 ${up(0)}H${WIDE}M${across(0)} 8V${HIGH - 36}`} />
      <path class="curve value" d={path(ys)} />
      <path class="curve gradient" d={path(slopes)} />
      <text class="small muted middle" x={across(-SPAN) + 12} y={HIGH - 38}>
        −{SPAN}
      </text>
      <text class="small muted middle" x={across(SPAN) - 8} y={HIGH - 38}>
        {SPAN}
      </text>
    </>
  );
}

/** The histogram of the sums of a layer, on the axis of the curves. */
function Sums({ low, high, counts }: { low: number; high: number; counts: readonly number[] }) {
  const most = Math.max(...counts);
  const wide = (high - low) / counts.length;
  return (
    <>
      {counts.map((count, at) => {
        const [left, right] = [across(low + at * wide), across(low + (at + 1) * wide)];
        const tall = (count / most) * 30;
        if (!count || right < 0 || left > WIDE) return null;
        return <rect class="chart" x={left} y={HIGH - tall} width={Math.max(1, right - left - 1)} height={tall} />;
      })}
    </>
  );
}
