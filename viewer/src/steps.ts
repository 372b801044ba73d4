/**
 * Steps through a picture: forward 1…F, then backward 1…B, a gate or folded box at each.
 *
 * Concepts here: the `Timeline` of a picture, and the `Moment`, what is known after a number of steps. A gate is ready
 * backward when all that use it are done, which is why the order is reverse topological.
 */

import type { GradientState } from "./document";
import type { Picture } from "./picture/picture";

export interface Timeline {
  /** Boxes in the order of their steps. */
  forward: number[];
  backward: number[];
  /** For every box, those that use it and have a step backward; and those that it uses and have a step forward. */
  users: number[][];
  inputs: number[][];
}

export interface Moment {
  step: number;
  /** Whether there is no step after this one. */
  isOver: boolean;
  phase: "before" | "forward" | "backward";
  /** The box of this step, or -1. */
  current: number;
  ready: ReadonlySet<number>;
  hasValue: (box: number) => boolean;
  hasGradient: (box: number) => boolean;
  /** Whether the box has handed back what its inputs get. */
  isDone: (box: number) => boolean;
}

/** The steps of a picture; `owner` says of every node which box shows it. */
export function timeline(drawn: Picture, owner: Int32Array): Timeline {
  const { boxes, arrows } = drawn.scene;
  const states: GradientState[] | undefined = drawn.figures.trace?.states;
  const forward = boxes.flatMap((box, index) => (box.kind === "gate" || box.kind === "fold" ? [index] : []));
  const flows = (index: number) => states?.[boxes[index].node] === "value" || states?.[boxes[index].node] === "zero";
  const backward = forward.filter(flows).reverse();
  const [hasForward, hasBackward] = [new Set(forward), new Set(backward)];
  const users: number[][] = boxes.map(() => []);
  const inputs: number[][] = boxes.map(() => []);
  for (const arrow of arrows) {
    const source = owner[boxes[arrow.source].node];
    if (hasBackward.has(arrow.target)) users[source].push(arrow.target);
    if (hasForward.has(source)) inputs[arrow.target].push(source);
  }
  return { forward, backward, users, inputs };
}

export function steps(line: Timeline): number {
  return line.forward.length + line.backward.length;
}

export function moment(line: Timeline, step: number): Moment {
  const { forward, backward, users, inputs } = line;
  const at = Math.max(0, Math.min(step, steps(line)));
  const back = Math.max(0, at - forward.length);
  const computed = new Set(forward.slice(0, at));
  const done = new Set(backward.slice(0, back));
  const isGate = new Set(forward);
  const hasValue = (box: number) => !isGate.has(box) || computed.has(box);
  const reached = (box: number) => users[box].every((user) => done.has(user));
  const waiting = at < forward.length ? forward.slice(at) : backward.slice(back);
  const open = at < forward.length ? (box: number) => inputs[box].every(hasValue) : reached;
  const phase = at === 0 ? "before" : back ? "backward" : "forward";
  const current = at === 0 ? -1 : back ? backward[back - 1] : forward[at - 1];
  const isOver = at === steps(line);
  return {
    ...{ step: at, isOver, phase, current, hasValue },
    ready: new Set(waiting.filter(open)),
    hasGradient: (box) => isOver || (back > 0 && reached(box)),
    isDone: (box) => done.has(box),
  };
}
