/** Nodes by name, to be gone to; of many the first. */

import type { Store } from "../store";
import { grouped } from "../tokens";
import { labelOf } from "../words";
import { select } from "./moves";

const MOST_LINKS = 12;

export function Links({ store, nodes }: { store: Store; nodes: readonly number[] }) {
  return (
    <>
      {nodes.slice(0, MOST_LINKS).map((node) => (
        <button class="link" onClick={() => select(store, node)}>
          {labelOf(store, node)}
        </button>
      ))}
      {nodes.length > MOST_LINKS && ` … ${grouped(nodes.length)}`}
    </>
  );
}
