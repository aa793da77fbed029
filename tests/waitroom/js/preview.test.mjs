// A test visitor: what a number that nobody holds would see, from the room's document alone.

import assert from "node:assert/strict";
import test from "node:test";

import { lived } from "../../../waitroom/static/preview.js";

const LANES = (value) => ({ verified: value, standard: value, suspect: value });
const doc = (changes = {}) => ({
  run: "r", phase: "serving", issued: 100, void: [], serving: LANES(10), speed_per_minute: LANES(18), plan_per_minute: 20,
  paused: false, bypass: false, starts_ms: null, opens_ms: null, wait: { low: 0.8, high: 1.2 }, stock: { left: null, state: "selling" },
  draw: { seed: "", frozen: null }, census: null, ...changes,
});
const place = (number, lane = "standard") => ({ run: "r", number, lane, way: 0 });
const state = (changes, own = place(40)) => lived(doc(changes), own, 0).state;

test("a number waits, is nearly there, is called, in its own lane", () => {
  assert.equal(state({}, place(9000)), "waiting");
  assert.equal(state({ serving: LANES(41) }), "called");
  assert.equal(state({ serving: { ...LANES(10), verified: 41 } }, place(40, "verified")), "called");
  assert.notEqual(state({ serving: { ...LANES(10), verified: 41 } }), "called");
});

test("what holds for everybody holds for a test visitor", () => {
  assert.equal(state({ bypass: true }), "open");
  assert.equal(state({ paused: true }), "paused");
  assert.equal(state({ phase: "ended" }), "ended");
  assert.equal(state({ phase: "idle", opens_ms: 5 }), "before");
  assert.equal(state({ stock: { left: 0, state: "soldout" } }), "soldout");
});

test("the way goes on from where the visitor began to look", () => {
  const own = place(50);
  assert.equal(lived(doc(), own, 0).place.way, 0);
  assert.equal(lived(doc({ serving: LANES(30) }), own, 0).place.way, 0.5);
});
