// The shop's texts in the browser: every key that a module asks for is there in every language.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

import { openWords } from "../../../../checkout/site/static/words.js";

const folder = new URL("../../../../checkout/site/languages/", import.meta.url), scripts = new URL("../../../../checkout/site/static/", import.meta.url);
const texts = Object.fromEntries(readdirSync(folder).map((name) => [name.slice(0, -5), JSON.parse(readFileSync(new URL(name, folder), "utf8"))]));
const EURO = { EUR: { form: "{n} €", digits: 2, least: 2 } };

test("every key in the scripts has words", () => {
  const asked = new Set();
  for (const name of readdirSync(scripts).filter((one) => one.endsWith(".js"))) {
    const source = readFileSync(new URL(name, scripts), "utf8");
    for (const [, key] of source.matchAll(/text\("([a-z.-]+)"/g)) asked.add(key);
  }
  assert.ok(asked.size > 40);
  for (const [tag, found] of Object.entries(texts)) {
    for (const key of asked) assert.ok(key in found, `${tag}: ${key}`);
    // Keys that are put together of a word and a state.
    for (const key of ["before", "over", "cancelled", "soldout"]) assert.ok(`closed.${key}.title` in found && `closed.${key}.text` in found);
    for (const key of ["free", "taken", "chosen", "held"]) assert.ok(`state.${key}` in found);
  }
});

test("money is whole minor units, written as the server told", () => {
  const words = openWords(texts.en, "en", EURO);
  assert.equal(words.money(4200, "EUR"), "42.00 €");
  assert.equal(words.money(123456, "EUR"), "1,234.56 €");
  assert.equal(openWords(texts.de, "de", EURO).money(123456, "EUR"), "1.234,56 €");
  assert.equal(openWords(texts.en, "en", { JPY: { form: "¥{n}", digits: 0, least: 0 } }).money(4200, "JPY"), "¥4,200");
  assert.equal(openWords(texts.pl, "pl", { KWD: { form: "{n} KWD", digits: 3, least: 3 } }).money(8_400_000, "KWD"), "8\u00a0400,000 KWD");
});

test("decimals are those that the server told, never the browser's own", () => {
  const words = openWords(texts.en, "en", { HUF: { form: "{n} Ft", digits: 2, least: 0 } }, { KWD: 3, JPY: 0 });
  assert.equal(words.money(840_000, "HUF"), "8,400 Ft");
  assert.equal(words.money(840_050, "HUF"), "8,400.50 Ft");
  // What is held in a currency that the page knows nothing of: its code beside it, and the decimals of the table.
  assert.deepEqual([words.money(8_400, "KWD"), words.money(8_400, "JPY"), words.money(8_400, "CHF")], ["8.400 KWD", "8,400 JPY", "84.00 CHF"]);
});

test("from right to left, what is put into a sentence keeps its own order", () => {
  const words = openWords(texts.ar, "ar", EURO), text = words.text("charged.in", { code: "EUR" });
  assert.ok(text.includes("\u2068EUR\u2069"));
  assert.equal(words.text("span.minutes", { n: 2 }), "دقيقتان");
  assert.equal(words.text("span.minutes", { n: 11 }), "11 دقيقة");
  assert.ok(!openWords(texts.en, "en", EURO).text("charged.in", { code: "EUR" }).includes("\u2068"));
});

test("a clock counts down to the second, and far away to the day", () => {
  const words = openWords(texts.en, "en", EURO);
  assert.equal(words.clock(179_001), "3:00");
  assert.equal(words.clock(3_601_000), "1:00:01");
  assert.equal(words.clock(-5), "0:00");
  assert.equal(words.clock(3 * 86_400_000), "3 days");
  assert.equal(words.span(60_000), "60 seconds");
  assert.equal(words.span(180_000), "3 minutes");
});

test("plurals are the language's", () => {
  const words = openWords(texts.de, "de", EURO);
  assert.equal(words.text("chosen.total", { n: 1, price: "x" }), "Ein Platz, x");
  assert.equal(words.text("chosen.total", { n: 3, price: "x" }), "3 Plätze, x");
});
