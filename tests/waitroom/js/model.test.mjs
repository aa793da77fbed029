// What the page shows, in every state and every language, with the words of the server.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

import { codePath, carryLink } from "../../../waitroom/static/carry.js";
import { describe, isTurn } from "../../../waitroom/static/model.js";
import { sample } from "../../../waitroom/static/preview.js";
import { flavour, openWords } from "../../../waitroom/static/words.js";

const folder = new URL("../../../waitroom/languages/", import.meta.url);
const read = (file) => JSON.parse(readFileSync(new URL(file, folder), "utf8"));
const tags = readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -5));
const words = Object.fromEntries(tags.map((tag) => [tag, openWords(read(`${tag}.json`), tag)]));
const NOW = 1_800_000_000_000;
const STATES = [
  ...new Set(Object.keys(read("en.json")).flatMap((key) => key.match(/^state\.(\w+)\.stage$/)?.[1] ?? [])),
];
const shown = (state, tag = "en", more = {}) =>
  describe(words[tag], { ...sample(state, NOW, "https://example.com/"), name: "Hall", ...more });

test("every state has something to say in every language, and nothing is left open", () => {
  assert.equal(STATES.length, 28);
  for (const tag of tags) {
    for (const state of STATES) {
      const model = shown(state, tag);
      const told = [model.title, model.stage, model.headline, model.detail, model.spoken, ...model.notes,
        ...model.rows(NOW).flat()];
      for (const text of told) assert.match(text, /^[^{}]+$/, `${tag} ${state}: ${text}`);
    }
  }
});

test("a place is shown where it counts: ahead in the line, and on its last known figure without a network", () => {
  for (const state of ["drawn", "lined", "waiting", "almost", "paused", "offline", "away"]) {
    assert.ok(shown(state).ahead > 0, state);
  }
  for (const state of ["gathering", "drawing", "soldout", "ended", "left", "admitted"]) {
    assert.equal(shown(state).ahead, 0, state);
  }
});

test("offline promises a place only to who has one", () => {
  assert.match(shown("offline").headline, /Your place is safe/);
  assert.doesNotMatch(shown("offline", "en", { place: null, ahead: null }).headline, /place/);
  assert.doesNotMatch(shown("away", "en", { place: null, ahead: null }).detail, /place/);
});

test("a turn that is held has its time, its button and its title; one that is taken has no button", () => {
  const held = shown("called");
  assert.equal(held.clock.untilMs, NOW + 152_000);
  assert.equal(held.again, "Come in now");
  assert.equal(held.more, true);
  assert.ok(!shown("called", "en", { near: false }).more);
  assert.equal(held.title, "Your turn · Hall");
  assert.equal(shown("called", "en", { heldBack: false }).again, "");
  assert.ok(["called", "next", "recall", "admitted"].every(isTurn));
});

test("a recall says that nothing is lost, with a button, or that one is let in soon, without", () => {
  assert.match(shown("recall").detail, /not lost/);
  assert.equal(shown("recall").again, "Come in now");
  const claimed = shown("recall", "en", { heldBack: false });
  assert.match(claimed.detail, /as soon as there is room/);
  assert.equal(claimed.again, "");
});

test("how often estimates held is told where one is shown, and that it is unknown where nobody has counted", () => {
  assert.deepEqual(shown("waiting").notes, ["Such estimates held for 87% of the people before you"]);
  const told = sample("waiting", NOW, "");
  told.doc.wait = { low: 0.75, high: 1.35, held: null, of: 0 };
  assert.match(describe(words.en, { ...told, name: "Hall" }).notes[0], /Nobody can tell yet/);
  assert.deepEqual(shown("gathering").notes, []);
});

test("an organiser's message stands in every state of the line, and in none that is over", () => {
  for (const [state, there] of [["waiting", true], ["gathering", true], ["called", true], ["left", false]]) {
    const told = sample(state, NOW, "");
    told.doc.message = "Doors open at seven.";
    assert.equal(describe(words.en, { ...told, name: "Hall" }).message !== "", there, state);
  }
});

test("clocks, spans and numbers are written with Western digits, grouped as the language does", () => {
  assert.equal(words.en.number(1234), "1,234");
  assert.equal(words.de.number(1234), "1.234");
  assert.equal(words.ar.number(1234), "1,234");
  assert.equal(words.en.span(40_000), "40 seconds");
  assert.equal(words.en.span(192_000), "3 minutes");
  assert.equal(words.en.clock(49 * 3_600_000), "2 days");
});

test("the flavour of a language is the visitor's own, where they have one", () => {
  assert.equal(flavour("en", ["de-AT", "en-GB", "en-US"]), "en-GB");
  assert.equal(flavour("fr", ["de"]), "fr");
  assert.equal(flavour("fr", undefined), "fr");
});

test("a text that no language has is a fault, not an empty line", () => {
  assert.throws(() => words.en.text("nothing.like.that"), /no words for nothing/);
});

test("a link carries the code behind the number sign, and its picture is square with a quiet zone", () => {
  const link = carryLink("https://tickets.example.com", "/.waitroom/r/main", "/shop?a=1", "abcdefgh12345678ABCDEF");
  assert.equal(link, "https://tickets.example.com/.waitroom/r/main?target=%2Fshop%3Fa%3D1#carry=abcdefgh12345678ABCDEF");
  const { path, size } = codePath(link);
  const dots = [...path.matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
  assert.ok(size >= 21 + 8 && (size - 8 - 17) % 4 === 0);
  // The finder pattern in the corner, and nothing in the quiet zone.
  for (let at = 4; at < 11; at += 1) assert.ok(dots.some(([x, y]) => x === at && y === 4));
  assert.ok(dots.every(([x, y]) => x >= 4 && y >= 4 && x < size - 4 && y < size - 4));
});
