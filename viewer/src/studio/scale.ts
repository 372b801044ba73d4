/** Series made fit for drawing: scales with round ticks, smoothing, and as many points as there are pixels. */

export interface Scale {
  low: number;
  high: number;
  isLog: boolean;
  ticks: number[];
}

const SPAN = 50; // largest / smallest from which on a scale is logarithmic

/** The scale of positive numbers that differ much, or of any numbers; what is not finite is left out. */
export function scaleOf(values: readonly number[], mayBeLog = true): Scale {
  const finite = values.filter(Number.isFinite);
  let low = finite.reduce((a, b) => Math.min(a, b), Infinity);
  let high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low > high) [low, high] = [0, 1];
  if (mayBeLog && low > 0 && high / low > SPAN) return { low, high, isLog: true, ticks: powers(low, high) };
  if (low >= 0) low = 0;
  if (low === high) high = low + 1;
  return { low, high, isLog: false, ticks: round(low, high) };
}

/** Where a value lies, from 0 at the low end to 1 at the high. */
export function share({ low, high, isLog }: Scale, value: number): number {
  const at = isLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.max(0, Math.min(1, at));
}

/** About four round numbers between two. */
function round(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].find((each) => each * power >= rough) ?? 10;
  const step = unit * power;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

function powers(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const apart = Math.max(1, Math.ceil((last - first + 1) / 5));
  const found: number[] = [];
  for (let power = first; power <= last; power += apart) found.push(Number(`1e${power}`));
  return found;
}

/** An exponential mean that begins at the first value; what is not finite passes through and is not remembered. */
export function smoothed(values: readonly number[], weight: number): number[] {
  let mean = NaN;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    mean = Number.isNaN(mean) ? value : weight * mean + (1 - weight) * value;
    return mean;
  });
}

/** At most two points for each of so many buckets, the lowest and the highest, in order: peaks stay visible. */
export function thinned(values: readonly number[], buckets: number): [number, number][] {
  if (values.length <= 2 * buckets) return values.map((value, place) => [place, value]);
  const found: [number, number][] = [];
  for (let bucket = 0; bucket < buckets; bucket++) {
    const start = Math.floor((bucket * values.length) / buckets);
    const stop = Math.floor(((bucket + 1) * values.length) / buckets);
    let [lowest, highest] = [start, start];
    for (let place = start; place < stop; place++) {
      if (values[place] < values[lowest]) lowest = place;
      if (values[place] > values[highest]) highest = place;
    }
    for (const place of lowest < highest ? [lowest, highest] : lowest > highest ? [highest, lowest] : [lowest]) {
      found.push([place, values[place]]);
    }
  }
  return found;
}

/** A number for a person: four digits, and an exponent where it would be long. */
export function brief(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}
