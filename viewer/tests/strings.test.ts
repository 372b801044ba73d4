import { expect, it } from "vitest";
import type { Key } from "../src/strings";
import { STRINGS, languageFor, text } from "../src/strings";

const SOURCES = import.meta.glob<string>("../src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const CODE = Object.entries(SOURCES).flatMap(([path, source]) => (path.endsWith("strings.ts") ? [] : [source])).join("\n");

it("every text is there in both languages, with the same places", () => {
  for (const [key, texts] of Object.entries(STRINGS)) {
    expect(texts, key).toHaveLength(2);
    const [english, chinese] = texts.map((each) => [...new Set(each.match(/\{\d\}/g) ?? [])].sort());
    expect(chinese, key).toEqual(english);
    for (const each of texts) expect(each.trim(), key).not.toBe("");
  }
});

it("every text is used", () => {
  const unused = Object.keys(STRINGS).filter((key) => !CODE.includes(`"${key}"`) && !isComposed(key));
  expect(unused).toEqual([]);
});

/** Kinds, structures, sources and states are found by name. */
function isComposed(key: string): boolean {
  return /^(kind|structure)[A-Z]|^(source|state)_/.test(key);
}

it("fills its places and knows the reader's language", () => {
  expect(text("en", "found" as Key, 2, 5)).toBe("2 of 5");
  expect(text("zh", "found" as Key, 2, 5)).toBe("第 2 个，共 5 个");
  expect([languageFor("zh-CN"), languageFor("de"), languageFor("en")]).toEqual(["zh", "en", "en"]);
});
