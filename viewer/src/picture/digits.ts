/**
 * How numbers are printed: decimals, scientific form, short arrays, and how many digits make them true.
 *
 * The twin of `digits.py`: the page prints what Python prints. Python rounds a tie to the even digit, JavaScript away
 * from zero; a double that is a tie shows it in its exact expansion, which `toFixed` can write.
 */

export const FEWEST = 2;
export const SIDE = 6;
export const ENTRIES = 24;
const MOST = 6;
const EXACT = [0, 2, 3, 4] as const;

/** Upstream, local, downstream. */
export type Product = readonly [number, number, number];

/** An array of numbers with its shape; `dtype` says how an element is written. */
export interface Values {
  data: readonly number[];
  shape: readonly number[];
  dtype: string;
}

const SPARE = 60; // digits behind the last in which a number that is no tie differs from one

/** Whether the digits behind a place are a five and zeros. */
function isTie(expansion: string, place: number): boolean {
  return /^50*$/.test(expansion.slice(place));
}

/** `text` with its last digit lowered by one; it is odd, so that nothing is borrowed. */
function lowered(text: string): string {
  return text.slice(0, -1) + String(Number(text.slice(-1)) - 1);
}

const isOdd = (text: string): boolean => Number(text.slice(-1)) % 2 === 1;

/** Whether a number lies exactly between two of so many decimals. */
function isHalfway(size: number, digits: number): boolean {
  const scaled = size * 10 ** (digits + 1); // of a tie this is exact, a whole number that ends in 5
  if (scaled < Number.MAX_SAFE_INTEGER && scaled % 10 !== 5) return false;
  const exact = size.toFixed(Math.min(100, digits + SPARE));
  return isTie(exact.slice(exact.indexOf(".") + 1), digits);
}

/** Python's f"{x:.{digits}f}" of a finite number below 1e21. */
export function fixed(x: number, digits: number): string {
  const size = Math.abs(x);
  const rounded = size.toFixed(digits);
  const text = isOdd(rounded) && isHalfway(size, digits) ? lowered(rounded) : rounded;
  return x < 0 || Object.is(x, -0) ? `-${text}` : text;
}

/** Scientific form without padding: 1.5e-7, not 1.50e-07. */
export function scientific(x: number, digits: number): string {
  const size = Math.abs(x);
  const [rounded, exponent] = size.toExponential(digits).split("e");
  const exact = size.toExponential(Math.min(100, digits + SPARE)).split("e")[0];
  const mantissa = isTie(exact.slice(2), digits) && isOdd(rounded) ? lowered(rounded) : rounded;
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return `${x < 0 ? "-" : ""}${short}e${Number(exponent)}`;
}

/** The number with so many decimals; scientific where that would be a false zero or a very long line. */
export function number(x: number, digits: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Math.abs(x) >= 1e7) return scientific(x, Math.max(digits - 1, 1));
  const text = fixed(x, digits);
  if (Number(text) !== 0) return text;
  return x !== 0 ? scientific(x, Math.max(digits - 1, 1)) : text.replace(/^-/, "");
}

/** One element of an array: whole numbers and truth values without decimals. */
export function entry(x: number, dtype: string, digits: number): string {
  if (dtype === "bool") return x ? "true" : "false";
  return isWhole(dtype) ? String(x) : number(x, digits);
}

function isWhole(dtype: string): boolean {
  return dtype.startsWith("int") || dtype.startsWith("uint");
}

export function isFloat(dtype: string): boolean {
  return dtype.startsWith("float");
}

/** A shape as NumPy writes it: (), (2,), (64, 10). */
export function shapeText(sizes: readonly number[]): string {
  return sizes.length === 1 ? `(${sizes[0]},)` : `(${sizes.join(", ")})`;
}

/** Whether an array is written number by number. */
export function isShort({ data, shape }: Values): boolean {
  if (shape.length < 2) return shape.length === 0 || data.length <= SIDE;
  return shape.length === 2 && data.length > 0 && data.length <= ENTRIES && Math.max(...shape) <= SIDE;
}

/** A value as lines of text: the number, the small array, or shape and range of a large one. */
export function lines(values: Values, digits: number): string[] {
  const { data, shape, dtype } = values;
  const texts = (part: readonly number[]) => part.map((x) => entry(x, dtype, digits));
  if (shape.length === 0) return texts(data);
  if (shape.length === 1 && data.length > 0 && data.length <= SIDE) return [`[${texts(data).join(" ")}]`];
  if (isShort(values) && data.length) return matrix(texts(data), shape[1]);
  return [shapeText(shape), ...span(values, digits)];
}

/** A small matrix, a line for each row, its columns aligned. */
function matrix(texts: readonly string[], columns: number): string[] {
  const rows: string[][] = [];
  for (let at = 0; at < texts.length; at += columns) rows.push(texts.slice(at, at + columns));
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const inner = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join(" "));
  if (inner.length === 1) return [`[[${inner[0]}]]`];
  return inner.map((line, row) => {
    if (row === 0) return `⎡${line}⎤`;
    return row === inner.length - 1 ? `⎣${line}⎦` : `⎢${line}⎥`;
  });
}

/** The range of a large array in one line, or nothing for an empty one. */
function span({ data, dtype }: Values, digits: number): string[] {
  if (!data.length) return [];
  const [low, high] = [data.reduce((a, b) => Math.min(a, b)), data.reduce((a, b) => Math.max(a, b))];
  const texts = [low, high].map((x) => entry(x, dtype, digits));
  return [texts[0] === texts[1] ? texts[0] : texts.join(" … ")];
}

const parsed = (x: number, digits: number): number => {
  const text = number(x, digits);
  return text.endsWith("inf") ? x : Number(text);
};

/** Whether upstream × local = downstream holds for the numbers as they are printed. */
export function isTrue([upstream, local, downstream]: Product, digits: number): boolean {
  const printed = parsed(upstream, digits) * parsed(local, digits);
  return Number.isNaN(printed) || number(printed, digits) === number(downstream, digits);
}

/** Decimals for a picture: none for whole numbers, else from 2 on until the printed products are true. */
export function enough(numbers: readonly number[], products: readonly Product[]): number {
  const exact = exactDigits(numbers.filter(Number.isFinite));
  if (exact !== null) return exact;
  let [best, fewest] = [FEWEST, Infinity];
  for (let digits = FEWEST; digits <= MOST; digits++) {
    const untrue = products.filter((each) => !isTrue(each, digits)).length;
    if (untrue < fewest) [best, fewest] = [digits, untrue];
  }
  return best;
}

/** Decimals at which every number is printed in full, or null: 0.116 needs three, 0.1966… has none. */
function exactDigits(numbers: readonly number[]): number | null {
  return EXACT.find((digits) => numbers.every((each) => isClose(rounded(each, digits), each))) ?? null;
}

function rounded(x: number, digits: number): number {
  return Math.abs(x) < 1e21 ? Number(fixed(x, digits)) : x;
}

function isClose(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) <= Math.max(1e-12 * Math.max(Math.abs(a), Math.abs(b)), 1e-15);
}

