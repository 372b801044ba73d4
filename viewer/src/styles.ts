/** The style sheet of a viewer: colours from the tokens, rules from the files. It lives in the viewer's shadow root. */

import rules from "./style.css?inline";
import studio from "./studio/studio.css?inline";
import { tokens } from "./tokens";

function colours(theme: "light" | "dark"): string {
  const names = Object.entries(tokens[theme]).map(([name, colour]) => `--${name}:${colour}`);
  const heat = tokens.heat[theme].map((colour, level) => `--h${level}:${colour}`);
  return [...names, ...heat, `color-scheme:${theme}`].join(";");
}

const FONT = `--family:${tokens.font.family};--size:${tokens.font.size}px;--small:${tokens.font.small}px`;

const THEMES = [
  `.adjoint{${FONT};${colours("light")}}`,
  `@media(prefers-color-scheme:dark){.adjoint[data-theme=auto]{${colours("dark")}}}`,
  `.adjoint[data-theme=dark]{${colours("dark")}}`,
];

/** Sheets in order; a view that has rules of its own adds them here. */
const SHEETS: readonly string[] = [THEMES.join(""), rules, studio];

/** Give a shadow root the styles, by objects: a strict policy forbids style elements, not these. */
export function dress(root: ShadowRoot): void {
  root.adoptedStyleSheets = SHEETS.map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
}
