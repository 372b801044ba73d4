/**
 * The studio's server as functions: questions, commands, and the stream of a run.
 *
 * A refusal is a `Refused` with the server's sentence. The token travels as a cookie, which the page's first address has
 * set; a server elsewhere may be given one in the options.
 */

import type { GraphDocument } from "../document";

export interface Server {
  base: string;
  token: string;
}

export interface Status {
  state: "paused" | "running" | "stopping" | "finished" | "stopped" | "failed";
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  reason: string;
}

export function isOver({ state }: Status): boolean {
  return state === "finished" || state === "stopped" || state === "failed";
}

export interface Choices {
  sources: string[];
  activations: string[];
  losses: string[];
  optimizers: Record<string, number>;
  defaults: Record<string, unknown>;
}

export interface Overview {
  training: (Status & { run: string }) | null;
  first: { kind?: string; id?: string };
  choices: Choices;
}

export interface Opened {
  kind: "run" | "document";
  id: string;
}

export interface Answer {
  document: GraphDocument;
  inputs: Record<string, string>;
  note: string;
}

export type Command = "run" | "pause" | "step" | "stop";

/** What the server does not do, in words; of an expression also where. */
export class Refused extends Error {
  readonly column: number | undefined;
  readonly hint: string;

  constructor(words: string, column?: number, hint = "") {
    super(words);
    this.column = column;
    this.hint = hint;
  }
}

async function ask<Made>(server: Server, path: string, init: RequestInit = {}): Promise<Made> {
  const headers = new Headers(init.headers);
  if (server.token) headers.set("authorization", `Bearer ${server.token}`);
  const answer = await fetch(server.base + path, { ...init, headers, credentials: "same-origin" });
  const made: unknown = await answer.json();
  if (answer.ok) return made as Made;
  const { error, column, hint } = made as { error?: string; column?: number; hint?: string };
  throw new Refused(error ?? answer.statusText, column, hint);
}

function send<Made>(server: Server, path: string, data: unknown): Promise<Made> {
  const headers = { "content-type": "application/json" };
  return ask(server, path, { method: "POST", headers, body: JSON.stringify(data) });
}

export const overview = (server: Server) => ask<Overview>(server, "/api/status");
export const start = (server: Server, wishes: object) => send<Opened>(server, "/api/training", wishes);
export const command = (server: Server, word: Command) => send<Overview>(server, `/api/training/${word}`, {});
export const open = (server: Server, path: string) => send<Opened>(server, "/api/open", { path });
export const opened = (server: Server, id: string) => ask<GraphDocument>(server, `/api/documents/${id}`);

export function compute(server: Server, expression: string, inputs: Record<string, string>): Promise<Answer> {
  return send(server, "/api/playground", { expression, inputs });
}

export function graphAt(server: Server, run: string, step: number, layer: string): Promise<GraphDocument> {
  return ask(server, `/api/runs/${run}/graph?${new URLSearchParams({ step: String(step), layer })}`);
}

export interface Listener {
  line: (data: string) => void;
  status: (status: Status | null) => void;
}

/** Everything of a run from its beginning, and what is added; the browser goes on by itself after a break. */
export function listen(server: Server, run: string, listener: Listener): () => void {
  const source = new EventSource(`${server.base}/api/runs/${run}/events`);
  source.onmessage = (event: MessageEvent<string>) => listener.line(event.data);
  source.addEventListener("status", (event) => listener.status(JSON.parse((event as MessageEvent<string>).data)));
  return () => source.close();
}
