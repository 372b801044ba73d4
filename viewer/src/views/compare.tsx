/** Two documents on one layout; and, of a circuit of numbers, the gradient beside the slope that the page measures. */

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Compared, Status } from "../compare";
import { compared } from "../compare";
import type { Entry, Graph, GraphDocument } from "../document";
import { current, wiring } from "../document";
import { Drawing } from "../graph/drawing";
import { Folds } from "../graph/inspector";
import { open, select } from "../graph/moves";
import { press } from "../keys";
import { number } from "../picture/digits";
import { Figures } from "../picture/figures";
import type { Store } from "../store";
import { createStore } from "../store";
import { labelOf, spoken } from "../words";
import type { ViewProps } from "./index";

const MARKS: Record<Status, string> = { same: "", changed: "changed", onlyLeft: "only-left", onlyRight: "only-right" };
const MOST_ROWS = 400;

export function CompareView({ store }: ViewProps) {
  const other = store.other.value;
  const wrong = useSignal("");
  const read = async (file: File | undefined) => {
    if (!file) return;
    try {
      const made = JSON.parse(await file.text()) as GraphDocument;
      if (made.format !== "adjoint-graph") throw new Error(file.name);
      [store.other.value, wrong.value] = [current(made), ""];
    } catch (error) {
      wrong.value = store.t("failed", (error as Error).message);
    }
  };
  return (
    <div class="page-view compare">
      <label>
        {store.t("compareOpen")}{" "}
        <input type="file" accept=".json" onChange={(event) => void read(event.currentTarget.files?.[0])} />
      </label>
      {wrong.value && <p role="alert">{wrong.value}</p>}
      {other ? <Difference store={store} other={other} /> : <p class="muted">{store.t("compareNone")}</p>}
      <Slopes store={store} />
    </div>
  );
}

function Difference({ store, other }: { store: Store; other: GraphDocument }) {
  const { t } = store;
  const left = store.document.value;
  const made = useMemo(() => compared(left, other), [left, other]);
  const union = useMemo(() => createStore(made.document, { language: store.language.value }), [made]);
  union.language.value = store.language.value;
  useEffect(() => union.said.subscribe((said) => said && (store.said.value = said)), [union]);
  const frame = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const selected = frame.current?.querySelector(".part.selected");
    selected?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [union.node.value, union.picture.value]);
  const { layout, parts } = union.picture.value;
  const mark = (box: number) => {
    const found = new Set(parts[box].box.members.map((node) => made.status[node]));
    if (found.size > 1) return MARKS.changed;
    return MARKS[[...found][0] ?? "same"];
  };
  const count = (status: Status) => made.status.filter((each) => each === status).length;
  return (
    <>
      <ul class="legend">
        {(["same", "changed", "onlyLeft", "onlyRight"] as const).map((status) => (
          <li class={MARKS[status]}>
            {t(status)}: {count(status)}
          </li>
        ))}
      </ul>
      <Folds store={union} />
      <div class="wide" ref={frame}>
        <svg
          width={layout.width}
          height={layout.height}
          role={DOCUMENT}
          tabindex={0}
          aria-label={t("compare")}
          onKeyDown={(event) => onKey(union, event)}
        >
          <Drawing store={union} mark={mark} onPress={(_, box) => select(union, parts[box].box.node)} onOpen={(box) => open(union, box)} />
        </svg>
      </div>
      <Rows store={store} made={made} left={left} right={other} />
    </>
  );
}

const DOCUMENT = "graphics-document" as "img"; // of ARIA's graphics module, which the types lack
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Enter", "Backspace"];

/** The keys that walk through a graph, open and fold, work in this one, too. */
function onKey(union: Store, event: KeyboardEvent): void {
  if (!KEYS.includes(event.key) || !press(union, event, null)) return;
  event.preventDefault();
  event.stopPropagation();
}

interface RowsProps {
  store: Store;
  made: Compared;
  left: GraphDocument;
  right: GraphDocument;
}

function Rows({ store, made, left, right }: RowsProps) {
  const { t } = store;
  const sides = [left, right].map((each) => new Figures(each, each.traces[each.traces.length - 1], {}));
  const text = (side: number, node: number, what: "value" | "gradient") =>
    node < 0 ? "" : spoken(sides[side][what](node));
  const rows = made.status.flatMap((status, node) => (status === "same" ? [] : [node])).slice(0, MOST_ROWS);
  const labels = made.document.graph.nodes.label;
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">{t("name")}</th>
          <th scope="col">{t("status")}</th>
          <th scope="col">
            {t("value")}: {t("left")}
          </th>
          <th scope="col">{t("right")}</th>
          <th scope="col">
            {t("gradient")}: {t("left")}
          </th>
          <th scope="col">{t("right")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((node) => (
          <tr>
            <th scope="row">{labels[node]}</th>
            <td>{t(made.status[node])}</td>
            <td class="value">{text(0, made.left[node], "value")}</td>
            <td class="value">{text(1, made.right[node], "value")}</td>
            <td class="gradient">{text(0, made.left[node], "gradient")}</td>
            <td class="gradient">{text(1, made.right[node], "gradient")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The nodes whose values pass a gate that stops gradients: there slope and gradient differ on purpose. */
function leadingToStop(graph: Graph): ReadonlySet<number> {
  const found = new Set<number>();
  for (let edge = graph.edges.source.length - 1; edge >= 0; edge--) {
    const [source, target] = [graph.edges.source[edge], graph.edges.target[edge]];
    const { stops, parts } = graph.ops[graph.nodes.op[target]];
    const holdsStop = parts?.some((part) => part.op === "stop_gradient");
    if (stops || holdsStop || found.has(target)) found.add(source);
  }
  return found;
}

/** Analytic against numeric gradient, wire by wire, at a branch also arm by arm. */
function Slopes({ store }: { store: Store }) {
  const { t } = store;
  const circuit = store.circuit.value;
  const trace = store.trace.value;
  if (!circuit || !trace || store.asks.value) return <p class="muted">{t("numericNone")}</p>;
  const { graph } = store.document.value;
  const stops = leadingToStop(graph);
  const row = (node: number, analytic: Entry, place: { node: number } | { edge: number }) => {
    if (typeof analytic !== "number") return [];
    const numeric = circuit.slope(store.edits.value, place);
    const size = Math.max(Math.abs(analytic), Math.abs(numeric));
    const stopped = stops.has("edge" in place ? graph.edges.target[place.edge] : node);
    return [{ node, place, analytic, numeric, stopped, error: size ? Math.abs(analytic - numeric) / size : 0 }];
  };
  const { leaving } = wiring(graph);
  const rows = graph.nodes.kind.flatMap((_, node) => [
    ...row(node, trace.gradients[node], { node }),
    ...(leaving[node].length > 1 ? leaving[node].flatMap((edge) => row(node, trace.contributions[edge], { edge })) : []),
  ]);
  return (
    <section>
      <h2>{t("numericTitle")}</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">{t("name")}</th>
            <th scope="col">{t("analytic")}</th>
            <th scope="col">{t("numeric")}</th>
            <th scope="col">{t("relativeError")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ node, place, analytic, numeric, stopped, error }) => (
            <tr>
              <th scope="row">
                <button class="link" onClick={() => select(store, node)}>
                  {labelOf(store, node)}
                </button>
                {"edge" in place && ` ${t("wiggleArm", labelOf(store, graph.edges.target[place.edge]))}`}
              </th>
              <td class="gradient">{number(analytic, 6)}</td>
              <td>{number(numeric, 6)}</td>
              <td>{stopped ? t("pastStop") : error.toExponential(1)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
