// The scanner's own reading of tickets, against the vectors that Python reads too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { AGAIN_MS, base45, isWhole, judge, numberOf, openKeys, packedRows, prefixOf, readCode, readNumber, readRows, verifyCode } from "../../../../checkout/site/static/scan/ticket.js";

const vectors = JSON.parse(readFileSync(new URL("../../../vectors/tickets.json", import.meta.url), "utf8"));
const keys = await openKeys(vectors.keys.filter((key) => !key.dropped));
const FAULTS = { "unreadable": "unknown", "unknown-key": "forged", "forged": "forged", "other-event": "other-event" };

test("base45 is RFC 9285's", () => {
  for (const { raw, text } of vectors.base45) assert.equal(Buffer.from(base45(text)).toString("hex"), raw);
  for (const text of ["A", ":::", "a00", "::", "GGW1"]) assert.equal(base45(text), null);
});

test("good codes are read and verified", async () => {
  for (const one of vectors.good) {
    const { key, tag, ticket, seat } = readCode(one.code);
    assert.deepEqual([key, tag, ticket, seat], [one.key, vectors.tag, one.ticket, one.seat]);
    assert.deepEqual(await verifyCode(one.code, vectors.tag, keys), { ticket: one.ticket, seat: one.seat });
    assert.equal(numberOf(one.ticket), one.number);
    assert.equal(numberOf(prefixOf(one.ticket)), one.number);
    assert.equal(readNumber(` ${one.number.toLowerCase().replace("-", " ")}`), one.number);
  }
});

test("bad codes are refused, each for its reason", async () => {
  for (const { what, code, fault } of vectors.bad) assert.deepEqual(await verifyCode(code, vectors.tag, keys), { fault: FAULTS[fault] }, what);
});

test("a key that is trusted again makes its code good: the mutant", async () => {
  const all = await openKeys(vectors.keys), { code } = vectors.bad.find(({ what }) => what === "a key that was dropped");
  assert.ok((await verifyCode(code, vectors.tag, all)).ticket);
});

test("numbers that are none", () => {
  for (const text of ["", "K7QM4", "K7QM4-T2P9", "K7QM4-T2P9XX", "K7QM4-T2P9U", "https://x.yz"]) assert.equal(readNumber(text), null);
  assert.equal(readNumber("oil00-00000"), "01100-00000");
});

test("rows are read, and what is missing is noticed", () => {
  const row = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 1, 0, 7, 1, 0, 0, 0, 60, 3]), rows = readRows(row, new Map());
  assert.deepEqual(rows.get("0102030405060708"), { version: 2, seat: 65_543, worth: 1, used_ms: 60_000, gate: 3 });
  assert.ok(isWhole(rows, 1, 2) && !isWhole(rows, 2, 3) && !isWhole(rows, 1, 3));
  assert.deepEqual(packedRows("AQID"), Uint8Array.from([1, 2, 3]));
});

test("what a gate says by itself", () => {
  const row = (worth) => ({ worth, gate: 0, used_ms: 5_000 }), gates = { 0: "Gate A" };
  const say = (one, mine, isBlocked = false, isSigned = true, now = 100_000) => judge(one, mine, isBlocked, isSigned, gates, "Gate B", now).outcome;
  assert.equal(say(row(0)), "admitted");
  assert.equal(say(row(0), undefined, true), "blocked");
  assert.equal(say(row(1)), "used");
  assert.deepEqual([2, 3, 4, 5].map((worth) => judge(row(worth), undefined, false, true, gates, "", 0).why), ["returned", "transferred", "reissued", "withdrawn"]);
  // Signed and in no list: made since. Typed and in no list: nobody knows it.
  assert.equal(say(undefined), "admitted");
  assert.equal(say(undefined, undefined, false, false), "unknown");
  // This device has let them in: the same person for a moment, somebody with a copy afterwards.
  assert.equal(say(row(0), 100_000 - AGAIN_MS + 1), "again");
  assert.equal(say(row(0), 100_000 - AGAIN_MS), "used");
  assert.equal(say(row(0), 100_000 + AGAIN_MS), "used");
  assert.deepEqual(judge(row(1), undefined, false, true, gates, "", 0), { outcome: "used", gate: "Gate A", gate_ms: 5_000 });
});
