/** What a new training is made of: the choices of the server, with its defaults. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Store } from "../store";
import type { Key } from "../strings";
import type { Choices } from "./client";
import type { Studio } from "./studio";

const FILE = "file";

export function Form({ store, studio, choices }: { store: Store; studio: Studio; choices: Choices }) {
  const source = useSignal(choices.sources[0]);
  const { t } = store;
  const onSubmit = (event: SubmitEvent) => {
    event.preventDefault();
    void studio.train(wishes(new FormData(event.currentTarget as HTMLFormElement)));
  };
  const { defaults, optimizers } = choices;
  return (
    <form class="wishes" onSubmit={onSubmit}>
      <Field title={t("wishSource")}>
        <select name="source" value={source.value} onChange={(event) => (source.value = event.currentTarget.value)}>
          {choices.sources.map((name) => (
            <option value={name}>{t(`source_${name}` as Key)}</option>
          ))}
          <option value={FILE}>{t("source_file")}</option>
        </select>
      </Field>
      {source.value === FILE && (
        <>
          <Field title={t("wishPath")}>
            <input name="path" required placeholder="iris.csv" />
          </Field>
          <Field title={t("wishTarget")}>
            <input name="target" required placeholder="species" />
          </Field>
        </>
      )}
      <Field title={t("wishHidden")}>
        <input name="hidden" defaultValue={(defaults.hidden as number[]).join(", ")} pattern="\s*(\d+\s*(,\s*\d+\s*)*)?" />
      </Field>
      <Choice name="activation" title={t("wishActivation")} options={choices.activations} />
      <Choice name="loss" title={t("wishLoss")} options={choices.losses} />
      <Choice name="optimizer" title={t("wishOptimizer")} options={Object.keys(optimizers)} />
      <Field title={t("wishRate")}>
        <input name="lr" inputMode="decimal" placeholder={Object.values(optimizers).join(" / ")} />
      </Field>
      <Amount name="l2" title={t("wishL2")} defaults={defaults} step="any" />
      <Amount name="dropout" title={t("wishDropout")} defaults={defaults} step="any" />
      <Amount name="batch_size" title={t("wishBatch")} defaults={defaults} />
      <Amount name="epochs" title={t("wishEpochs")} defaults={defaults} />
      <Amount name="seed" title={t("wishSeed")} defaults={defaults} />
      <Amount name="pace" title={t("wishPace")} defaults={defaults} step="any" />
      <div class="submit">
        <button type="submit">{t("wishStart")}</button>
      </div>
    </form>
  );
}

function Field({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <label>
      <span>{title}</span>
      {children}
    </label>
  );
}

function Choice({ name, title, options }: { name: string; title: string; options: readonly string[] }) {
  return (
    <Field title={title}>
      <select name={name}>
        {options.map((option) => (
          <option>{option}</option>
        ))}
      </select>
    </Field>
  );
}

interface AmountProps {
  name: string;
  title: string;
  defaults: Record<string, unknown>;
  step?: string;
}

function Amount({ name, title, defaults, step = "1" }: AmountProps) {
  return (
    <Field title={title}>
      <input name={name} type="number" min="0" step={step} defaultValue={String(defaults[name])} required />
    </Field>
  );
}

const NUMBERS = ["l2", "dropout", "batch_size", "epochs", "seed", "pace"] as const;

/** The request of a filled form. */
export function wishes(form: FormData): Record<string, unknown> {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const made: Record<string, unknown> = { run: true };
  for (const name of NUMBERS) made[name] = Number(text(name));
  for (const name of ["activation", "loss", "optimizer"]) made[name] = text(name);
  made.hidden = text("hidden").split(",").filter((size) => size.trim()).map(Number);
  if (text("lr")) made.lr = Number(text("lr"));
  made.source = text("source") === FILE ? text("path") : text("source");
  if (text("source") === FILE) made.target = text("target");
  return made;
}
