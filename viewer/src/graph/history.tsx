/** Where a node comes from: the leaves it is made of; its numbers in every trace; its layer's figures in the training. */

import { useMemo } from "preact/hooks";
import type { Graph } from "../document";
import { wiring } from "../document";
import { Figures } from "../picture/figures";
import { brief, scaleOf, share, thinned } from "../studio/scale";
import type { StripName } from "../studio/run";
import { followed } from "../studio/studio";
import type { Store } from "../store";
import { clean, grouped } from "../tokens";
import { spoken } from "../words";
import { Links } from "./links";

export function History({ store, node }: { store: Store; node: number }) {
  const { graph } = store.document.value;
  const { leaves, gates } = useMemo(() => origins(graph, node), [graph, node]);
  if (!gates && store.document.value.traces.length < 2) return null;
  return (
    <section class="history">
      <h3>{store.t("history")}</h3>
      {gates > 0 && (
        <p>
          {store.t("historyFrom", grouped(gates))} <Links store={store} nodes={leaves} />
        </p>
      )}
      <Traces store={store} node={node} />
      <Layer store={store} node={node} />
    </section>
  );
}

/** The leaves that a node depends on, and how many gates are between, itself included. */
export function origins(graph: Graph, node: number): { leaves: number[]; gates: number } {
  const { entering } = wiring(graph);
  const seen = new Uint8Array(graph.count);
  const leaves: number[] = [];
  const stack = [node];
  let gates = 0;
  seen[node] = 1;
  while (stack.length) {
    const at = stack.pop() as number;
    if (graph.nodes.kind[at] === "op") gates += 1;
    else leaves.push(at);
    for (const edge of entering[at]) {
      const source = graph.edges.source[edge];
      if (!seen[source]) stack.push(source);
      seen[source] = 1;
    }
  }
  return { leaves: leaves.sort((a, b) => a - b), gates };
}

/** The node in every trace of the document, the first on top. */
function Traces({ store, node }: { store: Store; node: number }) {
  const { t } = store;
  const document = store.document.value;
  if (document.traces.length < 2) return null;
  const text = (trace: number, what: "value" | "gradient") =>
    store.isHidden(node, what) ? "?" : spoken(new Figures(document, document.traces[trace], store.settings.value)[what](node));
  return (
    <table class="plain">
      <thead>
        <tr>
          <td />
          <th scope="col">{t("value")}</th>
          <th scope="col">{t("gradient")}</th>
        </tr>
      </thead>
      <tbody>
        {document.traces.map((trace, place) => (
          <tr>
            <th scope="row">{clean(trace.title) || place + 1}</th>
            <td class="value">{text(place, "value")}</td>
            <td class="gradient">{text(place, "gradient")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// --- in a training ---------------------------------------------------------------------------------------------------

const [WIDE, HIGH] = [230, 36];
const SHOWN = [["gradient", "stripGradient"], ["update", "stripUpdate"], ["spread", "stripSpread"]] as const;

/** Of a graph that was opened from a run, what the layer of the node went through. */
function Layer({ store, node }: { store: Store; node: number }) {
  const studio = followed(store);
  const { nodes, modules } = store.document.value.graph;
  void studio?.version.value; // the run is changed in place
  const run = studio?.run.value;
  const path = modules[nodes.module[node]]?.path;
  const layer = run?.head?.layers.findIndex((each) => each.path === path) ?? -1;
  if (!run || path === undefined || layer < 0 || run.looks.length < 2) return null;
  const series = (name: StripName) => run.looks.map((look) => look.strips[name][layer] ?? NaN);
  return (
    <>
      <p class="muted">{store.t("historyLayer", clean(path), grouped(run.looks[run.looks.length - 1].step))}</p>
      {SHOWN.map(([name, key]) => (
        <Line title={store.t(key)} values={series(name)} />
      ))}
    </>
  );
}

function Line({ title, values }: { title: string; values: readonly number[] }) {
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return null;
  const scale = scaleOf(finite);
  const points = thinned(values, WIDE).filter(([, value]) => Number.isFinite(value));
  const x = (place: number) => ((place * WIDE) / Math.max(1, values.length - 1)).toFixed(1);
  const y = (value: number) => (HIGH - 2 - share(scale, value) * (HIGH - 4)).toFixed(1);
  return (
    <figure class="spark">
      <figcaption>
        {title}: {brief(finite[0])} → {brief(finite[finite.length - 1])}
      </figcaption>
      <svg width={WIDE} height={HIGH} aria-hidden="true">
        <path class="curve value" d={points.map(([at, value], place) => `${place ? "L" : "M"}${x(at)} ${y(value)}`).join("")} />
      </svg>
    </figure>
  );
}
