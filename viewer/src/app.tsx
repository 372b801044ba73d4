/** The frame around the views: tabs, search, findings, theme, language, help, and the live region. */

import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { goToFinding, goToMatch } from "./graph/moves";
import { HELP, nextTheme, press } from "./keys";
import type { Store } from "./store";
import { clean } from "./tokens";
import type { View } from "./views";
import { VIEWS } from "./views";

export function App({ store }: { store: Store }) {
  const root = useRef<HTMLDivElement>(null);
  const offered = VIEWS.filter((each) => each.offered?.(store) ?? true);
  const view = offered.find((each) => each.name === store.view.value) ?? offered[0];
  useKeys(store, root);
  return (
    <div class="adjoint" role="region" aria-label={store.t("viewer")} data-theme={store.theme.value} lang={store.language.value} ref={root}>
      <header class="bar-top">
        <Tabs store={store} offered={offered} view={view} />
        <span class="space" />
        <Search store={store} />
        <Findings store={store} />
        <Settings store={store} />
      </header>
      <div class="content" role="tabpanel" aria-label={store.t(view.name)}>
        <Guarded key={view.name} store={store} view={view} />
      </div>
      {store.helps.value && <Help store={store} />}
      <div class="silent" role="status" aria-live="polite">
        {store.said.value}
      </div>
    </div>
  );
}

/** A view; where it fails, the reason in words, and the other views go on. */
function Guarded({ store, view }: { store: Store; view: View }) {
  const [error] = useErrorBoundary();
  if (error) return <p class="page-view">{store.t("failed", String((error as Error).message))}</p>;
  if (store.document.value.graph.count === 0 && view.name === "graph") {
    return <p class="page-view">{store.t("noDocument")}</p>;
  }
  return <view.component store={store} />;
}

/** Keys work on the whole page where the viewer is the page, else where it has the focus. */
function useKeys(store: Store, root: { current: HTMLElement | null }): void {
  useEffect(() => {
    const target: EventTarget = store.options.page ? window : (root.current as HTMLElement);
    const onKey = (event: Event) => {
      const key = event as KeyboardEvent;
      const field = (event.composedPath()[0] ?? null) as Element | null;
      const element = field instanceof Element ? field : null;
      if (key.key === "/" && element?.tagName !== "INPUT") {
        root.current?.querySelector<HTMLInputElement>(".search")?.focus();
        event.preventDefault();
      } else if (press(store, key, element)) {
        event.preventDefault();
      }
    };
    target.addEventListener("keydown", onKey);
    return () => target.removeEventListener("keydown", onKey);
  }, [store]);
}

function Tabs({ store, offered, view }: { store: Store; offered: readonly View[]; view: View }) {
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = offered[(offered.indexOf(view) + by + offered.length) % offered.length];
    store.view.value = next.name;
    const tabs = (event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("[role=tab]");
    tabs[offered.indexOf(next)]?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div role="tablist" aria-label={store.t("views")} onKeyDown={onKey}>
      {offered.map((each) => (
        <button
          role="tab"
          aria-selected={each === view}
          tabIndex={each === view ? 0 : -1}
          onClick={() => (store.view.value = each.name)}
        >
          {store.t(each.name)}
        </button>
      ))}
    </div>
  );
}

function Search({ store }: { store: Store }) {
  const { t, query, matches, node } = store;
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter") goToMatch(store, event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      query.value = "";
      (event.currentTarget as HTMLElement).blur();
    }
    event.stopPropagation();
  };
  const place = matches.value.indexOf(node.value) + 1;
  return (
    <>
      <input
        class="search"
        type="search"
        placeholder={t("searchHint")}
        aria-label={t("search")}
        value={query.value}
        onInput={(event) => (query.value = event.currentTarget.value)}
        onKeyDown={onKey}
      />
      {query.value && <output class="muted">{matches.value.length ? t("found", place, matches.value.length) : t("nothingFound")}</output>}
    </>
  );
}

function Findings({ store }: { store: Store }) {
  const { findings } = store.document.value;
  const at = store.finding.value;
  if (!findings.length) return null;
  return (
    <span role="group" aria-label={store.t("findings")}>
      <button onClick={() => goToFinding(store, -1)} aria-label="[">
        ‹
      </button>{" "}
      <output title={at < 0 ? "" : clean(findings[at].text)}>
        {store.t("findings")} {at < 0 ? "" : `${at + 1} / `}
        {findings.length}
      </output>{" "}
      <button onClick={() => goToFinding(store, 1)} aria-label="]">
        ›
      </button>
    </span>
  );
}

const THEME_NAMES = { auto: "themeAuto", light: "themeLight", dark: "themeDark" } as const;
const THEME_SIGNS = { auto: "◐", light: "☀", dark: "☾" } as const;

function Settings({ store }: { store: Store }) {
  const { t, theme, language, helps } = store;
  return (
    <>
      <button onClick={() => nextTheme(store)} aria-label={t(THEME_NAMES[theme.value])} title={t(THEME_NAMES[theme.value])}>
        {THEME_SIGNS[theme.value]}
      </button>
      <button lang={language.value === "zh" ? "en" : "zh"} onClick={() => (language.value = language.value === "zh" ? "en" : "zh")}>
        {t("otherLanguage")}
      </button>
      <button aria-expanded={helps.value} onClick={() => (helps.value = !helps.value)} aria-label={t("help")}>
        ?
      </button>
    </>
  );
}

function Help({ store }: { store: Store }) {
  return (
    <section class="help" role="dialog" aria-label={store.t("help")}>
      <h2>{store.t("help")}</h2>
      <dl>
        {HELP.map(([keys, key]) => (
          <>
            <dt>{keys}</dt>
            <dd>{store.t(key)}</dd>
          </>
        ))}
      </dl>
      <button onClick={() => (store.helps.value = false)}>{store.t("close")}</button>
    </section>
  );
}
