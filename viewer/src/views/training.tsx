/**
 * A training as it goes on, or as it went: loss and accuracy, the strips per layer, findings, the decision boundary, and
 * the way to the graph at any layer and step. Without a server it draws the series that the document carries.
 */

import { numeric } from "../document";
import type { Store } from "../store";
import type { Key } from "../strings";
import { BoundaryMap } from "../studio/boundary";
import { SurfaceMap } from "../studio/surface";
import { Chart } from "../studio/chart";
import type { Series } from "../studio/chart";
import type { Command, Status } from "../studio/client";
import { isOver } from "../studio/client";
import { Form } from "../studio/form";
import type { Run } from "../studio/run";
import { smoothed } from "../studio/scale";
import { Strips } from "../studio/strips";
import type { Studio } from "../studio/studio";
import { studioOf } from "../studio/studio";
import { clean } from "../tokens";
import type { ViewProps } from "./index";

const SMOOTHING = 0.95;

export function TrainingView({ store }: ViewProps) {
  const studio = studioOf(store);
  const run = studio.run.value;
  const status = studio.status.value;
  const choices = studio.about.value?.choices;
  return (
    <div class="training page-view">
      {studio.error.value && (
        <p class="refused" role="alert">
          {studio.error.value}
        </p>
      )}
      {choices && (
        <details open={run === null}>
          <summary>{store.t("newTraining")}</summary>
          <Form {...{ store, studio, choices }} />
          <OpenPath store={store} studio={studio} />
        </details>
      )}
      {status && <Controls {...{ store, studio, status }} />}
      {run ? <RunView {...{ store, studio, run }} /> : <Carried store={store} hasServer={studio.server !== undefined} />}
    </div>
  );
}

function OpenPath({ store, studio }: { store: Store; studio: Studio }) {
  const onSubmit = (event: SubmitEvent) => {
    event.preventDefault();
    void studio.open(String(new FormData(event.currentTarget as HTMLFormElement).get("path") ?? "").trim());
  };
  return (
    <form class="open-path" onSubmit={onSubmit}>
      <label>
        <span>{store.t("openPath")}</span>
        <input name="path" required placeholder="adjoint-runs/spiral-1.run.jsonl" />
      </label>
      <button type="submit">{store.t("unfold")}</button>
    </form>
  );
}

// --- controls --------------------------------------------------------------------------------------------------------

interface ControlProps {
  store: Store;
  studio: Studio;
  status: Status;
}

function Controls({ store, studio, status }: ControlProps) {
  const { t } = store;
  const hasEnded = isOver(status);
  const isRunning = status.state === "running";
  const button = (word: Command, key: Key, sign: string, isOff = hasEnded) => (
    <button onClick={() => void studio.tell(word)} disabled={isOff}>
      <span aria-hidden="true">{sign}</span> {t(key)}
    </button>
  );
  return (
    <div class="controls" role="group" aria-label={t("training")}>
      {isRunning ? button("pause", "pause", "❚❚") : button("run", "trainRun", "▶")}
      {button("step", "next", "▶❘", hasEnded || isRunning)}
      {button("stop", "trainStop", "■")}
      <output>
        {t(`state_${status.state}` as Key)}
        {" · "}
        {t("progress", status.epoch, status.epochs, status.step, status.steps)}
      </output>
      {status.reason && <span class="refused">{clean(status.reason)}</span>}
    </div>
  );
}

// --- a run -----------------------------------------------------------------------------------------------------------

interface RunProps {
  store: Store;
  studio: Studio;
  run: Run;
}

interface PartProps extends RunProps {
  /** Rises when the run has grown: it is changed in place. */
  version: number;
}

function RunView({ store, studio, run }: RunProps) {
  const version = studio.version.value;
  if (!run.head) return null;
  const { t } = store;
  const last = run.looks.length - 1;
  const isFollowing = studio.moment.value < 0;
  const at = isFollowing ? last : Math.min(studio.moment.value, last);
  const step = run.looks[at]?.step ?? 0;
  const cursor = isFollowing ? {} : { cursor: step };
  const { losses, accuracies } = seriesOf(store, run);
  return (
    <>
      <h2>
        {clean(run.head.title)} <small class="muted">{madeOf(run)}</small>
      </h2>
      <div class="moment">
        <label>
          <span>{t("moment")}</span>
          <input
            type="range"
            min={0}
            max={Math.max(last, 0)}
            value={at}
            aria-valuetext={t("stepNumber", step)}
            onInput={(event) => (studio.moment.value = Number(event.currentTarget.value))}
          />
        </label>
        <output>{t("stepNumber", step)}</output>
        <button onClick={() => (studio.moment.value = -1)} disabled={isFollowing}>
          {t("latest")}
        </button>
      </div>
      <div class="panels">
        <div>
          <Chart title={t("loss")} series={losses} steps={run.step} {...cursor} />
          {accuracies.length > 0 && (
            <Chart title={t("accuracy")} series={accuracies} steps={run.step} top={1} {...cursor} />
          )}
          <RateChart {...{ store, studio, run, version }} />
        </div>
        <BoundaryMap {...{ store, run, version, step }} />
        <SurfaceMap {...{ store, run, version, step }} />
        <FindingList {...{ store, studio, run, version }} />
      </div>
      {run.looks.length > 0 && <Strips {...{ store, studio, run, version }} />}
    </>
  );
}

/** The settings of a run that a person asks for first. */
function madeOf({ head }: Run): string {
  const shown = ["hidden", "activation", "loss", "optimizer", "lr", "batch_size", "seed"];
  const told = shown.map((name) => [name, head?.about[name]] as const).filter(([, value]) => value != null);
  return told.map(([name, value]) => `${name} ${clean(String(value)).replaceAll(",", ", ") || "—"}`).join(" · ");
}

function seriesOf(store: Store, run: Run): { losses: Series[]; accuracies: Series[] } {
  const { t } = store;
  const steps = run.epochs.map((epoch) => epoch.step);
  const of = (name: string) => run.epochs.map((epoch) => epoch.figures[name] ?? NaN);
  const has = (name: string) => run.epochs.some((epoch) => name in epoch.figures);
  const losses: Series[] = [];
  if (run.losses.length) {
    losses.push({ name: t("lossRaw"), values: run.losses, class: "muted" });
    losses.push({ name: t("lossSmooth"), values: smoothed(run.losses, SMOOTHING), class: "value" });
  } else {
    losses.push({ name: t("loss"), values: of("loss"), steps, class: "value" });
  }
  if (has("val_loss")) losses.push({ name: t("lossHeld"), values: of("val_loss"), steps, class: "gradient" });
  const accuracies: Series[] = has("accuracy")
    ? [{ name: t(has("val_loss") ? "lossHeld" : "accuracy"), values: of("accuracy"), steps, class: "value" }]
    : [];
  return { losses, accuracies };
}

/** The learning rate, where it changes. */
function RateChart({ store, run }: PartProps) {
  const values = run.rates.map(([, rate]) => rate);
  if (values.every((rate) => rate === values[0])) {
    return values.length ? <p class="muted">{store.t("rateIs", values[0])}</p> : null;
  }
  const series: Series = { name: store.t("rate"), values, steps: run.rates.map(([step]) => step), class: "value" };
  return <Chart title={store.t("rate")} series={[series]} steps={run.step} />;
}

function FindingList({ store, studio, run }: PartProps) {
  const { t } = store;
  return (
    <section class="finding-list">
      <h3>
        {t("findings")} ({run.findings.length})
      </h3>
      {run.findings.length === 0 && <p class="muted">{t("noFindings")}</p>}
      <ul>
        {run.findings.slice(-MOST_FINDINGS).map((finding) => (
          <li>
            <button class="link" disabled={finding.layer < 0} onClick={() => void studio.graph(finding.layer, finding.step)}>
              {t("stepNumber", finding.step)}: {clean(finding.text)}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const MOST_FINDINGS = 50;

// --- what a document carries -----------------------------------------------------------------------------------------

/** The series of a document's own runs, by epoch. */
function Carried({ store, hasServer }: { store: Store; hasServer: boolean }) {
  const { runs } = store.document.value;
  if (!runs.length) return hasServer ? null : <p class="muted">{store.t("noRuns")}</p>;
  return (
    <>
      {runs.map(({ title, series }) => (
        <>
          <h2>{clean(title)}</h2>
          {Object.entries(series).map(([name, column]) => (
            <Chart
              title={clean(name)}
              series={[{ name: clean(name), values: column.map(numeric), class: "value" }]}
              steps={column.length}
            />
          ))}
        </>
      ))}
    </>
  );
}
