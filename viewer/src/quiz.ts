/** Checking what a student typed against the numbers that the document holds. */

import type { Question } from "./document";
import { elements, numeric } from "./document";
import type { Store } from "./store";

/** The numbers that a question asks for; of a scalar one. */
export function truth(store: Store, { node, what }: Question): number[] {
  const trace = store.trace.value;
  return elements(what === "value" ? trace?.values[node] : trace?.gradients[node]) ?? [];
}

/** Numbers as a person types them: with a minus of any kind, a decimal comma, or as a fraction; NaN for what is none. */
export function typedNumbers(text: string): number[] {
  const words = text.replaceAll("−", "-").match(/[^\s;[\]]+(?:\s*\/\s*[^\s;[\]]+)?/g) ?? [];
  return words.map((word) => {
    const [over, under = 1] = word.replace(",", ".").split("/").map(Number);
    return over / under;
  });
}

export function isRight(typed: string, wanted: readonly number[], question: Question): boolean {
  const given = typedNumbers(typed);
  const most = numeric(question.tolerance);
  return given.length === wanted.length && given.every((x, at) => Math.abs(x - wanted[at]) <= most);
}
