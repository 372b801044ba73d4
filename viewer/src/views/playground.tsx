/**
 * The expression playground: type a function, drag its inputs, and watch values and gradients in the graph below.
 *
 * The server computes; while one answer is awaited, of several changes only the last is asked for.
 */

import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Store } from "../store";
import type { Server } from "../studio/client";
import { Refused, compute } from "../studio/client";
import { clean } from "../tokens";
import { GraphView } from "./graph";
import type { ViewProps } from "./index";

/** The lecture's circuits, with the lecture's numbers. */
const EXAMPLES: readonly [string, Record<string, string>][] = [
  ["(x + y) * z", { x: "-2", y: "5", z: "-4" }],
  ["1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", { w0: "2", x0: "-1", w1: "-3", x1: "-2", w2: "-3" }],
  ["2 * (x*y + max(z, w))", { x: "3", y: "-4", z: "2", w: "-1" }],
  ["q = W @ x; sum(q**2)", { W: "[[0.1, 0.5], [-0.3, 0.8]]", x: "[0.2, 0.4]" }],
];

const playgrounds = new WeakMap<Store, Playground>();

function playgroundOf(store: Store, server: Server): Playground {
  const known = playgrounds.get(store);
  if (known) return known;
  const made = new Playground(store, server);
  playgrounds.set(store, made);
  return made;
}

class Playground {
  readonly expression: Signal<string> = signal(EXAMPLES[0][0]);
  /** Every value that was given, also of names that are not in the expression now. */
  readonly given: Signal<Record<string, string>> = signal(EXAMPLES[0][1]);
  /** The names that the expression has, with their values. */
  readonly inputs: Signal<Record<string, string>> = signal({});
  readonly refused: Signal<Refused | null> = signal(null);
  readonly note = signal("");
  private isAsking = false;
  private isStale = false;

  constructor(
    private readonly store: Store,
    private readonly server: Server,
  ) {}

  type(expression: string): void {
    this.expression.value = expression;
    void this.ask();
  }

  give(name: string, value: string): void {
    this.given.value = { ...this.given.value, [name]: value };
    this.inputs.value = { ...this.inputs.value, [name]: value };
    void this.ask();
  }

  take([expression, given]: readonly [string, Record<string, string>]): void {
    this.given.value = { ...this.given.value, ...given };
    this.type(expression);
  }

  async ask(): Promise<void> {
    this.isStale = true;
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      while (this.isStale) await this.askOnce();
    } finally {
      this.isAsking = false;
    }
  }

  private async askOnce(): Promise<void> {
    this.isStale = false;
    try {
      const answer = await compute(this.server, this.expression.value, this.given.value);
      this.refused.value = null;
      if (!this.isStale) this.inputs.value = answer.inputs;
      this.note.value = answer.note;
      this.store.show(answer.document);
    } catch (fault) {
      if (!(fault instanceof Refused || fault instanceof TypeError)) throw fault;
      this.refused.value = fault instanceof Refused ? fault : new Refused(fault.message);
    }
  }
}

export function PlaygroundView({ store }: ViewProps) {
  const { server } = store.options;
  return server ? <Desk store={store} server={server} /> : <p class="page-view muted">{store.t("needsStudio")}</p>;
}

function Desk({ store, server }: { store: Store; server: Server }) {
  const ground = useMemo(() => playgroundOf(store, server), [store, server]);
  useEffect(() => void ground.ask(), [ground]);
  const { t } = store;
  return (
    <div class="playground">
      <div class="desk">
        <label class="expression">
          <span>{t("expression")}</span>
          <input
            value={ground.expression.value}
            spellcheck={false}
            autocomplete="off"
            maxLength={10_000}
            aria-invalid={ground.refused.value !== null}
            aria-describedby="expression-fault"
            onInput={(event) => ground.type(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>{t("examples")}</span>
          <select onChange={(event) => ground.take(EXAMPLES[Number(event.currentTarget.value)])}>
            {EXAMPLES.map(([expression], place) => (
              <option value={place}>{expression}</option>
            ))}
          </select>
        </label>
        <div id="expression-fault" role="status">
          {ground.refused.value && <Fault text={ground.expression.value} refused={ground.refused.value} />}
          {!ground.refused.value && ground.note.value && <p class="muted">{ground.note.value}</p>}
        </div>
        <div class="inputs">
          {Object.entries(ground.inputs.value).map(([name, value]) => (
            <Input key={name} {...{ name, value, ground }} label={t("valueOf", clean(name))} />
          ))}
        </div>
      </div>
      {store.document.value.graph.count > 0 && <GraphView store={store} />}
    </div>
  );
}

const REACH = 5; // of a slider, on either side of 0, at least

function Input({ name, value, ground, label }: { name: string; value: string; ground: Playground; label: string }) {
  const number = Number(value);
  const isNumber = value.trim() !== "" && Number.isFinite(number);
  const reach = Math.max(REACH, Math.ceil(Math.abs(number)));
  return (
    <div class="input">
      <label>
        <span class="name">{clean(name)}</span>
        <input
          value={value}
          spellcheck={false}
          autocomplete="off"
          aria-label={label}
          onInput={(event) => ground.give(name, event.currentTarget.value)}
        />
      </label>
      {isNumber && (
        <input
          type="range"
          min={-reach}
          max={reach}
          step={0.01}
          value={number}
          aria-label={label}
          onInput={(event) => ground.give(name, event.currentTarget.value)}
        />
      )}
    </div>
  );
}

/** What is wrong, with a mark below the place. */
function Fault({ text, refused }: { text: string; refused: Refused }) {
  const { column } = refused;
  return (
    <div class="refused">
      <p>
        {clean(refused.message)}
        {refused.hint && ` — ${clean(refused.hint)}`}
      </p>
      {column !== undefined && (
        <pre aria-hidden="true">
          {clean(text)}
          {"\n"}
          {" ".repeat(column)}^
        </pre>
      )}
    </div>
  );
}
