/** The whole of a large picture on a small canvas, with the part that is seen. */

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Store } from "../store";
import type { View } from "./canvas";

const [WIDE, HIGH, LEAST] = [200, 120, 14];
const FEWEST = 40; // boxes of a picture that has a map

export function Minimap({ store, view }: { store: Store; view: View }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => effect(() => draw(canvas.current, store, view)), [store, view]);
  const { width, height } = store.picture.value.layout;
  const { zoom } = view.camera.value;
  if (store.picture.value.parts.length < FEWEST) return null;
  if (width * zoom < view.extent.width * 1.2 && height * zoom < view.extent.height * 1.2) return null;
  const go = (event: PointerEvent) => {
    if (!event.buttons) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const scale = scaleOf(store);
    const [x, y] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
    const to = view.camera.value.zoom;
    view.camera.value = { x: view.extent.width / 2 - x * to, y: view.extent.height / 2 - y * to, zoom: to };
  };
  return (
    <canvas
      ref={canvas}
      class="minimap"
      width={WIDE}
      height={highOf(store)}
      role="img"
      aria-label={store.t("minimap")}
      onPointerDown={go}
      onPointerMove={go}
    />
  );
}

/** As high as the picture is for its width, but so that it can be hit. */
function highOf(store: Store): number {
  return Math.max(LEAST, Math.ceil(store.picture.value.layout.height * scaleOf(store)));
}

function scaleOf(store: Store): number {
  const { width, height } = store.picture.value.layout;
  return Math.min(WIDE / width, HIGH / height);
}

function draw(canvas: HTMLCanvasElement | null, store: Store, view: View): void {
  const drawn = store.picture.value;
  const scale = scaleOf(store);
  const { x, y, zoom } = view.camera.value;
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  void store.theme.value; // the colours follow it
  const style = getComputedStyle(canvas);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.getPropertyValue("--wire");
  drawn.parts.forEach((part, box) => {
    const [left, top] = [drawn.layout.columns[drawn.layout.rank[box]].axis - part.half, drawn.layout.y[box] - part.rise];
    context.fillRect(left * scale, top * scale, Math.max(1, 2 * part.half * scale), Math.max(1, 2 * part.rise * scale));
  });
  context.strokeStyle = style.getPropertyValue("--value");
  context.lineWidth = 1.5;
  const { width, height } = view.extent;
  context.strokeRect((-x / zoom) * scale, (-y / zoom) * scale, (width / zoom) * scale, (height / zoom) * scale);
}
