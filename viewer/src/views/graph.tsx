/** The graph with its steps and, beside it, the inspector: the lecture's picture, to be walked through and changed. */

import { useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { View } from "../graph/canvas";
import { Drawing, idOf, spot } from "../graph/drawing";
import { Inspector } from "../graph/inspector";
import { Minimap } from "../graph/minimap";
import { open } from "../graph/moves";
import { TimelineBar } from "../graph/timeline";
import { NOTHING } from "../picture/figures";
import type { Store } from "../store";
import { sentence } from "../words";
import type { ViewProps } from "./index";

const DOCUMENT = "graphics-document" as "img"; // of ARIA's graphics module, which the types lack
const DRAG = 3; // pixels from which a press is a drag
const FINE = 0.01; // of a leaf's size, for each pixel

export function GraphView({ store }: ViewProps) {
  const view = useMemo(() => new View(), [store]);
  const frame = useRef<HTMLDivElement>(null);
  useExtent(store, view, frame);
  useFollowing(store, view);
  const transform = useComputed(() => {
    const { x, y, zoom } = view.camera.value;
    return `translate(${x} ${y}) scale(${zoom})`;
  });
  const chosen = store.node.value < 0 ? -1 : store.owner.value[store.node.value];
  return (
    <div class="graph-view">
      <div class="stage">
        <div class="frame" ref={frame}>
          <svg
            class="picture"
            role={DOCUMENT}
            tabindex={0}
            aria-label={pictureWords(store)}
            aria-activedescendant={chosen >= 0 ? idOf(store.picture.value.parts[chosen]) : undefined}
            onPointerDown={(event) => pan(event, view, () => (store.node.value = -1))}
          >
            <g transform={transform}>
              <Drawing store={store} onPress={(event, box) => press(event, store, view, box)} onOpen={(box) => open(store, box)} />
            </g>
          </svg>
          <Minimap store={store} view={view} />
          <ZoomButtons store={store} view={view} />
        </div>
        <Legend store={store} />
        <TimelineBar store={store} />
      </div>
      <Inspector store={store} />
    </div>
  );
}

function pictureWords(store: Store): string {
  const { graph } = store.document.value;
  const chosen = store.node.value < 0 ? "" : ` ${sentence(store, store.owner.value[store.node.value])}`;
  return store.t("pictureOf", graph.count, graph.nodes.label[graph.output] ?? "") + chosen;
}

/** Follow the size of the element, fit a new picture into it, and zoom with the wheel. */
function useExtent(store: Store, view: View, frame: { current: HTMLDivElement | null }): void {
  useLayoutEffect(() => {
    const element = frame.current as HTMLDivElement;
    const measure = () => (view.extent = { width: element.clientWidth, height: element.clientHeight });
    measure();
    view.fit(store.picture.value);
    performance.mark("adjoint-first-picture");
    const watch = new ResizeObserver(() => {
      const isFirst = !view.extent.width;
      measure();
      if (isFirst) view.fit(store.picture.value);
    });
    watch.observe(element);
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      view.zoomBy(Math.exp(-event.deltaY / 500), event.clientX - box.left, event.clientY - box.top);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      watch.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, [store, store.document.value]);
}

/** Bring what is selected into sight, and zoom by keys. */
function useFollowing(store: Store, view: View): void {
  const box = store.node.value < 0 ? -1 : store.owner.value[store.node.value];
  useEffect(() => {
    if (box < 0 || box === undefined) return;
    const { x, y } = spot(store.picture.value, box);
    view.reveal(x, y, store.picture.value.layout.width);
  }, [box, store.picture.value]);
  useEffect(() => {
    store.zoom = (by) => (by === 0 ? view.fit(store.picture.value, true) : view.zoomBy(by > 0 ? 1.25 : 0.8));
    return () => delete store.zoom;
  }, [store, view]);
}

/** Follow a press until it ends; how far it went is told at every move, and at its end whether it was a drag. */
function follow(event: PointerEvent, move: (dx: number, dy: number) => void, end: (wasDrag: boolean) => void): void {
  const element = event.currentTarget as Element;
  let wasDrag = false;
  const onMove = (at: PointerEvent) => {
    const [dx, dy] = [at.clientX - event.clientX, at.clientY - event.clientY];
    wasDrag ||= Math.hypot(dx, dy) >= DRAG;
    if (wasDrag) move(dx, dy);
  };
  const onEnd = () => {
    removeEventListener("pointermove", onMove);
    removeEventListener("pointerup", onEnd);
    removeEventListener("pointercancel", onEnd);
    end(wasDrag);
  };
  element.closest<SVGElement>("svg")?.focus();
  addEventListener("pointermove", onMove);
  addEventListener("pointerup", onEnd);
  addEventListener("pointercancel", onEnd);
}

/** The background was pressed: a drag moves the picture, a click lets go of what is selected. */
function pan(event: PointerEvent, view: View, click: () => void): void {
  if (event.button !== 0) return;
  const from = view.camera.value;
  follow(
    event,
    (dx, dy) => (view.camera.value = { ...view.camera.value, x: from.x + dx, y: from.y + dy }),
    (wasDrag) => !wasDrag && click(),
  );
}

/** A box was pressed: it is selected, and a leaf of a circuit of numbers changes with a drag. */
function press(event: PointerEvent, store: Store, view: View, box: number): void {
  if (event.button !== 0) return;
  const { node } = store.picture.value.parts[box].box;
  const select = () => {
    store.node.value = node;
    store.said.value = sentence(store, store.owner.value[node]);
  };
  event.stopPropagation();
  if (!store.isEditable(node) || !store.circuit.value) {
    pan(event, view, select);
    return;
  }
  event.preventDefault();
  const start = store.circuit.value.values(store.edits.value)[node];
  const unit = FINE * Math.max(1, Math.abs(start));
  select();
  follow(
    event,
    (dx) => store.edit(node, Math.round((start + dx * unit) * 100) / 100),
    (wasDrag) => wasDrag && (store.said.value = sentence(store, store.owner.value[node])),
  );
}

function ZoomButtons({ store, view }: { store: Store; view: View }) {
  const { t } = store;
  return (
    <div class="zoom">
      <button onClick={() => view.zoomBy(1.25)} aria-label={t("zoomIn")} title={`${t("zoomIn")} (+)`}>
        +
      </button>
      <button onClick={() => view.zoomBy(0.8)} aria-label={t("zoomOut")} title={`${t("zoomOut")} (-)`}>
        −
      </button>
      <button onClick={() => view.fit(store.picture.value, true)} aria-label={t("fit")} title={`${t("fit")} (0)`}>
        ⤢
      </button>
    </div>
  );
}

/** What stands where; signs only where they occur. */
function Legend({ store }: { store: Store }) {
  const { parts, figures } = store.picture.value;
  if (!figures.trace || !parts.length) return null;
  const { t } = store;
  const shown = parts.flatMap((part) => [part.gradient, ...part.arms.map((arm) => arm.term)]);
  const has = {
    gradient: shown.some((figure) => figure.lines.length),
    nothing: shown.some((figure) => figure.lines[0] === NOTHING),
    stops: parts.some((part) => part.arms.some((arm) => arm.stops)),
    fold: parts.some((part) => part.shape === "fold"),
  };
  return (
    <ul class="legend">
      <li class="value">{t("legendValue")}</li>
      {has.gradient && <li class="gradient">{t("legendGradient")}</li>}
      {has.nothing && <li>{t("legendNothing")}</li>}
      {has.stops && <li>{t("legendStops")}</li>}
      {has.fold && <li>{t("legendFold")}</li>}
      {!store.moment.value.isOver && <li>{t("legendReady")}</li>}
      {store.questions.value.length > 0 && <li>{t("legendChanged")}</li>}
    </ul>
  );
}
