/** Wires that make a picture unreadable, as named stubs. The twin of `stubs.py`. */

import { ranks } from "../layout/layout";
import type { Arrow, Box } from "./fold";

const LONGEST = 24; // columns
const MOST_USES = 16;
const FEW = 40; // boxes; up to here all leaves stand in the first column, as on the lecture's slides

/** What is drawn: boxes with their columns, and wires; `named` are boxes that return elsewhere as stubs. */
export interface Scene {
  boxes: Box[];
  arrows: Arrow[];
  rank: number[];
  named: ReadonlySet<number>;
}

/** Boxes in columns, with stubs in place of the wires that are too long or too many. */
export function scene(boxes: readonly Box[], arrows: readonly Arrow[]): Scene {
  const near = boxes.map(() => boxes.length > FEW);
  const rank = ranks(boxes.length, arrows, near);
  const uses = new Array<number>(boxes.length).fill(0);
  for (const arrow of arrows) uses[arrow.source] += 1;
  const all = boxes.slice();
  const named = new Set<number>();
  const drawn = arrows.map((arrow) => {
    const span = rank[arrow.target] - rank[arrow.source];
    if (uses[arrow.source] <= MOST_USES && span <= LONGEST) return arrow;
    named.add(arrow.source);
    rank.push(rank[arrow.target] - 1);
    all.push({ ...boxes[arrow.source], kind: "stub" });
    return { ...arrow, source: all.length - 1 };
  });
  return { boxes: all, arrows: drawn, rank, named };
}
