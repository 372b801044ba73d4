/**
 * The elementwise ops on single numbers: value, local gradients, and their formulas.
 *
 * With them the page computes a circuit of numbers anew, without Python. The choices at kinks are those of
 * `src/adjoint/ops/elementwise/`: a tie of max halves the gradient, and against a constant it gives nothing.
 */

/** Inputs, the output, and which inputs want a gradient. */
type Local = (x: readonly number[], out: number, active: readonly boolean[]) => number;

export interface ScalarOp {
  forward: (...x: number[]) => number;
  /** d out / d input, one for each input. */
  locals: readonly Local[];
  /** The same as formulas: {0}, {1} are the inputs, {out} the output; [a > b] is 1 where it holds, else 0. */
  formulas: readonly string[];
}

const one: Local = () => 1;
const zero: Local = () => 0;

function unary(forward: (x: number) => number, formula: string, local: (x: number, out: number) => number): ScalarOp {
  return { forward, locals: [([x], out) => local(x, out)], formulas: [formula] };
}

function flat(forward: (...x: number[]) => number, inputs: number): ScalarOp {
  const each = Array.from({ length: inputs }, () => zero);
  return { forward, locals: each, formulas: each.map(() => "0") };
}

function share(wins: (a: number, b: number) => boolean): readonly Local[] {
  const local = (own: number, other: number): Local => (x, _, active) => {
    if (x[own] === x[other]) return active[own] && active[other] ? 0.5 : 0;
    return wins(x[own], x[other]) ? 1 : 0;
  };
  return [local(0, 1), local(1, 0)];
}

const sigmoid = (x: number): number => {
  const small = Math.exp(-Math.abs(x));
  const upper = 1 / (1 + small);
  return x >= 0 ? upper : small * upper;
};

/** Half away from even numbers, as NumPy rounds. */
function rint(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** max and min of NumPy, where NaN wins. */
const larger = (x: number, y: number): number => (Number.isNaN(x) || Number.isNaN(y) ? NaN : Math.max(x, y));
const smaller = (x: number, y: number): number => (Number.isNaN(x) || Number.isNaN(y) ? NaN : Math.min(x, y));

const BINARY: Record<string, ScalarOp> = {
  add: { forward: (x, y) => x + y, locals: [one, one], formulas: ["1", "1"] },
  subtract: { forward: (x, y) => x - y, locals: [one, () => -1], formulas: ["1", "−1"] },
  multiply: {
    ...{ forward: (x, y) => x * y, locals: [([, y]) => y, ([x]) => x] },
    ...{ formulas: ["{1}", "{0}"] },
  },
  divide: {
    forward: (x, y) => x / y,
    locals: [([, y]) => 1 / y, ([, y], out) => -out / y],
    formulas: ["1 / {1}", "−{0} / {1}²"],
  },
  power: {
    forward: (x, y) => (y === 0 ? 1 : Math.pow(x, y)),
    locals: [
      ([x, y]) => (y === 0 ? 0 : y * Math.pow(x, y - 1)),
      ([x], out) => (x === 0 ? 0 : out * Math.log(x)),
    ],
    formulas: ["{1} · {0}^({1} − 1)", "{out} · log {0}"],
  },
  maximum: {
    ...{ forward: larger, locals: share((a, b) => a > b) },
    ...{ formulas: ["[{0} > {1}]", "[{1} > {0}]"] },
  },
  minimum: {
    ...{ forward: smaller, locals: share((a, b) => a < b) },
    ...{ formulas: ["[{0} < {1}]", "[{1} < {0}]"] },
  },
  where: {
    forward: (condition, x, y) => (condition ? x : y),
    locals: [zero, ([condition]) => (condition ? 1 : 0), ([condition]) => (condition ? 0 : 1)],
    formulas: ["0", "[{0}]", "[¬{0}]"],
  },
};

const UNARY: Record<string, ScalarOp> = {
  negative: unary((x) => -x, "−1", () => -1),
  square: unary((x) => x * x, "2 · {0}", (x) => 2 * x),
  sqrt: unary(Math.sqrt, "1 / (2 · {out})", (_, out) => 0.5 / out),
  reciprocal: unary((x) => 1 / x, "−1 / {0}²", (_, out) => -(out * out)),
  exp: unary(Math.exp, "e^{0}", (_, out) => out),
  expm1: unary(Math.expm1, "e^{0}", (_, out) => out + 1),
  exp2: unary((x) => Math.pow(2, x), "log 2 · {out}", (_, out) => Math.LN2 * out),
  log: unary(Math.log, "1 / {0}", (x) => 1 / x),
  log1p: unary(Math.log1p, "1 / (1 + {0})", (x) => 1 / (1 + x)),
  log2: unary(Math.log2, "1 / ({0} · log 2)", (x) => 1 / (x * Math.LN2)),
  log10: unary(Math.log10, "1 / ({0} · log 10)", (x) => 1 / (x * Math.LN10)),
  sin: unary(Math.sin, "cos {0}", (x) => Math.cos(x)),
  cos: unary(Math.cos, "−sin {0}", (x) => -Math.sin(x)),
  tan: unary(Math.tan, "1 + {out}²", (_, out) => 1 + out * out),
  arctan: unary(Math.atan, "1 / (1 + {0}²)", (x) => 1 / (1 + x * x)),
  sinh: unary(Math.sinh, "cosh {0}", (x) => Math.cosh(x)),
  cosh: unary(Math.cosh, "sinh {0}", (x) => Math.sinh(x)),
  tanh: unary(Math.tanh, "1 − {out}²", (_, out) => 1 - out * out),
  sigmoid: unary(sigmoid, "(1 − {out}) · {out}", (_, out) => (1 - out) * out),
  softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), "σ({0})", (x) => sigmoid(x)),
  relu: unary((x) => larger(x, 0), "[{0} > 0]", (x) => (x > 0 ? 1 : 0)),
  abs: unary(Math.abs, "sign {0}", (x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
  stop_gradient: unary((x) => x, "0", () => 0),
};

const FLAT: Record<string, ScalarOp> = {
  sign: flat((x) => (Number.isNaN(x) ? x : Math.sign(x)), 1),
  floor: flat(Math.floor, 1),
  ceil: flat(Math.ceil, 1),
  round: flat(rint, 1),
  greater: flat((x, y) => Number(x > y), 2),
  greater_equal: flat((x, y) => Number(x >= y), 2),
  less: flat((x, y) => Number(x < y), 2),
  less_equal: flat((x, y) => Number(x <= y), 2),
  equal: flat((x, y) => Number(x === y), 2),
  not_equal: flat((x, y) => Number(x !== y), 2),
};

const OPS: ReadonlyMap<string, ScalarOp> = new Map(Object.entries({ ...BINARY, ...UNARY, ...FLAT }));

/** The op of a name, if the page can compute it. */
export function scalarOp(name: string): ScalarOp | undefined {
  return OPS.get(name);
}
