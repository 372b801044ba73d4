/**
 * The elementwise ops on single numbers: value and local gradients.
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
}

const one: Local = () => 1;
const zero: Local = () => 0;

function unary(forward: (x: number) => number, local: (x: number, out: number) => number): ScalarOp {
  return { forward, locals: [([x], out) => local(x, out)] };
}

function flat(forward: (...x: number[]) => number, inputs: number): ScalarOp {
  return { forward, locals: Array.from({ length: inputs }, () => zero) };
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

const TERMS = 200;
const FULL = 6; // from here on erf is 1 to the last digit

/** 2/√π · e^(−x²) · (x + 2x³/3 + 4x⁵/15 + …): all terms have one sign, so that nothing is lost. */
function erf(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) >= FULL) return Number.isNaN(x) ? x : Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < TERMS && Math.abs(term) > Number.EPSILON * 1e-2 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return SLOPE * Math.exp(-x * x) * sum;
}

const SLOPE = 2 / Math.sqrt(Math.PI);

/** e^x where x is negative, else 1: what is on the side of a kink that is not taken must not overflow. */
const lower = (x: number): number => Math.exp(-larger(-x, 0));

/** As NumPy has it, where NaN is true. */
const isTrue = (x: number): boolean => x !== 0;

const SEVERAL: Record<string, ScalarOp> = {
  add: { forward: (x, y) => x + y, locals: [one, one] },
  subtract: { forward: (x, y) => x - y, locals: [one, () => -1] },
  multiply: { forward: (x, y) => x * y, locals: [([, y]) => y, ([x]) => x] },
  divide: { forward: (x, y) => x / y, locals: [([, y]) => 1 / y, ([, y], out) => -out / y] },
  power: {
    forward: (x, y) => (y === 0 || x === 1 ? 1 : Math.pow(x, y)),
    locals: [
      ([x, y]) => (y === 0 ? 0 : y * (y === 1 || x === 1 ? 1 : Math.pow(x, y - 1))),
      ([x], out) => (x === 0 ? 0 : out * Math.log(x)),
    ],
  },
  maximum: { forward: larger, locals: share((a, b) => a > b) },
  minimum: { forward: smaller, locals: share((a, b) => a < b) },
  where: {
    forward: (condition, x, y) => (isTrue(condition) ? x : y),
    locals: [zero, ([condition]) => Number(isTrue(condition)), ([condition]) => Number(!isTrue(condition))],
  },
  leaky_relu: {
    forward: (x, slope) => (x > 0 ? x : slope * x),
    locals: [([x, slope]) => (x > 0 ? 1 : slope), ([x]) => (x > 0 ? 0 : x)],
  },
  elu: {
    forward: (x, alpha) => (x > 0 ? x : alpha * Math.expm1(x)),
    locals: [([x, alpha]) => (x > 0 ? 1 : alpha * lower(x)), ([x]) => (x > 0 ? 0 : Math.expm1(x))],
  },
  clip: {
    forward: (x, low, high) => smaller(larger(x, low), high),
    locals: [
      ([x, low, high]) => Number(x > low && x < high),
      ([x, low, high]) => Number(x < low && low < high),
      ([x, low, high]) => Number(larger(x, low) > high),
    ],
  },
};

const UNARY: Record<string, ScalarOp> = {
  negative: unary((x) => -x, () => -1),
  square: unary((x) => x * x, (x) => 2 * x),
  sqrt: unary(Math.sqrt, (_, out) => 0.5 / out),
  reciprocal: unary((x) => 1 / x, (_, out) => -(out * out)),
  exp: unary(Math.exp, (_, out) => out),
  expm1: unary(Math.expm1, (_, out) => out + 1),
  exp2: unary((x) => Math.pow(2, x), (_, out) => Math.LN2 * out),
  log: unary(Math.log, (x) => 1 / x),
  log1p: unary(Math.log1p, (x) => 1 / (1 + x)),
  log2: unary(Math.log2, (x) => 1 / (x * Math.LN2)),
  log10: unary(Math.log10, (x) => 1 / (x * Math.LN10)),
  sin: unary(Math.sin, (x) => Math.cos(x)),
  cos: unary(Math.cos, (x) => -Math.sin(x)),
  tan: unary(Math.tan, (_, out) => 1 + out * out),
  arctan: unary(Math.atan, (x) => 1 / (1 + x * x)),
  sinh: unary(Math.sinh, (x) => Math.cosh(x)),
  cosh: unary(Math.cosh, (x) => Math.sinh(x)),
  tanh: unary(Math.tanh, (_, out) => 1 - out * out),
  sigmoid: unary(sigmoid, (_, out) => (1 - out) * out),
  softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), (x) => sigmoid(x)),
  relu: unary((x) => larger(x, 0), (x) => (x > 0 ? 1 : 0)),
  abs: unary(Math.abs, (x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
  erf: unary(erf, (x) => SLOPE * Math.exp(-x * x)),
  stop_gradient: unary((x) => x, () => 0),
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
  logical_and: flat((x, y) => Number(isTrue(x) && isTrue(y)), 2),
  logical_or: flat((x, y) => Number(isTrue(x) || isTrue(y)), 2),
  logical_not: flat((x) => Number(!isTrue(x)), 1),
  isnan: flat((x) => Number(Number.isNaN(x)), 1),
  isinf: flat((x) => Number(Math.abs(x) === Infinity), 1),
  isfinite: flat((x) => Number(Number.isFinite(x)), 1),
};

const OPS: ReadonlyMap<string, ScalarOp> = new Map(Object.entries({ ...SEVERAL, ...UNARY, ...FLAT }));

/** The op of a name, if the page can compute it. */
export function scalarOp(name: string): ScalarOp | undefined {
  return OPS.get(name);
}
