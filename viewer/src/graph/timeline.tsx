/** The steps below the picture: buttons, a slider, and the callout of the gate at which the reader stands. */

import { useEffect } from "preact/hooks";
import type { Callout, Row } from "../callout";
import { callout, isNumber } from "../callout";
import { wiring } from "../document";
import { spoken, formulaOf, labelOf } from "../words";
import type { Store } from "../store";
import { END, lastStep } from "../store";

const PAUSE = 900; // milliseconds between steps that play

/** Go to a step and say it. */
export function goTo(store: Store, step: number): void {
  const last = lastStep(store);
  const to = Math.max(0, Math.min(step, last));
  store.step.value = to === last ? END : to;
  const { current } = store.moment.value;
  if (current >= 0) store.node.value = store.picture.value.parts[current].box.node;
  store.said.value = announcement(store);
}

export function goBy(store: Store, steps: number): void {
  goTo(store, store.moment.value.step + steps);
}

/** What the live region reads of a step. */
export function announcement(store: Store): string {
  const { current, phase } = store.moment.value;
  if (current < 0) return store.t("stepBefore");
  const { node, kind, members } = store.picture.value.parts[current].box;
  const head = `${heading(store)}: ${labelOf(store, node)} = ${formulaOf(store, node)}`;
  if (kind === "fold") return `${heading(store)}: ${store.t("stepFold", members.length)}`;
  if (phase === "forward") return `${head} = ${valueText(store, current)}`;
  const said = callout(store, node);
  const pattern = said.pattern ? `${said.pattern}. ` : "";
  return `${head}. ${pattern}${said.rows.map(product).filter(Boolean).join("; ")}`;
}

function heading(store: Store): string {
  const { step, phase } = store.moment.value;
  const { forward, backward } = store.timeline.value;
  if (phase === "before") return store.t("stepBefore");
  if (phase === "forward") return store.t("stepForward", step, forward.length);
  return store.t("stepBackward", step - forward.length, backward.length);
}

function valueText(store: Store, box: number): string {
  const part = store.picture.value.parts[box];
  return store.isHidden(part.box.node, "value") ? "?" : spoken(part.value);
}

const LONGEST = 72; // of a product in letters; of matrices only the result is written

/** upstream × local = downstream in numbers; empty where nothing flows. */
function product(row: Row): string {
  if (!row.downstream) return "";
  const isLong = row.upstream.length + row.local.length + row.downstream.length > LONGEST;
  return row.local && !isLong ? `${row.upstream} × ${row.local} = ${row.downstream}` : row.downstream;
}

export function TimelineBar({ store }: { store: Store }) {
  const { t, playing } = store;
  const now = store.moment.value;
  const last = lastStep(store);
  useEffect(() => {
    if (!playing.value) return undefined;
    const timer = setTimeout(() => {
      goBy(store, 1);
      if (store.moment.value.isOver) playing.value = false;
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [playing.value, now.step]);
  const { forward } = store.timeline.value;
  return (
    <section class="timeline" aria-label={t("steps")}>
      <div class="transport">
        <button onClick={() => goTo(store, 0)} aria-label={t("toStart")} title={`${t("toStart")} (Home)`}>
          |◀
        </button>
        <button onClick={() => goBy(store, -1)} aria-label={t("back")} title={`${t("back")} (,)`}>
          ◀
        </button>
        <button onClick={() => togglePlay(store)} aria-label={t(playing.value ? "pause" : "play")}>
          {playing.value ? "❚❚" : "▶"}
        </button>
        <button onClick={() => goBy(store, 1)} aria-label={t("next")} title={`${t("next")} (.)`}>
          ❘▶
        </button>
        <button onClick={() => goTo(store, END)} aria-label={t("toEnd")} title={`${t("toEnd")} (End)`}>
          ▶|
        </button>
        <input
          type="range"
          min={0}
          max={last}
          value={now.step}
          aria-label={t("steps")}
          aria-valuetext={heading(store)}
          onInput={(event) => goTo(store, Number(event.currentTarget.value))}
        />
        <output class={now.phase === "backward" ? "gradient" : "value"}>{heading(store)}</output>
        {forward.length === last && <span class="muted">{t("noGradientYet")}</span>}
      </div>
      <Panel store={store} />
    </section>
  );
}

/** Play from here, or from the start if there is nothing after it. */
export function togglePlay(store: Store): void {
  if (!store.playing.value && store.moment.value.isOver) goTo(store, 0);
  store.playing.value = !store.playing.value;
}

// --- the callout -----------------------------------------------------------------------------------------------------

/** The callout of the gate of this step; at the end, of the gate that is selected. */
function Panel({ store }: { store: Store }) {
  const now = store.moment.value;
  const chosen = store.node.value < 0 ? -1 : store.owner.value[store.node.value];
  const box = now.isOver && chosen >= 0 ? chosen : now.current;
  const part = store.picture.value.parts[box];
  if (!part) return <div class="callout muted">{store.t(now.step ? "nothingSelected" : "stepBefore")}</div>;
  if (part.box.kind === "leaf") return <Leaf store={store} node={part.box.node} />;
  if (part.box.kind === "fold") {
    return <div class="callout">{store.t("stepFold", part.box.members.length)}</div>;
  }
  const said = callout(store, part.box.node);
  return (
    <div class="callout">
      <p class="head">
        <b>
          {labelOf(store, part.box.node)} = {formulaOf(store, part.box.node)}
        </b>
        {now.hasValue(box) && <span class="value"> = {valueText(store, box)}</span>}
        {said.pattern && <span class="pattern">{said.pattern}</span>}
      </p>
      {now.isDone(box) ? <Backward store={store} said={said} /> : <Forward store={store} said={said} />}
    </div>
  );
}

const MOST_USES = 40;

/** Of a leaf, what comes back to it from each of its uses. */
function Leaf({ store, node }: { store: Store; node: number }) {
  const { graph } = store.document.value;
  const uses = wiring(graph).leaving[node].slice(0, MOST_USES);
  const gates = [...new Set(uses.map((edge) => graph.edges.target[edge]))];
  const name = `∂${labelOf(store, graph.output)}/∂${labelOf(store, node)}`;
  return (
    <div class="callout">
      <p class="muted">{store.t("upstreamLocal")}</p>
      {gates.flatMap((gate) =>
        callout(store, gate)
          .rows.filter((row) => row.node === node && row.downstream)
          .map((row) => (
            <p>
              {labelOf(store, gate)} = {formulaOf(store, gate)}
              <span class="gradient">{`   ${name}: ${product(row)}`}</span>
            </p>
          )),
      )}
      <p class="gradient">{sum(store, node)}</p>
    </div>
  );
}

/** In the forward half the local gradients are known already; what comes from upstream is not. */
function Forward({ store, said }: { store: Store; said: Callout }) {
  const rows = said.rows.filter((row) => row.formula || row.local);
  if (!rows.length) return <p class="muted">{said.equations.join("   ")}</p>;
  const out = labelOf(store, said.node);
  return (
    <p class="locals">
      <span class="muted">{store.t("localsKnown")} </span>
      {rows.map((row) => (
        <span class="local">
          ∂{out}/∂{row.label}
          {row.formula && ` = ${row.formula}`}
          {row.local && !isNumber(row) && ` = ${row.local}`}
        </span>
      ))}
    </p>
  );
}

function Backward({ store, said }: { store: Store; said: Callout }) {
  const { graph } = store.document.value;
  const [output, gate] = [labelOf(store, graph.output), labelOf(store, said.node)];
  return (
    <table class="chain">
      <caption>{store.t("upstreamLocal")}</caption>
      <tbody>
        {said.rows.map((row, place) => (
          <tr>
            <th scope="row">
              ∂{output}/∂{row.label}
            </th>
            <td class="formula">
              {said.equations[place] ?? `= ∂${output}/∂${gate} × ∂${gate}/∂${row.label}`}
              {row.formula && !said.equations[place] && ` = ∂${output}/∂${gate} × (${row.formula})`}
            </td>
            <td class="gradient">{row.downstream ? `= ${product(row)}` : "—"}</td>
            <td class="muted">{sum(store, row.node)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const MOST_TERMS = 8;

/** Of a value that is used more than once, once all has come back: the terms that are added, or the first of many. */
function sum(store: Store, node: number): string {
  const uses = wiring(store.document.value.graph).leaving[node];
  const { figures } = store.picture.value;
  const box = store.owner.value[node];
  if (uses.length < 2 || !store.moment.value.hasGradient(box) || store.isHidden(node, "gradient")) return "";
  const terms = uses.slice(0, MOST_TERMS).map((edge) => spoken(figures.term(edge))).filter(Boolean);
  if (uses.length > MOST_TERMS) terms.push("…");
  return store.t("branchSum", labelOf(store, node), uses.length, terms.join(" + ").replaceAll("+ -", "− "));
}
