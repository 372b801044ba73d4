/** Local gradients as formulas, from the file that Python reads. */

import { locals } from "../../src/adjoint/view/formulas.json";

const LOCALS: Readonly<Record<string, readonly string[]>> = locals;

/** {0}, {1} stand for the inputs, {out} for the output; empty where an op has no formula. */
export function localFormula(op: string, place: number): string {
  return (Object.hasOwn(LOCALS, op) && LOCALS[op][place]) || "";
}
