// The page's words, held to the same vectors as waitroom/words.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { openWords } from "../../../waitroom/static/words.js";

const read = (path) => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8"));
const vectors = read("tests/vectors/words.json");
const open = (tag) => openWords(read(`waitroom/languages/${tag}.json`), tag);

test("waits are said as the server says them, in every language", () => {
  const { cases, ...told } = vectors.waits;
  for (const [tag, texts] of Object.entries(told)) {
    const words = open(tag);
    cases.forEach(([low, high], at) => assert.equal(words.wait({ low, high }), texts[at], `${tag} ${low} ${high}`));
  }
});

/** Compare one section, language by language. */
function agree(section, values, say) {
  for (const [tag, texts] of Object.entries(section)) {
    if (tag === values) continue;
    const words = open(tag);
    section[values].forEach((value, at) => assert.equal(say(words, value), texts[at], `${tag} ${value}`));
  }
}

test("numbers, spans and counts are written as the server writes them", () => {
  agree(vectors.numbers, "values", (words, n) => words.number(n));
  agree(vectors.spans, "seconds", (words, s) => words.span(s * 1000));
  agree(vectors.ahead, "values", (words, n) => words.text("ahead.text", { n }));
});

test("the browser's plural rules are those of CLDR", () => {
  for (const [tag, kinds] of Object.entries(vectors.plurals)) {
    const rules = new Intl.PluralRules(tag);
    for (const [kind, numbers] of Object.entries(kinds)) {
      for (const n of numbers) assert.equal(rules.select(n), kind, `${tag} ${n}`);
    }
  }
});
