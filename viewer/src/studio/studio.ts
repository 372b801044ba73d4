/**
 * What the views Training and Playground share for one viewer: the server, the run that is followed, what is typed.
 *
 * Records come faster than pictures can be drawn, so a run is changed in place and `version` rises once a frame; what
 * draws a run reads `version` first.
 */

import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { Store } from "../store";
import { clean } from "../tokens";
import type { Command, Opened, Overview, Server, Status } from "./client";
import { Refused, command, graphAt, isOver, listen, open, opened, overview, start } from "./client";
import { Run } from "./run";

const studios = new WeakMap<Store, Studio>();

/** The studio of a viewer, made when it is first asked for. */
export function studioOf(store: Store): Studio {
  const known = studios.get(store);
  if (known) return known;
  const made = new Studio(store);
  studios.set(store, made);
  return made;
}

/** The studio of a viewer, if it has been asked for. */
export function followed(store: Store): Studio | undefined {
  return studios.get(store);
}

export class Studio {
  readonly server: Server | undefined;
  readonly about: Signal<Overview | null> = signal(null);
  readonly status: Signal<Status | null> = signal(null);
  readonly run: Signal<Run | null> = signal(null);
  readonly version = signal(0);
  /** The look that is shown, by place; −1 follows the latest. */
  readonly moment = signal(-1);
  readonly layer = signal(0);
  /** What the server refused last, in its words; empty for nothing. */
  readonly error = signal("");
  private stop: () => void = () => undefined;
  private isDue = false;

  constructor(readonly store: Store) {
    this.server = store.options.server;
    if (this.server) void this.begin(this.server);
  }

  private async begin(server: Server): Promise<void> {
    await this.attempt(async () => {
      const about = await overview(server);
      this.about.value = about;
      const { first, training } = about;
      if (first.kind === "run" && first.id) this.follow(first.id, null);
      else if (training) this.follow(training.run, training);
    });
  }

  /** Do something, and keep the server's words if it refuses. */
  async attempt(act: () => Promise<void>): Promise<void> {
    this.error.value = "";
    try {
      await act();
    } catch (fault) {
      if (!(fault instanceof Refused || fault instanceof TypeError)) throw fault;
      this.error.value = clean(fault.message);
      this.store.said.value = this.error.value;
    }
  }

  /** Show a run from its beginning, with the status of its training if it has one here. */
  follow(id: string, status: Status | null): void {
    if (!this.server) return;
    this.stop();
    const run = new Run(id);
    [this.run.value, this.status.value, this.moment.value] = [run, status, -1];
    const closeAtEnd = () => {
      const now = this.status.value;
      if (run.end && (now === null || isOver(now))) close();
    };
    const close = listen(this.server, id, {
      line: (data) => {
        run.add(data);
        closeAtEnd();
        this.later();
      },
      status: (now) => {
        this.status.value = now;
        closeAtEnd();
      },
    });
    this.stop = close;
  }

  private later(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.version.value += 1;
    });
  }

  async train(wishes: object): Promise<void> {
    await this.attempt(async () => {
      const { id } = await start(this.server as Server, wishes);
      const { training } = await overview(this.server as Server);
      this.follow(id, training);
    });
  }

  /** Say a word to the training. What becomes of it is told by the log: an answer may come later than what followed it. */
  async tell(word: Command): Promise<void> {
    await this.attempt(async () => void (await command(this.server as Server, word)));
  }

  /** Open a file of the server's machine: a run here, a document in the view Graph. */
  async open(path: string): Promise<void> {
    await this.attempt(async () => {
      const found: Opened = await open(this.server as Server, path);
      if (found.kind === "run") this.follow(found.id, null);
      else this.show(await opened(this.server as Server, found.id));
    });
  }

  /** The graph at a layer and step, in the view Graph. */
  async graph(layer: number, step: number): Promise<void> {
    const run = this.run.value;
    const path = run?.head?.layers[layer]?.path;
    if (!run || path === undefined) return;
    await this.attempt(async () => {
      const made = await graphAt(this.server as Server, run.id, step, path);
      this.show(made);
      const { nodes, modules } = made.graph;
      this.store.node.value = nodes.module.findLastIndex((call) => modules[call]?.path === path);
    });
  }

  private show(document: Parameters<Store["show"]>[0]): void {
    this.store.show(document);
    this.store.view.value = "graph";
  }
}
