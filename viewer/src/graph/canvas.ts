/** Where the reader looks: a zoom and an offset, moved by wheel, drag, keys and the selection. */

import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { Picture } from "../picture/picture";

export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

export interface Extent {
  width: number;
  height: number;
}

const [SMALLEST, LARGEST, READABLE] = [0.02, 4, 0.5];

export class View {
  readonly camera: Signal<Camera> = signal({ x: 0, y: 0, zoom: 1 });
  extent: Extent = { width: 0, height: 0 };

  /** The whole picture, no larger than it is; of a long one the beginning, still readable. */
  fit(drawn: Picture, isWhole = false): void {
    const { width, height } = drawn.layout;
    const whole = Math.min(1.4, this.extent.width / width, this.extent.height / height);
    const zoom = isWhole ? whole : Math.max(whole, Math.min(READABLE, this.extent.height / height), SMALLEST);
    const left = Math.max(0, (this.extent.width - width * zoom) / 2);
    this.camera.value = { x: left, y: (this.extent.height - height * zoom) / 2, zoom };
  }

  /** Zoom around a point of the element. */
  zoomBy(factor: number, x = this.extent.width / 2, y = this.extent.height / 2): void {
    const from = this.camera.value;
    const zoom = Math.max(SMALLEST, Math.min(LARGEST, from.zoom * factor));
    const share = zoom / from.zoom;
    this.camera.value = { x: x - (x - from.x) * share, y: y - (y - from.y) * share, zoom };
  }

  panBy(dx: number, dy: number): void {
    const { x, y, zoom } = this.camera.value;
    this.camera.value = { x: x + dx, y: y + dy, zoom };
  }

  /** Bring a point of a picture into sight, if it is not, without showing what is left of the picture or right of it. */
  reveal(x: number, y: number, wide: number): void {
    const { camera, extent } = this;
    const from = camera.value;
    const [left, top] = [x * from.zoom + from.x, y * from.zoom + from.y];
    const margin = Math.min(90, extent.width / 4, extent.height / 4);
    const inside = left > margin && left < extent.width - margin && top > margin && top < extent.height - margin;
    if (inside || !extent.width) return;
    const isNear = (at: number, length: number) => at > margin && at < length - margin;
    const [least, most] = [extent.width - wide * from.zoom, 0];
    const middle = isNear(left, extent.width) ? from.x : extent.width / 2 - x * from.zoom;
    const to = least < most ? Math.max(least, Math.min(most, middle)) : from.x;
    this.panBy(to - from.x, isNear(top, extent.height) ? 0 : extent.height / 2 - top);
  }
}
