// The page's own rules, held to the same vectors as the Python ones. Run by tests/waitroom/test_view.py with
// `node --test`; nothing here needs a browser.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as page from "../../../waitroom/static/waitroom.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));
const draw = vectors("draw.json");
const wait = vectors("wait.json");

const LANES = (value) => ({ verified: value + 10, standard: value, suspect: 0 });
const room = (more = {}, drawn = {}) => ({
  run: "r1", epoch: 1, version: 1, phase: "serving", issued: 100, void: [], serving: LANES(20),
  speed_per_minute: LANES(60), plan_per_minute: 60, paused: false,
  ...more,
  draw: { commitment: "", frozen: null, root: "", seed: "", rounds: 90, ...drawn },
});
const place = (number, lane = "standard") => ({ run: "r1", number, lane });

test("SHA-256 is SHA-256, at every edge of its blocks", () => {
  for (const size of [0, 1, 31, 32, 33, 37, 54, 55, 56, 63, 64, 65, 119, 120, 128, 1000]) {
    const bytes = randomBytes(size);
    assert.deepEqual(Buffer.from(page.sha256(bytes)), createHash("sha256").update(bytes).digest(), `${size} bytes`);
  }
});

test("every rank of every draw is the one of the second implementation", () => {
  for (const { seed, n, rounds, ranks } of draw.permutations) {
    ranks.forEach((rank, number) => assert.equal(page.drawnRank(page.fromHex(seed), n, number, rounds), rank));
  }
  for (const { seed, n, rounds, ranks } of draw.spots) {
    for (const [number, rank] of ranks) assert.equal(page.drawnRank(page.fromHex(seed), n, number, rounds), rank);
  }
});

test("a number beyond 32 bits draws a rank too", () => {
  const n = 5_000_000_000;
  const rank = page.drawnRank(page.fromHex("ab".repeat(32)), n, n - 1, 132);
  assert.ok(Number.isInteger(rank) && rank >= 0 && rank < n);
});

test("intervals, words, floors and polls are those of the server", () => {
  for (const [low, high, words] of wait.words) assert.equal(page.waitWords(low, high), words);
  for (const { ahead, speed, plan, paused, delay_s: delayS, low_s: low, high_s: high } of wait.intervals) {
    const interval = page.waitInterval(ahead, speed, plan, { paused, delayS });
    if (low === null) assert.equal(interval, null);
    else {
      assert.ok(Math.abs(interval.low - low) < 1e-9, `${interval.low} is not ${low}`);
      assert.ok(Math.abs(interval.high - high) < 1e-9, `${interval.high} is not ${high}`);
    }
  }
  for (const [crowd, floor] of wait.floors) assert.ok(Math.abs(page.pollFloorS(crowd) - floor) < 1e-9);
  for (const { eta_s: eta, cap_s: cap, u, floor_s: floor, ms } of wait.polls) {
    assert.equal(page.nextPollMs(eta, cap, u, floor), ms);
  }
});

test("without a draw the rank is the number; with one that is to come there is none", () => {
  assert.equal(page.rankOf(room(), 7), 7);
  assert.equal(page.rankOf(room({}, { commitment: "aa" }), 7), null);
  assert.equal(page.rankOf(room({}, { commitment: "aa", frozen: 10 }), 7), null);
  assert.equal(page.rankOf(room({}, { commitment: "aa", frozen: 10 }), 10), 10);
});

test("with a seed the rank is drawn; a void number heads the late arrivals", () => {
  const { seed, n, ranks } = draw.permutations.find((entry) => entry.n === 10);
  const drawn = room({ void: [[3, 5], [12, 14]] }, { commitment: "aa", frozen: n, seed });
  assert.equal(page.rankOf(drawn, 2), ranks[2]);
  assert.equal(page.rankOf(drawn, 4), 10);
  assert.equal(page.rankOf(drawn, 12), 12);
});

test("people ahead leave out numbers that nobody holds", () => {
  assert.equal(page.peopleAhead(room(), 50, "standard"), 30);
  assert.equal(page.peopleAhead(room(), 50, "verified"), 20);
  assert.equal(page.peopleAhead(room({ void: [[10, 25], [40, 60]] }), 50, "standard"), 15);
  assert.equal(page.peopleAhead(room({ void: [[5, 30]] }, { frozen: 28 }), 50, "standard"), 28);
  assert.equal(page.peopleAhead(room(), 3, "standard"), 0);
});

test("where a place stands follows from the document", () => {
  const states = (doc, who) => page.look(doc, who).state;
  assert.equal(states(room({ phase: "idle" }), place(1)), "before");
  assert.equal(states(room({ phase: "ended" }), place(1)), "ended");
  assert.equal(states(room(), null), "joining");
  assert.equal(states(room({ phase: "draining" }), null), "closing");
  assert.equal(states(room(), place(19)), "called");
  assert.equal(states(room(), place(20)), "waiting");
  assert.equal(states(room(), place(29, "verified")), "called");
  assert.equal(states(room(), place(0, "suspect")), "waiting");
  assert.equal(states(room({ phase: "draining" }), place(19)), "called");
  assert.equal(states(room({ phase: "gathering" }), place(19)), "lined");
  assert.equal(states(room({ phase: "gathering" }, { commitment: "aa" }), place(19)), "gathering");
  assert.equal(states(room({ phase: "gathering" }, { commitment: "aa", frozen: 100 }), place(19)), "drawing");
  const drawn = { commitment: "aa", frozen: 100, seed: "ab".repeat(32) };
  assert.equal(states(room({ phase: "gathering" }, drawn), place(19)), "drawn");
  assert.equal(states(room({ paused: true }), place(50)), "paused");
  assert.equal(states(room({ paused: true }), place(5)), "called");
});

test("documents are ordered by epoch, then version", () => {
  const at = (epoch, version) => ({ epoch, version });
  assert.ok(page.newer(at(1, 1), null));
  assert.ok(page.newer(at(2, 1), at(1, 9)));
  assert.ok(page.newer(at(1, 2), at(1, 1)));
  assert.ok(!page.newer(at(1, 1), at(1, 1)));
  assert.ok(!page.newer(at(1, 9), at(2, 1)));
});

test("a server that fell back is noticed, a new opening is not one", () => {
  const kept = room();
  assert.ok(page.fellBack(room({ epoch: 2, serving: LANES(5) }), kept));
  assert.ok(!page.fellBack(room({ epoch: 2 }), kept));
  assert.ok(!page.fellBack(room({ epoch: 1, serving: LANES(5) }), kept));
  assert.ok(!page.fellBack(room({ epoch: 2, run: "r2", serving: LANES(5) }), kept));
  assert.ok(!page.fellBack(room(), null));
});

test("pauses after failures grow, and never undercut what the server asked for", () => {
  for (const u of [0, 0.5, 0.999]) {
    assert.ok(page.backoffMs(1, 30, u) >= 30_000);
    assert.ok(page.backoffMs(50, 0, u) <= 90_000);
  }
  assert.ok(page.backoffMs(5, 0, 0.5) > page.backoffMs(1, 0, 0.5));
});

test("the signed bytes are the text without its last member", () => {
  const part = page.signedPart('{"a":1,"kid":"s1","signature":"QUJD"}');
  assert.deepEqual(part, { signed: 'waitroom-status-v1\n{"a":1,"kid":"s1"}', signature: "QUJD" });
  assert.equal(page.signedPart('{"a":1}'), null);
});

test("a countdown is a clock, and days when it is far", () => {
  assert.equal(page.clockWords(0), "0:00");
  assert.equal(page.clockWords(-5000), "0:00");
  assert.equal(page.clockWords(61_001), "1:02");
  assert.equal(page.clockWords(3_600_000), "1:00:00");
  assert.equal(page.clockWords(47 * 3_600_000 + 5000), "47:00:05");
  assert.equal(page.clockWords(49 * 3_600_000), "2 days");
});

test("numbers have their endings", () => {
  assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 101, 111, 1002].map(page.WORDS.nth), [
    "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st", "111th", "1,002nd",
  ]);
});
