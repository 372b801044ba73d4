/** The keyboard: one table of keys and what they do. Keys that are typed into a field are left alone. */

import { foldUp, goToFinding, goToMatch, nudge, open, walk } from "./graph/moves";
import { goBy, goTo, togglePlay } from "./graph/timeline";
import type { Store, Theme } from "./store";
import { END } from "./store";

type Action = (store: Store) => void;

const NEXT: Record<Theme, Theme> = { auto: "dark", dark: "light", light: "auto" };

export function nextTheme(store: Store): void {
  store.theme.value = NEXT[store.theme.value];
}

const EVERYWHERE: Record<string, Action> = {
  "[": (store) => goToFinding(store, -1),
  "]": (store) => goToFinding(store, 1),
  d: nextTheme,
  "?": (store) => (store.helps.value = !store.helps.value),
};

const GRAPH: Record<string, Action> = {
  ".": (store) => goBy(store, 1),
  ",": (store) => goBy(store, -1),
  " ": togglePlay,
  Home: (store) => goTo(store, 0),
  End: (store) => goTo(store, END),
  ArrowLeft: (store) => walk(store, "left"),
  ArrowRight: (store) => walk(store, "right"),
  ArrowUp: (store) => walk(store, "up"),
  ArrowDown: (store) => walk(store, "down"),
  Enter: (store) => (store.query.value ? goToMatch(store) : open(store, store.owner.value[store.node.value])),
  Backspace: foldUp,
  "+": (store) => store.zoom?.(1),
  "=": (store) => store.zoom?.(1),
  "-": (store) => store.zoom?.(-1),
  "0": (store) => store.zoom?.(0),
};

const NUDGES: Record<string, number> = { ArrowUp: 0.1, ArrowDown: -0.1, ArrowRight: 0.01, ArrowLeft: -0.01 };

/** The keys of the help, with the text that says what they do. */
export const HELP = [
  [". ,", "helpStep"],
  ["Space", "helpPlay"],
  ["Home End", "helpEnds"],
  ["← → ↑ ↓", "helpArrows"],
  ["Enter", "helpEnter"],
  ["Backspace", "helpBackspace"],
  ["/", "helpSearch"],
  ["[ ]", "helpFindings"],
  ["Shift + ↑ ↓ ← →", "helpNudge"],
  ["+ - 0", "helpZoom"],
  ["d", "helpTheme"],
  ["?", "helpHelp"],
] as const;

/** Views that show a graph, which keys walk through. */
const HAS_GRAPH = ["graph", "playground"];

/** Do what a key says; whether it said anything. `field` is the element that has the focus. */
export function press(store: Store, event: KeyboardEvent, field: Element | null): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === "Escape") return escape(store);
  const tag = field?.tagName ?? "";
  if (tag === "TEXTAREA" || tag === "SELECT") return false;
  if (tag === "INPUT" && !(event.key in EVERYWHERE && (field as HTMLInputElement).type === "range")) return false;
  const presses = event.key === " " || event.key === "Enter";
  if (presses && (tag === "BUTTON" || tag === "A" || tag === "SUMMARY")) return false;
  if (event.shiftKey && event.key in NUDGES && HAS_GRAPH.includes(store.view.value)) {
    nudge(store, NUDGES[event.key]);
    return true;
  }
  const action = EVERYWHERE[event.key] ?? (HAS_GRAPH.includes(store.view.value) ? GRAPH[event.key] : undefined);
  action?.(store);
  return action !== undefined;
}

function escape(store: Store): boolean {
  if (!store.helps.value && !store.query.value) return false;
  store.helps.value = false;
  store.query.value = "";
  return true;
}
