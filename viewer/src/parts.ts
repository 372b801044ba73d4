/** Several gates that are drawn as one, as one op: their values in turn, their local gradients multiplied and added up. */

import type { Given, Part } from "./document";
import { numeric } from "./document";
import type { ScalarOp } from "./ops";
import { scalarOp } from "./ops";

interface Step {
  op: ScalarOp;
  inputs: readonly Given[];
  stops: boolean;
}

/** The op of such a gate with so many inputs; nothing where the page cannot compute one of its parts. */
export function whole(parts: readonly Part[], inputs: number): ScalarOp | undefined {
  const steps: Step[] = [];
  for (const { op: name, inputs: given } of parts) {
    const op = scalarOp(name);
    if (!op || op.locals.length !== given.length) return undefined;
    steps.push({ op, inputs: given, stops: name === "stop_gradient" });
  }
  return {
    forward: (...x) => run(steps, x).results[steps.length - 1],
    locals: Array.from({ length: inputs }, (_, place) => (x, __, active) => slope(steps, x, active, place)),
  };
}

/** What every part is given, and what it gives. */
function run(steps: readonly Step[], x: readonly number[]): { given: number[][]; results: number[] } {
  const [given, results]: [number[][], number[]] = [[], []];
  for (const { op, inputs } of steps) {
    const own = inputs.map((each) => {
      if (each.input !== undefined) return x[each.input];
      return each.part !== undefined ? results[each.part] : numeric(each.constant ?? NaN);
    });
    given.push(own);
    results.push(op.forward(...own));
  }
  return { given, results };
}

/** d result / d input, swept from the input through the parts that let a gradient through. */
function slope(steps: readonly Step[], x: readonly number[], active: readonly boolean[], place: number): number {
  const { given, results } = run(steps, x);
  const isActive: boolean[] = [];
  const tangents: (number | undefined)[] = [];
  steps.forEach(({ op, inputs, stops }, at) => {
    const flags = inputs.map(({ input = -1, part = -1 }) => active[input] ?? isActive[part] ?? false);
    isActive.push(!stops && flags.includes(true));
    let sum: number | undefined;
    inputs.forEach(({ input, part = -1 }, which) => {
      const arrives = input === place ? 1 : tangents[part];
      if (!isActive[at] || !flags[which] || arrives === undefined) return;
      sum = (sum ?? 0) + op.locals[which](given[at], results[at], flags) * arrives;
    });
    tangents.push(sum);
  });
  return tangents[steps.length - 1] ?? 0;
}
