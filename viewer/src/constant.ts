/** The constant that a gate carries, read from its formula: 1 in 1 + x, 2 in x², 0.5 in x^0.5, 0 in max(x, 0). */

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** As it is printed, for the place (0 or 1) that no wire takes; `label` is what stands at the other. */
export function constantText(formula: string, label: string, place: number): string {
  const found = /^\w+\((.+)\)$/.exec(formula);
  const parts = found ? found[1] : formula;
  if (place === 0) {
    const beside = found ? `, ${label}` : ` ${label}`;
    if (!label || !parts.endsWith(beside)) return "";
    const before = parts.slice(0, parts.length - beside.length);
    return found ? before : before.replace(/ \S+$/, "");
  }
  if (!label || !parts.startsWith(label)) return "";
  const after = plain(parts.slice(label.length));
  return found ? after.replace(/^, /, "") : after.replace(/^(?: \S+ |\^)/, "");
}

/** Digits that are printed as an exponent, as digits. */
function plain(text: string): string {
  return Array.from(text, (letter) => {
    const digit = SUPERSCRIPTS.indexOf(letter);
    return digit >= 0 ? String(digit) : letter === "⁻" ? "−" : letter;
  }).join("");
}

/** The number that it prints; NaN where it is none. */
export function constantNumber(formula: string, label: string, place: number): number {
  const text = constantText(formula, label, place).replaceAll("−", "-");
  return text ? Number(text) : NaN;
}
