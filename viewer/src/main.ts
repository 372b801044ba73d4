/**
 * The module's doors: `mount` puts a viewer into an element, the default is a widget for notebooks, and a page that
 * holds a document inside it starts by itself.
 */

import { h, render as draw } from "preact";
import { follow } from "./address";
import { App } from "./app";
import type { GraphDocument } from "./document";
import { current } from "./document";
import type { MountOptions, Store } from "./store";
import { createStore } from "./store";
import { dress } from "./styles";
import { text, languageFor } from "./strings";

export type { GraphDocument, MountOptions, Store };

export interface Viewer {
  store: Store;
  /** Show another document in the same place. */
  show: (document: GraphDocument) => void;
  unmount: () => void;
}

/** Put a viewer of a document into an element; without a document it waits for one. */
export function mount(element: HTMLElement, document: GraphDocument | null, options: MountOptions = {}): Viewer {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  dress(root);
  const store = createStore(document && current(document), options);
  const leave = options.page ? follow(store) : () => undefined;
  draw(h(App, { store }), root);
  return {
    ...{ store, show: (made) => store.show(current(made)) },
    unmount: () => {
      leave();
      draw(null, root);
    },
  };
}

// --- a notebook ------------------------------------------------------------------------------------------------------

/** What a widget's model offers, as anywidget defines it. */
interface Model {
  get: (name: string) => unknown;
  on: (event: string, action: () => void) => void;
  off: (event: string, action: () => void) => void;
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  el.style.height = `${Number(model.get("height") ?? 480)}px`;
  const { show, unmount } = mount(el, model.get("document") as GraphDocument, (model.get("options") ?? {}) as MountOptions);
  const onChange = () => show(model.get("document") as GraphDocument);
  model.on("change:document", onChange);
  return () => {
    model.off("change:document", onChange);
    unmount();
  };
}

export default { render };

// --- one file --------------------------------------------------------------------------------------------------------

/** The JSON in a data block: base64 of gzip. */
async function unpacked(packed: string): Promise<unknown> {
  const binary = atob(packed.trim());
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

async function start(block: Element): Promise<void> {
  const place = document.getElementById("adjoint");
  if (!place) return;
  try {
    const { document: made, options } = (await unpacked(block.textContent ?? "")) as {
      document: GraphDocument;
      options: MountOptions;
    };
    mount(place, made, { ...options, page: true });
  } catch (error) {
    place.textContent = text(languageFor(undefined), "failed", String((error as Error).message));
  }
}

const held = typeof document === "undefined" ? null : document.querySelector("script#adjoint-document");
if (held) void start(held);
