// The page's own rules, held to the same vectors as the Python ones. Run by tests/waitroom/test_view.py with
// `node --test`; nothing here needs a browser.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as drawing from "../../../waitroom/static/draw.js";
import * as page from "../../../waitroom/static/rules.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));
const draw = vectors("draw.json");
const wait = vectors("wait.json");
const census = vectors("census.json");

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
    assert.deepEqual(Buffer.from(drawing.sha256(bytes)), createHash("sha256").update(bytes).digest(), `${size} bytes`);
  }
});

test("every rank of every draw is the one of the second implementation", () => {
  for (const { seed, n, rounds, ranks } of draw.permutations) {
    ranks.forEach((rank, number) => assert.equal(drawing.drawnRank(drawing.fromHex(seed), n, number, rounds), rank));
  }
  for (const { seed, n, rounds, ranks } of draw.spots) {
    for (const [number, rank] of ranks) assert.equal(drawing.drawnRank(drawing.fromHex(seed), n, number, rounds), rank);
  }
});

test("a number beyond 32 bits draws a rank too", () => {
  const n = 5_000_000_000;
  const rank = drawing.drawnRank(drawing.fromHex("ab".repeat(32)), n, n - 1, 132);
  assert.ok(Number.isInteger(rank) && rank >= 0 && rank < n);
});

test("intervals, words, floors and polls are those of the server", () => {
  for (const { ahead, speed, plan, factors, paused, delay_s: delayS, low_s: low, high_s: high } of wait.intervals) {
    const learned = factors && { low: factors[0], high: factors[1] };
    const interval = page.waitInterval(ahead, speed, plan, { paused, delayS, factors: learned });
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

test("a line that is over before one that comes is not open yet", () => {
  const states = (doc, who, now) => page.look(doc, who, now).state;
  const over = (opens_ms) => room({ phase: "ended", opens_ms });
  for (const who of [null, place(5)]) {
    assert.equal(states(over(1001), who, 1000), "before");
    assert.equal(states(over(1000), who, 1000), "ended");
    assert.equal(states(over(null), who, 1000), "ended");
  }
  assert.equal(states(room({ phase: "draining", opens_ms: 1001 }), null, 1000), "closing");
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
  assert.equal(page.clockParts(0).text, "0:00");
  assert.equal(page.clockParts(-5000).text, "0:00");
  assert.equal(page.clockParts(61_001).text, "1:02");
  assert.equal(page.clockParts(3_600_000).text, "1:00:00");
  assert.equal(page.clockParts(47 * 3_600_000 + 5000).text, "47:00:05");
  assert.equal(page.clockParts(49 * 3_600_000).days, 2);
});

test("who is asked, how full a line is and how long it lasts is what the second implementation says", () => {
  for (const [oneIn, numbers] of Object.entries(census.sampled)) {
    const doc = { run: census.run, census: { round: 1, one_in: Number(oneIn) } };
    const asked = [...Array(2000).keys()].filter((number) => page.isAsked(doc, { run: census.run, number }));
    assert.deepEqual(asked.slice(0, 12), numbers);
    assert.ok(!page.isAsked(doc, { run: "another", number: numbers[0] }));
  }
  assert.ok(!page.isAsked({ run: census.run, census: null }, { run: census.run, number: 1 }));
  for (const { serving, rank, ratio, ...count } of census.fullness) {
    const doc = { serving: { standard: serving }, census: count };
    assert.ok(Math.abs(page.fullness(doc, rank, "standard") - ratio) < 1e-9, `${serving} to ${rank}`);
    assert.equal(page.fullness({ serving: { standard: serving } }, rank, "standard"), 1);
  }
  for (const { ranks, per_minute: speed, leaving, seconds } of census.lasts) {
    const { low } = page.waitInterval(ranks, speed, 0, { leaving, factors: { low: 1, high: 1 } });
    assert.ok(Math.abs(low - seconds) < seconds / 1000 + 0.02, `${low} is not ${seconds}`);
  }
});

test("a turn is almost there two minutes before it, or when nobody is ahead and nobody knows", () => {
  assert.ok(page.isAlmost({ low: 60, high: 180 }, 10));
  assert.ok(!page.isAlmost({ low: 60, high: 181 }, 10));
  assert.ok(page.isAlmost(null, 0));
  assert.ok(!page.isAlmost(null, 1));
});

test("what is sold out or has moved is told before anything else, but who is called may still go in", () => {
  const states = (doc, who) => page.look(doc, who).state;
  const soldout = { stock: { left: 0, state: "soldout" } };
  assert.equal(states(room(soldout), place(50)), "soldout");
  assert.equal(states(room(soldout), null), "soldout");
  assert.deepEqual(page.look(room(soldout), place(5)), { state: "soldout", rank: 5, ahead: 0 });
  assert.equal(states(room({ stock: { left: 9, state: "last" } }), place(50)), "waiting");
  assert.equal(states(room({ stops: "moved", moved_to: null }), place(50)), "moved");
});

test("a screen reader hears states, tenths of the way and little else", () => {
  const at = (more) => ({ state: "waiting", text: "a", tenth: 3, atMs: 0, ...more });
  assert.equal(page.worthSaying(null, at()), "soon");
  assert.equal(page.worthSaying(at(), at({ text: "b", atMs: 1000 })), "");
  assert.equal(page.worthSaying(at(), at({ text: "b", tenth: 4, atMs: 1000 })), "soon");
  assert.equal(page.worthSaying(at(), at({ text: "b", atMs: 300_000 })), "soon");
  assert.equal(page.worthSaying(at(), at({ atMs: 900_000 })), "");
  assert.equal(page.worthSaying(at(), at({ state: "almost" })), "soon");
  assert.equal(page.worthSaying(at(), at({ state: "called" })), "now");
});

test("apps that hold a browser are known, browsers are not taken for one", () => {
  const apps = [
    "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 334.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 [FBAN/FBIOS;FBAV/465.0]",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36 Line/14.8.0/IAB",
  ];
  const browsers = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
  ];
  for (const agent of apps) assert.ok(page.insideApp(agent), agent);
  for (const agent of browsers) assert.ok(!page.insideApp(agent), agent);
});

test("behind the number sign only codes and tickets count", () => {
  assert.deepEqual(page.inFragment("#carry=AAAABBBBCCCC"), { carry: "AAAABBBBCCCC", ticket: null, entered: false });
  assert.deepEqual(page.inFragment("#carry=<script>"), { carry: null, ticket: null, entered: false });
  const ticket = "k1.MXxtYWlufDEyMzQ.c2lnbmF0dXJl";
  assert.deepEqual(page.inFragment(`#ticket=${ticket}&entered`), { carry: null, ticket, entered: true });
  assert.deepEqual(page.inFragment(""), { carry: null, ticket: null, entered: false });
});
