/** The questions of a document: what is typed is checked, and the rule shown. */

import { useSignal } from "@preact/signals";
import type { Question } from "../document";
import { isRight, truth } from "../quiz";
import type { Store } from "../store";
import { clean } from "../tokens";
import { labelOf } from "../words";

export function Quiz({ store }: { store: Store }) {
  const { t } = store;
  const questions = store.questions.value;
  const right = useSignal<ReadonlySet<number>>(new Set());
  return (
    <section class="quiz">
      <h2>{t("quiz")}</h2>
      <ol>
        {questions.map((question, place) => (
          <Item
            store={store}
            question={question}
            place={place}
            onRight={() => (right.value = new Set([...right.value, place]))}
          />
        ))}
      </ol>
      <p>{t("quizDone", right.value.size, questions.length)}</p>
    </section>
  );
}

interface ItemProps {
  store: Store;
  question: Question;
  place: number;
  onRight: () => void;
}

function Item({ store, question, place, onRight }: ItemProps) {
  const { t } = store;
  const verdict = useSignal<"" | "quizRight" | "quizWrong">("");
  const typed = useSignal("");
  const title = t(question.what === "value" ? "quizValue" : "quizGradient", labelOf(store, question.node));
  const rule = clean(question.rule[store.language.value]);
  const isAnswered = store.answered.value.has(place);
  const reveal = () => (store.answered.value = new Set([...store.answered.value, place]));
  const check = (event: Event) => {
    event.preventDefault();
    const found = isRight(typed.value, truth(store, question), question);
    verdict.value = found ? "quizRight" : "quizWrong";
    store.said.value = `${title}: ${t(verdict.value)} ${t("quizRule", rule)}`;
    if (!found) return;
    onRight();
    reveal();
  };
  return (
    <li>
      <form onSubmit={check}>
        <label>
          <button type="button" class="link" onClick={() => (store.node.value = question.node)}>
            {title}
          </button>{" "}
          <input
            inputMode="decimal"
            size={8}
            aria-label={title}
            disabled={isAnswered}
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </label>{" "}
        <button disabled={isAnswered}>{t("quizCheck")}</button>
        {verdict.value === "quizWrong" && !isAnswered && (
          <button type="button" onClick={reveal}>
            {t("quizShow")}
          </button>
        )}
      </form>
      {verdict.value && (
        <p class={verdict.value}>
          {t(verdict.value)} <span class="muted">{t("quizRule", rule)}</span>
        </p>
      )}
    </li>
  );
}
