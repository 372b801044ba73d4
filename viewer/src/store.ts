/**
 * The state of one viewer as signals: the document, what of it is shown, and what the reader has chosen.
 *
 * Invariants. The document is never changed in place: a new one is put into `document`, and what depends on it follows.
 * What a link should carry is in `address.ts`; everything else is forgotten when the page closes.
 */

import { batch, computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { GraphDocument, Question, Trace, ViewSettings } from "./document";
import { emptyDocument } from "./document";
import { owners } from "./picture/fold";
import type { Picture } from "./picture/picture";
import { keeping, picture } from "./picture/picture";
import { search } from "./search";
import type { Moment, Timeline } from "./steps";
import { moment, steps, timeline } from "./steps";
import type { Key, Language } from "./strings";
import { languageFor, text } from "./strings";
import { Circuit } from "./whatif";

export type Theme = "auto" | "light" | "dark";

/** The step of a picture on which everything is known, whatever its number is. */
export const END = Number.MAX_SAFE_INTEGER;

const FEWEST_DIGITS = 2; // while a leaf is changed: digits that jump with every move cannot be read

export interface MountOptions {
  view?: string;
  language?: string;
  theme?: Theme;
  /** Whether the state is kept in the address of the page, and keys work everywhere on it; off in a notebook. */
  page?: boolean;
  /** The second document of the view Compare. */
  other?: GraphDocument;
  /** Where the studio's server is, for the views that need it; none in a file. */
  server?: { base: string; token: string };
}

export interface Store {
  options: MountOptions;
  document: Signal<GraphDocument>;
  other: Signal<GraphDocument | null>;
  view: Signal<string>;
  theme: Signal<Theme>;
  language: Signal<Language>;
  /** The entry `view` of the document, as the reader has changed it. */
  settings: Signal<ViewSettings>;
  /** The selected node, or -1. */
  node: Signal<number>;
  step: Signal<number>;
  playing: Signal<boolean>;
  query: Signal<string>;
  /** Which finding was gone to last; -1 for none. */
  finding: Signal<number>;
  helps: Signal<boolean>;
  /** Leaves that were given another value. */
  edits: Signal<ReadonlyMap<number, number>>;
  /** Questions that were answered, by place. */
  answered: Signal<ReadonlySet<number>>;
  /** What the live region reads. */
  said: Signal<string>;

  circuit: ReadonlySignal<Circuit | null>;
  /** The trace with the edits in it. */
  trace: ReadonlySignal<Trace | undefined>;
  picture: ReadonlySignal<Picture>;
  timeline: ReadonlySignal<Timeline>;
  moment: ReadonlySignal<Moment>;
  /** For every node the box of the picture that shows it. */
  owner: ReadonlySignal<Int32Array>;
  matches: ReadonlySignal<number[]>;
  questions: ReadonlySignal<readonly Question[]>;
  /** Whether a question is still open: local gradients would give it away. */
  asks: ReadonlySignal<boolean>;

  /** A text of the table in the reader's language. */
  t: (key: Key, ...values: (string | number)[]) => string;
  show: (document: GraphDocument) => void;
  isEditable: (node: number) => boolean;
  edit: (node: number, value: number) => void;
  /** Whether a question asks for a label that is not answered yet. */
  isHidden: (node: number, what: Question["what"]) => boolean;
  setOpen: (key: string, isOpen: boolean) => void;
  /** Zoom of the view that is shown, if it has one: in, out, or 0 to fit. */
  zoom?: (by: number) => void;
}

export function createStore(given: GraphDocument | null, options: MountOptions = {}): Store {
  const first = given ?? emptyDocument();
  const state = {
    options,
    document: signal(first),
    other: signal<GraphDocument | null>(options.other ?? null),
    view: signal(options.view ?? "graph"),
    theme: signal<Theme>(options.theme ?? "auto"),
    language: signal(languageFor(options.language)),
    settings: signal<ViewSettings>(first.view),
    ...{ node: signal(-1), step: signal(END), playing: signal(false), query: signal(""), finding: signal(-1) },
    ...{ helps: signal(false), said: signal("") },
    edits: signal<ReadonlyMap<number, number>>(new Map()),
    answered: signal<ReadonlySet<number>>(new Set()),
  };
  return { ...state, ...derived(state), ...actions(state) };
}

type State = Omit<Store, keyof Derived | keyof Actions>;
type Derived = Pick<
  Store,
  "circuit" | "trace" | "picture" | "timeline" | "moment" | "owner" | "matches" | "questions" | "asks" | "isEditable"
>;
type Actions = Pick<Store, "t" | "show" | "edit" | "isHidden" | "setOpen">;

function derived({ document, edits, settings, step, query, answered }: State): Derived {
  const recorded = computed(() => document.value.traces[document.value.traces.length - 1]);
  const circuit = computed(() => Circuit.of(document.value.graph, recorded.value));
  const questions = computed(() => document.value.view.quiz ?? []);
  const blank = computed(() => questions.value.filter((_, place) => !answered.value.has(place)));
  const view = computed(() => ({ ...settings.value, quiz: blank.value }));
  const plain = computed(() => picture(document.value, recorded.value, view.value));
  const trace = computed(() =>
    edits.value.size && circuit.value ? circuit.value.retraced(edits.value) : recorded.value,
  );
  let last: Picture | undefined;
  const shown = computed(() => {
    const digits = Math.max(plain.value.figures.digits, FEWEST_DIGITS);
    const made = edits.value.size ? picture(document.value, trace.value, { ...view.value, digits }) : plain.value;
    return (last = keeping(last, made));
  });
  const owner = computed(() => owners(shown.value.scene.boxes, document.value.graph.count));
  const line = computed(() => timeline(shown.value, owner.value));
  return {
    ...{ circuit, trace, picture: shown, timeline: line },
    moment: computed(() => moment(line.value, step.value)),
    owner,
    matches: computed(() => search(document.value, trace.value, query.value)),
    questions,
    asks: computed(() => blank.value.length > 0),
    isEditable: (node) => {
      const kind = document.value.graph.nodes.kind[node];
      return kind !== undefined && kind !== "op" && circuit.value !== null;
    },
  };
}

function actions(state: State): Actions {
  const { document, settings, edits, answered, node, step, playing, finding, query, language } = state;
  return {
    t: (key, ...values) => text(language.value, key, ...values),
    show: (made) =>
      batch(() => {
        const keeps = made.graph.count === document.value.graph.count;
        [document.value, settings.value] = [made, made.view];
        [edits.value, answered.value] = [new Map(), new Set()];
        [finding.value, playing.value] = [-1, false];
        if (!keeps) [node.value, step.value, query.value] = [-1, END, ""];
      }),
    edit: (leaf, value) => {
      edits.value = new Map([...edits.value, [leaf, value]]);
    },
    isHidden: (at, what) =>
      (document.value.view.quiz ?? []).some(
        (question, place) => question.node === at && question.what === what && !answered.value.has(place),
      ),
    setOpen: (key, isOpen) => {
      const { open = [], closed = [], ...rest } = settings.value;
      const without = (keys: readonly string[]) => keys.filter((each) => each !== key);
      settings.value = {
        ...rest,
        open: isOpen ? [...without(open), key] : without(open),
        closed: isOpen ? without(closed) : [...without(closed), key],
      };
    },
  };
}

export function lastStep(store: Store): number {
  return steps(store.timeline.value);
}
