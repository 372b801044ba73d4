/** Everything about the selected node; on a circuit of numbers also what a change and a wiggle of it would do. */

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import type { Row } from "../callout";
import { callout, isNumber } from "../callout";
import type { ArrayEntry, Entry } from "../document";
import { elements, numeric, opName, wiring } from "../document";
import { entry, number, shapeText } from "../picture/digits";
import { summary } from "../picture/figures";
import type { Store } from "../store";
import type { Key } from "../strings";
import { clean, grouped } from "../tokens";
import { formulaOf, labelOf } from "../words";
import { History } from "./history";
import { Links } from "./links";
import { foldUp, neighbours, open } from "./moves";
import { Quiz } from "./quiz";
import { Chart } from "./shapes";

const MOST_NUMBERS = 512;

export function Inspector({ store }: { store: Store }) {
  const node = store.node.value;
  return (
    <aside class="inspector" aria-label={store.t("inspector")}>
      {store.questions.value.length > 0 && <Quiz store={store} />}
      {node < 0 ? <p class="muted">{store.t("nothingSelected")}</p> : <Details store={store} node={node} />}
      {store.edits.value.size > 0 && <Edited store={store} />}
    </aside>
  );
}

function Details({ store, node }: { store: Store; node: number }) {
  const { graph } = store.document.value;
  const { nodes, modules, files } = graph;
  const { t } = store;
  const kind = `kind${nodes.kind[node][0].toUpperCase()}${nodes.kind[node].slice(1)}` as Key;
  const formula = formulaOf(store, node);
  const module = nodes.module[node];
  const file = nodes.file[node];
  const { inputs, users } = neighbours(store, node);
  return (
    <>
      <h2>{labelOf(store, node)}</h2>
      {formula && <p class="formula">{formula}</p>}
      <Folds store={store} />
      <Numbers store={store} node={node} what="value" />
      <Numbers store={store} node={node} what="gradient" />
      {formula && <Locals store={store} node={node} />}
      {store.isEditable(node) && <WhatIf store={store} node={node} />}
      {store.circuit.value && <Wiggle store={store} node={node} />}
      <dl>
        <Line title={t("kind")}>{t(kind)}</Line>
        {nodes.kind[node] === "op" && <Line title={t("op")}>{opName(graph, node)}</Line>}
        <Line title={t("shape")}>{shapeText(nodes.shape[node])}</Line>
        <Line title={t("dtype")}>{nodes.dtype[node]}</Line>
        {module >= 0 && (
          <Line title={t("module")}>
            {clean(modules[module].path)} ({clean(modules[module].type)})
          </Line>
        )}
        {file >= 0 && (
          <Line title={t("source")}>
            {clean(files[file])}:{nodes.line[node]}
          </Line>
        )}
        {inputs.length > 0 && (
          <Line title={t("inputs")}>
            <Links store={store} nodes={inputs} />
          </Line>
        )}
        {users.length > 0 && (
          <Line title={t("uses")}>
            <Links store={store} nodes={users} />
          </Line>
        )}
      </dl>
      <History store={store} node={node} />
    </>
  );
}

/** Opening a folded box, and folding the module around a node. */
export function Folds({ store }: { store: Store }) {
  const node = store.node.value;
  const box = store.owner.value[node];
  const isFolded = store.picture.value.parts[box]?.box.kind === "fold";
  const canFold = store.document.value.graph.nodes.module[node] >= 0 || (store.settings.value.open ?? []).length > 0;
  return (
    <p>
      {isFolded && <button onClick={() => open(store, box)}>{store.t("unfold")}</button>}{" "}
      {canFold && <button onClick={() => foldUp(store)}>{store.t("foldUp")}</button>}
    </p>
  );
}

function Line({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}

// --- numbers ---------------------------------------------------------------------------------------------------------

function Numbers({ store, node, what }: { store: Store; node: number; what: "value" | "gradient" }) {
  const { t, trace } = store;
  const known = trace.value;
  const isHidden = store.isHidden(node, what);
  const box = store.owner.value[node];
  const now = store.moment.value;
  const held = what === "value" ? known?.values[node] : known?.gradients[node];
  const isReached = box === undefined || box < 0 || (what === "value" ? now.hasValue(box) : now.hasGradient(box));
  return (
    <section class={what}>
      <h3>{t(what)}</h3>
      {isHidden ? (
        <p>?</p>
      ) : !isReached || held === undefined || held === null ? (
        <p class="muted">{absence(store, node, what, isReached)}</p>
      ) : (
        <Held store={store} node={node} held={held} />
      )}
    </section>
  );
}

function absence(store: Store, node: number, what: "value" | "gradient", isReached: boolean): string {
  const state = store.trace.value?.states[node];
  if (what === "value" || !isReached || state === undefined || state === "unknown") return store.t("notYet");
  return store.t(state === "none" ? "noPath" : "stopped");
}

function Held({ store, node, held }: { store: Store; node: number; held: Entry }) {
  const { figures } = store.picture.value;
  const { shape, dtype } = store.document.value.graph.nodes;
  const { t } = store;
  const data = elements(held);
  const figure = figures.figure(held, node);
  if (!figure.chart) return <pre>{figure.lines.join("\n")}</pre>;
  const made: ArrayEntry = data ? summary({ data, shape: shape[node], dtype: dtype[node] }) : (held as ArrayEntry);
  const { statistics } = made;
  const text = (x: number | string | undefined) => (x === undefined ? "" : number(numeric(x), 4));
  return (
    <>
      {statistics?.min !== undefined && (
        <dl>
          <Line title={t("range")}>
            {text(statistics.min)} … {text(statistics.max)}
          </Line>
          <Line title={t("mean")}>
            {text(statistics.mean)} ± {text(statistics.std)}
          </Line>
          {statistics.zeros > 0 && <Line title={t("zeros")}>{grouped(statistics.zeros)}</Line>}
          {statistics.infinite > 0 && <Line title={t("notFinite")}>{grouped(statistics.infinite)}</Line>}
        </dl>
      )}
      <svg class="charts" width={230} height={made.map ? 80 : 30} aria-hidden="true">
        <Chart chart={made.histogram && { histogram: made.histogram }} x={0} y={0} />
        <Chart chart={made.map && { map: made.map }} x={0} y={30} />
      </svg>
      {data && data.length <= MOST_NUMBERS && (
        <details>
          <summary>{t("numbers")}</summary>
          <pre>{rowsOf(data, shape[node], dtype[node], Math.max(figures.digits, 4))}</pre>
        </details>
      )}
    </>
  );
}

function rowsOf(data: readonly number[], shape: readonly number[], dtype: string, digits: number): string {
  const across = shape[shape.length - 1] || 1;
  const texts = data.map((x) => entry(x, dtype, digits));
  const wide = Math.max(...texts.map((text) => text.length));
  const rows: string[] = [];
  for (let at = 0; at < texts.length; at += across) {
    rows.push(texts.slice(at, at + across).map((text) => text.padStart(wide)).join(" "));
  }
  return rows.join("\n");
}

/** The local gradients of a gate, by input, with the way to its whole Jacobian. */
function Locals({ store, node }: { store: Store; node: number }) {
  const { t } = store;
  const out = labelOf(store, node);
  const said = callout(store, node);
  return (
    <section>
      <h3>{t("localGradients")}</h3>
      {said.rows.map((row, place) => (
        <p class="formula">
          {said.equations[place] ?? `∂${out}/∂${row.label}${row.formula && ` = ${row.formula}`}${localText(row)}`}
        </p>
      ))}
      <button onClick={() => (store.view.value = "jacobian")}>{t("jacobian")}</button>
    </section>
  );
}

const LONGEST = 40;

/** The number of a local gradient, unless its formula is the number already or it is a large array. */
function localText(row: Row): string {
  return !row.local || isNumber(row) || row.local.length > LONGEST ? "" : ` = ${row.local}`;
}

// --- what if ---------------------------------------------------------------------------------------------------------

function WhatIf({ store, node }: { store: Store; node: number }) {
  const { t } = store;
  const value = store.circuit.value?.values(store.edits.value)[node] ?? 0;
  const recorded = store.circuit.value?.recorded[node] ?? 0;
  const reach = Math.max(2, 2 * Math.abs(recorded));
  const set = (text: string) => {
    const x = Number(text);
    if (text.trim() && Number.isFinite(x)) store.edit(node, x);
  };
  return (
    <section class="what-if">
      <h3>{t("whatIf")}</h3>
      <p class="muted">{t("whatIfHint")}</p>
      <input
        type="number"
        step="any"
        value={value}
        aria-label={t("quizValue", labelOf(store, node))}
        onChange={(event) => set(event.currentTarget.value)}
      />
      <input
        type="range"
        min={recorded - reach}
        max={recorded + reach}
        step={reach / 100}
        value={value}
        aria-label={t("quizValue", labelOf(store, node))}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </section>
  );
}

function Edited({ store }: { store: Store }) {
  const names = [...store.edits.value].map(([node, value]) => `${labelOf(store, node)} = ${value}`);
  return (
    <p class="edited">
      {store.t("edited", names.join(", "))}{" "}
      <button onClick={() => (store.edits.value = new Map())}>{store.t("reset")}</button>
    </p>
  );
}

/** How the output really changes when a value moves by h, beside what the gradient says; also arm by arm. */
function Wiggle({ store, node }: { store: Store; node: number }) {
  const h = useSignal(0.001);
  const { t } = store;
  const circuit = store.circuit.value;
  const trace = store.trace.value;
  const { graph } = store.document.value;
  const gradient = trace?.gradients[node];
  if (!circuit || typeof gradient !== "number" || store.isHidden(node, "gradient")) return null;
  const { leaving } = wiring(graph);
  const change = (bump: { node?: number; edge?: number }) =>
    number(circuit.change(store.edits.value, { ...bump, by: h.value }), 6);
  const arms = leaving[node].length > 1 ? leaving[node] : [];
  const row = (name: string, truth: string, claim: number) => (
    <tr>
      <th scope="row">{name}</th>
      <td class="value">{truth}</td>
      <td class="gradient">{number(claim * h.value, 6)}</td>
    </tr>
  );
  return (
    <section class="wiggle">
      <h3>{t("wiggle")}</h3>
      <label>
        h = <input type="number" step="any" value={h.value} onInput={(e) => readStep(h, e.currentTarget.value)} />
      </label>
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col">Δ{labelOf(store, graph.output)}</th>
            <th scope="col">{t("wiggleClaim")}</th>
          </tr>
        </thead>
        <tbody>
          {row(labelOf(store, node), change({ node }), gradient)}
          {arms.map((edge) => {
            const term = trace?.contributions[edge];
            const name = t("wiggleArm", labelOf(store, graph.edges.target[edge]));
            return row(name, change({ edge }), typeof term === "number" ? term : 0);
          })}
        </tbody>
      </table>
    </section>
  );
}

function readStep(h: { value: number }, text: string): void {
  const x = Number(text);
  if (text.trim() && Number.isFinite(x) && x !== 0) h.value = x;
}
