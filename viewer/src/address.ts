/**
 * The state that a link carries, in the hash of the address: `#view=graph&node=3&step=4`.
 *
 * Only what differs from the start is written. An address that makes no sense is ignored entry by entry.
 */

import { effect } from "@preact/signals";
import type { Store, Theme } from "./store";
import { END } from "./store";
import { languageFor } from "./strings";

const THEMES: readonly string[] = ["auto", "light", "dark"];

/** What the store says as a hash; empty at the start. */
export function written(store: Store): string {
  const entries = new URLSearchParams();
  const { view, node, step, theme, settings, edits, query, language } = store;
  if (view.value !== "graph") entries.set("view", view.value);
  if (node.value >= 0) entries.set("node", String(node.value));
  if (step.value !== END) entries.set("step", String(step.value));
  if (theme.value !== "auto") entries.set("theme", theme.value);
  if (language.value !== languageFor(store.options.language)) entries.set("language", language.value);
  if (query.value) entries.set("find", query.value);
  for (const key of settings.value.open ?? []) entries.append("open", key);
  for (const key of settings.value.closed ?? []) entries.append("closed", key);
  for (const [leaf, value] of edits.value) entries.append("set", `${leaf}:${value}`);
  const text = entries.toString();
  return text && `#${text}`;
}

/** Put what a hash says into the store. */
export function read(store: Store, hash: string): void {
  const entries = new URLSearchParams(hash.replace(/^#/, ""));
  const whole = (name: string) => (/^\d{1,9}$/.test(entries.get(name) ?? "") ? Number(entries.get(name)) : undefined);
  store.view.value = entries.get("view") ?? store.view.value;
  const node = whole("node");
  if (node !== undefined && node < store.document.value.graph.count) store.node.value = node;
  store.step.value = whole("step") ?? store.step.value;
  const theme = entries.get("theme");
  if (theme && THEMES.includes(theme)) store.theme.value = theme as Theme;
  const language = entries.get("language");
  if (language) store.language.value = languageFor(language);
  store.query.value = entries.get("find") ?? "";
  if (entries.has("open") || entries.has("closed")) {
    store.settings.value = {
      ...store.settings.value,
      ...{ open: entries.getAll("open"), closed: entries.getAll("closed") },
    };
  }
  const set = entries.getAll("set").map((each) => each.split(":").map(Number));
  const valid = set.filter(([leaf, value]) => store.isEditable(leaf) && Number.isFinite(value));
  if (valid.length) store.edits.value = new Map(valid.map(([leaf, value]) => [leaf, value]));
}

const PAUSE = 150; // ms: browsers refuse an address that changes with every frame, and it costs more than a drawing

/** Keep address and store alike, a moment later; what is given back ends that. */
export function follow(store: Store): () => void {
  let own = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onChange = () => {
    clearTimeout(timer);
    if (location.hash !== own) read(store, location.hash);
  };
  const write = () => {
    const hash = written(store);
    if (hash === location.hash) return;
    own = hash;
    history.replaceState(null, "", hash || location.pathname + location.search);
  };
  read(store, location.hash);
  addEventListener("hashchange", onChange);
  addEventListener("pagehide", write);
  const stop = effect(() => {
    written(store); // what it reads is what it is called for again
    clearTimeout(timer);
    timer = setTimeout(write, PAUSE);
  });
  return () => {
    stop();
    clearTimeout(timer);
    removeEventListener("hashchange", onChange);
    removeEventListener("pagehide", write);
  };
}
