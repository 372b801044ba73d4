/** What keys and clicks do to a picture: walk along wires, open and fold boxes, go to findings and matches. */

import { wiring } from "../document";
import type { Store } from "../store";
import { clean } from "../tokens";
import { sentence } from "../words";

/** Select a node and say it. */
export function select(store: Store, node: number): void {
  store.node.value = node;
  store.said.value = sentence(store, store.owner.value[node]);
}

export type Direction = "left" | "right" | "up" | "down";

/** Walk from the selected box: along a wire to an input or a user, or to the next box of the column. */
export function walk(store: Store, direction: Direction): void {
  const { scene, layout, parts } = store.picture.value;
  if (!parts.length) return;
  if (store.node.value < 0) {
    select(store, store.document.value.graph.output);
    return;
  }
  const box = store.owner.value[store.node.value];
  const real = (index: number) => store.owner.value[scene.boxes[index].node];
  const near = (boxes: number[]) =>
    boxes.sort((a, b) => Math.abs(layout.y[a] - layout.y[box]) - Math.abs(layout.y[b] - layout.y[box]) || a - b)[0];
  let to: number | undefined;
  if (direction === "left") to = near(scene.arrows.filter((each) => each.target === box).map((each) => real(each.source)));
  if (direction === "right") to = near(scene.arrows.filter((each) => real(each.source) === box).map((each) => each.target));
  if (direction === "up" || direction === "down") {
    const sign = direction === "up" ? -1 : 1;
    const column = scene.boxes.flatMap((each, index) => {
      const isBeyond = sign * (layout.y[index] - layout.y[box]) > 0;
      return layout.rank[index] === layout.rank[box] && each.kind !== "stub" && isBeyond ? [index] : [];
    });
    to = near(column);
  }
  if (to !== undefined) select(store, scene.boxes[to].node);
}

/** Open a folded box. */
export function open(store: Store, box: number): void {
  const part = store.picture.value.parts[box];
  if (part?.box.kind !== "fold") return;
  const { key, title, node } = part.box;
  store.setOpen(key, true);
  store.node.value = node;
  store.said.value = store.t("opened", clean(title));
}

/** Fold the innermost module around the selected node, or take back the last box that was opened. */
export function foldUp(store: Store): void {
  const { graph } = store.document.value;
  const { open: opened = [] } = store.settings.value;
  const { node } = store;
  const key = moduleKey(store, node.value) ?? opened[opened.length - 1];
  if (key === undefined) return;
  store.setOpen(key, false);
  store.said.value = store.t("folded", clean(key.replace(/@\d+$/, "")));
  if (node.value >= 0 && store.owner.value[node.value] < 0) node.value = graph.output;
}

/** The key of the innermost call around a node that is not folded yet: its path and its first op. */
function moduleKey(store: Store, node: number): string | undefined {
  const { nodes, modules } = store.document.value.graph;
  const shown = new Set(store.picture.value.parts.map((part) => part.box.key));
  for (let call = nodes.module[node] ?? -1; call >= 0; call = modules[call].parent) {
    const first = nodes.module.findIndex((each, at) => nodes.kind[at] === "op" && isWithin(modules, each, call));
    const key = `${modules[call].path}@${first}`;
    if (!shown.has(key)) return key;
  }
  return undefined;
}

function isWithin(modules: readonly { parent: number }[], call: number, outer: number): boolean {
  for (let at = call; at >= 0; at = modules[at].parent) if (at === outer) return true;
  return false;
}

/** Go to the next finding, or with -1 to the one before. */
export function goToFinding(store: Store, by: number): void {
  const { findings } = store.document.value;
  if (!findings.length) {
    store.said.value = store.t("noFindings");
    return;
  }
  const at = store.finding.value < 0 ? (by > 0 ? 0 : findings.length - 1) : store.finding.value + by;
  const place = (at + findings.length) % findings.length;
  const finding = findings[place];
  store.finding.value = place;
  if (finding.node >= 0) store.node.value = finding.node;
  store.said.value = store.t("finding", place + 1, findings.length, clean(finding.text));
}

/** Go to the next node that was found, or with -1 to the one before. */
export function goToMatch(store: Store, by = 1): void {
  const found = store.matches.value;
  if (!found.length) {
    store.said.value = store.t("nothingFound");
    return;
  }
  const at = found.indexOf(store.node.value);
  const place = at < 0 ? 0 : (at + by + found.length) % found.length;
  select(store, found[place]);
}

/** Change the selected leaf a little. */
export function nudge(store: Store, by: number): void {
  const node = store.node.value;
  if (!store.isEditable(node) || !store.circuit.value) return;
  const value = store.circuit.value.values(store.edits.value)[node];
  store.edit(node, Math.round((value + by) * 1e6) / 1e6);
  store.said.value = sentence(store, store.owner.value[node]);
}

/** The nodes beside one: what it uses and what uses it. */
export function neighbours(store: Store, node: number): { inputs: number[]; users: number[] } {
  const { graph } = store.document.value;
  const { entering, leaving } = wiring(graph);
  return {
    inputs: [...new Set((entering[node] ?? []).map((edge) => graph.edges.source[edge]))],
    users: [...new Set((leaving[node] ?? []).map((edge) => graph.edges.target[edge]))],
  };
}
