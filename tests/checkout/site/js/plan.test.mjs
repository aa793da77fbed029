// Where seats are and which is meant: the plan, its grid, its tally, the nearest alternatives; and the camera.

import assert from "node:assert/strict";
import test from "node:test";

import { between, fit, toHall, toScreen, within, zoomAt } from "../../../../checkout/site/static/camera.js";
import { nearby, openPlan, openTally } from "../../../../checkout/site/static/plan.js";

const row = (name, first, y) => ({ name, first, count: 10, numbers: { from: 1, step: 1 }, x: 100, y, dx: 100, dy: 0 });
const box = (left, top, right, bottom) => [[left, top], [right, top], [right, bottom], [left, bottom]];
const LAYOUT = {
  name: "Room", width: 2400, height: 900, stage: { x: 0, y: -300, width: 1000, height: 200, label: "Stage" },
  sections: [
    { name: "Left", kind: "seats", first: 0, count: 20, outline: box(50, 50, 1050, 250), rows: [row("A", 0, 100), row("B", 10, 200)] },
    {
      name: "Right", kind: "seats", first: 20, count: 10, outline: box(1250, 50, 2250, 150),
      rows: [{ name: "A", first: 20, count: 10, numbers: [..."abcdefghij"], xs: Array.from({ length: 10 }, (_, i) => 1300 + 100 * i), ys: Array(10).fill(100) }],
    },
    { name: "Floor", kind: "standing", first: 30, count: 50, outline: box(50, 400, 1050, 800), rows: [] },
  ],
  accessible: [0], companions: [[0, 1]], restricted_view: [9],
};
const plan = openPlan(LAYOUT);
const bytes = () => Uint8Array.from({ length: 80 }, (_, seat) => (seat < 20 ? 0x00 : seat < 30 ? 0x10 : 0x20));

test("a seat has a point, a row and a number; a place to stand has none", () => {
  assert.deepEqual([plan.xs[13], plan.ys[13]], [400, 200]);
  assert.equal(plan.number(13), "4");
  assert.equal(plan.number(22), "c");
  assert.equal(plan.rowAt(13).name, "B");
  assert.equal(plan.rowAt(35), null);
  assert.deepEqual([plan.flags[0], plan.flags[1], plan.flags[9]], [1, 2, 4]);
});

test("the grid finds the same seats as looking at each", () => {
  for (const [left, top, right, bottom] of [[0, 0, 3000, 900], [390, 90, 410, 110], [350, 50, 1350, 150], [-9, -9, -1, -1]]) {
    const found = [];
    plan.inBox(left, top, right, bottom, (seat) => found.push(seat));
    const all = Array.from(plan.xs.keys()).filter((seat) =>
      plan.xs[seat] >= left && plan.xs[seat] < right && plan.ys[seat] >= top && plan.ys[seat] < bottom);
    assert.deepEqual(found.sort((a, b) => a - b), all);
  }
});

test("the nearest seat is meant, within reach and if it may be", () => {
  assert.equal(plan.nearest(430, 120, 75), 3);
  assert.equal(plan.nearest(430, 120, 75, (seat) => seat !== 3), 4);
  assert.equal(plan.nearest(430, 600, 75), -1);
});

test("arrow keys go along the row, to the row beyond, and over the gangway", () => {
  assert.equal(plan.beside(3, 1, 0), 4);
  assert.equal(plan.beside(3, 0, 1), 13);
  assert.equal(plan.beside(13, 0, -1), 3);
  assert.equal(plan.beside(9, 1, 0), 20);
  assert.equal(plan.beside(0, -1, 0), 0);
});

test("a point belongs to the section whose outline holds it", () => {
  assert.equal(plan.sectionAt(500, 600).name, "Floor");
  assert.equal(plan.sectionAt(1150, 100), null);
});

test("the tally follows every run, and agrees with counting anew", () => {
  const now = bytes(), tally = openTally(plan, now);
  for (const [first, count, byte] of [[0, 5, 0x01], [3, 10, 0x00], [18, 6, 0x13], [30, 50, 0x21], [2, 1, 0x03]]) {
    tally.change(first, count, byte);
    now.fill(byte, first, first + count);
    const fresh = openTally(plan, now);
    for (const { index } of plan.sections) {
      assert.equal(tally.inSection(index), fresh.inSection(index));
      assert.deepEqual(tally.tiers(index), fresh.tiers(index));
    }
    assert.equal(tally.all(), fresh.all());
    assert.equal(tally.inTier(1), fresh.inTier(1));
  }
});

test("instead of lost seats: as many side by side, as near as can be, in the same section first", () => {
  const now = bytes();
  now.fill(0x01, 3, 6);
  assert.deepEqual(nearby(plan, now, [3, 4, 5], 3), [13, 14, 15]);
  now.fill(0x01, 0, 20);
  assert.deepEqual(nearby(plan, now, [8, 9], 2), [20, 21]);
  assert.deepEqual(nearby(plan, now, [8, 9], 2, (seat) => seat < 20), []);
});

test("instead of lost seats: single ones where there are none together, and nothing rather than too few", () => {
  const now = new Uint8Array(80).fill(1);
  now[0] = now[12] = 0;
  assert.deepEqual(nearby(plan, now, [1, 2], 2), [0, 12]);
  assert.deepEqual(nearby(plan, now, [1, 2, 3], 3), []);
});

test("zooming keeps the point under the finger, and never goes past the hall or a large seat", () => {
  const view = { width: 400, height: 300 }, camera = { x: 1000, y: 300, scale: 0.3 };
  const before = toHall(camera, view, 120, 80), after = zoomAt(camera, view, 1.5, 120, 80, plan.hall);
  const [x, y] = toScreen(after, view, ...before);
  assert.ok(Math.abs(x - 120) < 1e-6 && Math.abs(y - 80) < 1e-6);
  assert.ok(within({ ...camera, scale: 99 }, plan.hall, view).scale <= 0.64);
  assert.ok(within({ ...camera, scale: 1e-9 }, plan.hall, view).scale <= fit(plan.hall, view).scale);
  const far = within({ x: 1e6, y: -1e6, scale: 0.3 }, plan.hall, view);
  assert.ok(far.x <= plan.hall.right && far.y >= plan.hall.top);
});

test("a glide begins where it is and ends where it leads", () => {
  const from = { x: 0, y: 0, scale: 0.02 }, to = { x: 900, y: 500, scale: 0.3 };
  assert.deepEqual(between(from, to, 1), to);
  assert.ok(Math.abs(between(from, to, 0).x) < 1e-6);
  const half = between(from, to, 0.5);
  assert.ok(half.scale > from.scale && half.scale < to.scale && half.x > 450);
});
