/** A box in words, for those who do not see it; the live region and the picture's labels say the same sentence. */

import type { Store } from "./store";
import type { Figure } from "./picture/figures";
import { NOTHING, STOPPED } from "./picture/figures";
import { LONGEST_NAME } from "./picture/picture";
import { clean, grouped, shortened } from "./tokens";

const LONGEST_FORMULA = 80;

/** What is written of a figure, in one line, without brackets that are only drawn. */
export function spoken(figure: Figure): string {
  const texts = figure.lines.map((line) => line.replace(/^[⎡⎢⎣]|[⎤⎥⎦]$/g, ""));
  return texts.join(texts.length && texts[0] !== figure.lines[0] ? "; " : ", ");
}

/** The label of a node as it may be shown. */
export function labelOf(store: Store, node: number): string {
  return shortened(clean(store.document.value.graph.nodes.label[node] ?? ""), LONGEST_NAME);
}

/** A formula as it may be shown. */
export function formulaOf(store: Store, node: number): string {
  return shortened(clean(store.document.value.graph.nodes.formula[node] ?? ""), LONGEST_FORMULA);
}

/** What is known of a box. */
export interface Known {
  hasValue: boolean;
  hasGradient: boolean;
}

/** A box in one sentence; without being told, with what is known at this moment. */
export function sentence(store: Store, box: number, known?: Known): string {
  const part = store.picture.value.parts[box];
  if (!part) return "";
  const { t } = store;
  const now = store.moment.value;
  const { hasValue, hasGradient } = known ?? { hasValue: now.hasValue(box), hasGradient: now.hasGradient(box) };
  const { node, kind, members, title } = part.box;
  const [label, formula] = [labelOf(store, node), formulaOf(store, node)];
  const subject =
    kind === "fold"
      ? t("sentenceFold", clean(title), grouped(members.length), label)
      : formula
        ? t("sentenceGate", label, formula)
        : label;
  const said = [subject];
  if (store.isHidden(node, "value")) said.push(t("sentenceHidden"));
  else if (hasValue && part.value.lines.length) said.push(t("sentenceValue", spoken(part.value)));
  if (hasGradient) said.push(gradientWords(store, node, part.gradient));
  const separator = store.language.value === "zh" ? "，" : ", ";
  return said.filter(Boolean).join(separator);
}

function gradientWords(store: Store, node: number, figure: Figure): string {
  if (store.isHidden(node, "gradient")) return store.t("sentenceHidden");
  if (!figure.lines.length) return "";
  if (figure.lines[0] === NOTHING) return store.t("sentenceNone");
  if (figure.lines[0] === STOPPED) return store.t("sentenceStopped");
  return store.t("sentenceGradient", spoken(figure));
}
