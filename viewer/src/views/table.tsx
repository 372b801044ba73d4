/**
 * Every node as a row, sortable and filterable: the same as the picture for those who do not see it.
 *
 * Only the rows in sight are in the page, so that a hundred thousand of them scroll; `aria-rowindex` says where each is.
 */

import { useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Entry } from "../document";
import { elements, numeric, opName } from "../document";
import { select } from "../graph/moves";
import { shapeText } from "../picture/digits";
import { search } from "../search";
import type { Store } from "../store";
import type { Key } from "../strings";
import { grouped } from "../tokens";
import { formulaOf, labelOf, spoken } from "../words";
import type { ViewProps } from "./index";

const ROW = 26; // height, as in the style sheet
const SPARE = 12; // rows above and below what is seen

interface Column {
  key: Key;
  text: (store: Store, node: number) => string;
  sort: (store: Store, node: number) => number | string;
  kind?: string;
}

const COLUMNS: readonly Column[] = [
  { key: "number", text: (_, node) => `#${node}`, sort: (_, node) => node },
  { key: "name", text: labelOf, sort: labelOf },
  { key: "kind", text: kindOf, sort: kindOf },
  { key: "formula", text: formulaOf, sort: formulaOf, kind: "numbers" },
  {
    key: "shape",
    text: (store, node) => shapeText(store.document.value.graph.nodes.shape[node]),
    sort: (store, node) => store.document.value.graph.nodes.shape[node].reduce((a, b) => a * b, 1),
  },
  { key: "value", text: (store, node) => figureText(store, node, "value"), sort: sizeIn("values"), kind: "numbers value" },
  {
    key: "gradient",
    text: (store, node) => figureText(store, node, "gradient"),
    sort: sizeIn("gradients"),
    kind: "numbers gradient",
  },
  { key: "module", text: moduleOf, sort: moduleOf },
];

function kindOf(store: Store, node: number): string {
  const { graph } = store.document.value;
  const kind = graph.nodes.kind[node];
  return kind === "op" ? opName(graph, node) : store.t(`kind${kind[0].toUpperCase()}${kind.slice(1)}` as Key);
}

function moduleOf(store: Store, node: number): string {
  const { nodes, modules } = store.document.value.graph;
  return nodes.module[node] < 0 ? "" : modules[nodes.module[node]].path;
}

function figureText(store: Store, node: number, what: "value" | "gradient"): string {
  return spoken(store.picture.value.figures[what](node));
}

/** Sort by the number; an array by its largest absolute one; what is not there comes first. */
function sizeIn(column: "values" | "gradients"): Column["sort"] {
  return (store, node) => {
    if (store.isHidden(node, column === "values" ? "value" : "gradient")) return -Infinity;
    return size(store.trace.value?.[column][node]);
  };
}

function size(entry: Entry | undefined): number {
  if (entry === null || entry === undefined) return -Infinity;
  if (typeof entry !== "object") return numeric(entry);
  const found = elements(entry) ?? [entry.statistics?.min, entry.statistics?.max].map((x) => numeric(x ?? 0));
  return found.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

export function TableView({ store }: ViewProps) {
  const order = useSignal<{ column: number; falling: boolean }>({ column: 0, falling: false });
  const filter = useSignal("");
  const rows = useComputed(() => sorted(store, filter.value, order.value));
  const count = store.document.value.graph.count;
  const turn = (column: number) =>
    (order.value = { column, falling: order.value.column === column && !order.value.falling });
  return (
    <div class="table-view">
      <label>
        {store.t("filter")}{" "}
        <input
          type="search"
          class="search"
          placeholder={store.t("searchHint")}
          value={filter.value}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />{" "}
        <output class="muted">{store.t("rows", grouped(rows.value.length), grouped(count))}</output>
      </label>
      <Rows store={store} rows={rows.value} order={order.value} turn={turn} />
    </div>
  );
}

function sorted(store: Store, filter: string, order: { column: number; falling: boolean }): number[] {
  const { graph } = store.document.value;
  const found = filter.trim()
    ? search(store.document.value, store.trace.value, filter)
    : Array.from({ length: graph.count }, (_, node) => node);
  if (order.column === 0) return order.falling ? found.reverse() : found;
  const keys = new Map(found.map((node) => [node, COLUMNS[order.column].sort(store, node)]));
  const sign = order.falling ? -1 : 1;
  return found.sort((a, b) => {
    const [x, y] = [keys.get(a) as number | string, keys.get(b) as number | string];
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
  });
}

interface RowsProps {
  store: Store;
  rows: readonly number[];
  order: { column: number; falling: boolean };
  turn: (column: number) => void;
}

function Rows({ store, rows, order, turn }: RowsProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const high = useSignal(600);
  useLayoutEffect(() => {
    const element = scroll.current as HTMLDivElement;
    const watch = new ResizeObserver(() => (high.value = element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(0, Math.min(Math.floor(top.value / ROW), rows.length) - SPARE);
  const seen = rows.slice(first, first + Math.ceil(high.value / ROW) + 2 * SPARE);
  const below = Math.max(0, rows.length - first - seen.length);
  return (
    <div class="scroll" ref={scroll} onScroll={(event) => (top.value = event.currentTarget.scrollTop)}>
      <table class="grid" aria-rowcount={rows.length + 1} aria-label={store.t("table")}>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map((column, place) => (
              <th scope="col" aria-sort={order.column !== place ? "none" : order.falling ? "descending" : "ascending"}>
                <button onClick={() => turn(place)} aria-label={store.t("sortBy", store.t(column.key))}>
                  {store.t(column.key)} {order.column !== place ? "" : order.falling ? "↓" : "↑"}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true" style={{ height: `${first * ROW}px` }} />}
          {seen.map((node, place) => (
            <Row key={node} store={store} node={node} index={first + place + 2} />
          ))}
          {below > 0 && <tr aria-hidden="true" style={{ height: `${below * ROW}px` }} />}
        </tbody>
      </table>
    </div>
  );
}

function Row({ store, node, index }: { store: Store; node: number; index: number }) {
  const go = () => {
    select(store, node);
    store.view.value = "graph";
  };
  return (
    <tr
      aria-rowindex={index}
      aria-selected={store.node.value === node}
      onClick={() => (store.node.value = node)}
      onDblClick={go}
    >
      {COLUMNS.map((column, place) => {
        const text = column.text(store, node);
        return (
          <td class={column.kind} title={text}>
            {place === 1 ? (
              <button class="link" onClick={go}>
                {text}
              </button>
            ) : (
              text
            )}
          </td>
        );
      })}
    </tr>
  );
}
