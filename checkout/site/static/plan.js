/**
 * Plan: a layout, ready to be drawn and asked: where each seat is, what it is called, which is nearest. Pure.
 *
 * A seat is an index over the whole layout; sections and rows follow one another without holes. Places of a standing
 * section have no point of their own. The index over the hall is a grid of cells, each with its seats, as two flat arrays.
 */

import { FREE, statusOf, tierOf } from "./deltas.js";

const CELL = 250;

/** Read a layout document (the contract's form; the server has checked it). */
export function openPlan(layout) {
  const sections = layout.sections.map((section, index) => ({ ...section, index, ...boxOf(section.outline) }));
  const seats = sections.reduce((sum, { count }) => sum + count, 0);
  const xs = new Float32Array(seats).fill(NaN), ys = new Float32Array(seats).fill(NaN);
  const sectionOf = new Uint16Array(seats), rowOf = new Uint32Array(seats);
  const rows = [];
  for (const section of sections) {
    sectionOf.fill(section.index, section.first, section.first + section.count);
    section.rows = (section.rows ?? []).map((row) => {
      const at = { ...row, index: rows.length, section: section.index };
      rows.push(at);
      rowOf.fill(at.index, row.first, row.first + row.count);
      for (let i = 0; i < row.count; i += 1) {
        xs[row.first + i] = row.xs ? row.xs[i] : row.x + i * row.dx;
        ys[row.first + i] = row.ys ? row.ys[i] : row.y + i * row.dy;
      }
      return at;
    });
  }
  const stage = layout.stage && {
    ...layout.stage,
    left: layout.stage.x, top: layout.stage.y,
    right: layout.stage.x + layout.stage.width, bottom: layout.stage.y + layout.stage.height,
  };
  const boxes = stage ? [...sections, stage] : sections;
  const hall = {
    left: Math.min(...boxes.map((box) => box.left)), right: Math.max(...boxes.map((box) => box.right)),
    top: Math.min(...boxes.map((box) => box.top)), bottom: Math.max(...boxes.map((box) => box.bottom)),
  };
  const grid = gridOf(xs, ys, hall);
  const flags = new Uint8Array(seats);
  for (const seat of layout.accessible ?? []) flags[seat] |= ACCESSIBLE;
  for (const seat of layout.restricted_view ?? []) flags[seat] |= RESTRICTED;
  for (const [, companion] of layout.companions ?? []) flags[companion] |= COMPANION;

  /** Call `met(seat)` for every seat whose point is in a box, cell by cell. */
  function inBox(left, top, right, bottom, met) {
    const { columns, lines, starts, order } = grid;
    const from = Math.max(0, Math.floor((left - hall.left) / CELL)), to = Math.min(columns - 1, Math.floor((right - hall.left) / CELL));
    const first = Math.max(0, Math.floor((top - hall.top) / CELL)), last = Math.min(lines - 1, Math.floor((bottom - hall.top) / CELL));
    if (to < from) return;
    for (let line = first; line <= last; line += 1) {
      for (let at = starts[line * columns + from]; at < starts[line * columns + to + 1]; at += 1) {
        const seat = order[at];
        if (xs[seat] >= left && xs[seat] < right && ys[seat] >= top && ys[seat] < bottom) met(seat);
      }
    }
  }

  /** The nearest seat within reach that `may` be meant; -1 for none. */
  function nearest(x, y, reach, may = () => true) {
    let found = -1, best = reach * reach;
    inBox(x - reach, y - reach, x + reach, y + reach, (seat) => {
      const far = (xs[seat] - x) ** 2 + (ys[seat] - y) ** 2;
      if (far <= best && may(seat)) [found, best] = [seat, far];
    });
    return found;
  }

  return {
    name: layout.name, stage, sections, rows, seats, xs, ys, sectionOf, rowOf, flags, hall, inBox, nearest,
    companions: new Map(layout.companions ?? []),
    rowAt: (seat) => (Number.isNaN(xs[seat]) ? null : rows[rowOf[seat]]),
    number: (seat) => numberOf(rows[rowOf[seat]], seat),
    /** The section whose outline holds a point; null between them. */
    sectionAt: (x, y) => sections.find((one) =>
      x >= one.left && x <= one.right && y >= one.top && y <= one.bottom && inside(one.outline, x, y)) ?? null,
    /** The seat next to one in a direction (−1, 0, 1 each way): along the row, or the nearest in the row beyond. */
    beside(seat, dx, dy) {
      if (dx) {
        const row = rows[rowOf[seat]];
        const step = xs[row.first + row.count - 1] >= xs[row.first] ? dx : -dx;
        const next = seat + step;
        if (next >= row.first && next < row.first + row.count) return next;
      }
      let found = -1, best = Infinity;
      const reach = 900;
      inBox(xs[seat] - reach, ys[seat] - reach, xs[seat] + reach, ys[seat] + reach, (other) => {
        const ahead = (xs[other] - xs[seat]) * dx + (ys[other] - ys[seat]) * dy;
        const aside = Math.abs((xs[other] - xs[seat]) * dy) + Math.abs((ys[other] - ys[seat]) * dx);
        if (ahead < 40 || aside > ahead * 1.5) return;
        if (ahead + 2 * aside < best) [found, best] = [other, ahead + 2 * aside];
      });
      return found < 0 ? seat : found;
    },
  };
}

export const ACCESSIBLE = 1, COMPANION = 2, RESTRICTED = 4;

function numberOf(row, seat) {
  const at = seat - row.first;
  return Array.isArray(row.numbers) ? row.numbers[at] : String(row.numbers.from + at * row.numbers.step);
}

function boxOf(outline) {
  const xs = outline.map(([x]) => x), ys = outline.map(([, y]) => y);
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

function inside(outline, x, y) {
  let within = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i, i += 1) {
    const [ax, ay] = outline[i], [bx, by] = outline[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}

function gridOf(xs, ys, hall) {
  const columns = Math.max(1, Math.ceil((hall.right - hall.left + 1) / CELL));
  const lines = Math.max(1, Math.ceil((hall.bottom - hall.top + 1) / CELL));
  const cell = (seat) => {
    const column = Math.min(columns - 1, Math.max(0, Math.floor((xs[seat] - hall.left) / CELL)));
    return Math.min(lines - 1, Math.max(0, Math.floor((ys[seat] - hall.top) / CELL))) * columns + column;
  };
  const starts = new Uint32Array(columns * lines + 1);
  for (let seat = 0; seat < xs.length; seat += 1) if (!Number.isNaN(xs[seat])) starts[cell(seat) + 1] += 1;
  for (let at = 0; at < columns * lines; at += 1) starts[at + 1] += starts[at];
  const next = starts.slice(), order = new Uint32Array(starts[columns * lines]);
  for (let seat = 0; seat < xs.length; seat += 1) {
    if (Number.isNaN(xs[seat])) continue;
    const at = cell(seat);
    order[next[at]] = seat;
    next[at] += 1;
  }
  return { columns, lines, starts, order };
}

/** Free seats by section and tier, kept up to date run by run: what the far view and the list show. */
export function openTally(plan, bytes) {
  const free = new Int32Array(plan.sections.length * 16);
  const add = (byte, seat, by) => {
    if (statusOf(byte) === FREE) free[plan.sectionOf[seat] * 16 + tierOf(byte)] += by;
  };
  for (let seat = 0; seat < bytes.length; seat += 1) add(bytes[seat], seat, 1);
  const sum = (section, may) => {
    let left = 0;
    for (let tier = 0; tier < 16; tier += 1) if (may(tier)) left += free[section * 16 + tier];
    return left;
  };
  return {
    /** To be called before the bytes are written. */
    change(first, count, byte) {
      for (let seat = first; seat < first + count; seat += 1) {
        add(bytes[seat], seat, -1);
        add(byte, seat, 1);
      }
    },
    inSection: (section, may = () => true) => sum(section, may),
    inTier: (tier) => plan.sections.reduce((left, { index }) => left + free[index * 16 + tier], 0),
    all: (may = () => true) => plan.sections.reduce((left, { index }) => left + sum(index, may), 0),
    tiers: (section) => [...free.subarray(section * 16, section * 16 + 16).entries()].filter(([, n]) => n),
  };
}

/**
 * Free seats as near as can be to those that were lost: side by side in one row if there are, else the nearest single
 * ones. `may(seat)` narrows the choice. Empty where there are too few.
 */
export function nearby(plan, bytes, lost, count, may = () => true) {
  const at = lost.filter((seat) => !Number.isNaN(plan.xs[seat]));
  if (!at.length || count < 1) return [];
  const x = at.reduce((sum, seat) => sum + plan.xs[seat], 0) / at.length;
  const y = at.reduce((sum, seat) => sum + plan.ys[seat], 0) / at.length;
  const free = (seat) => statusOf(bytes[seat]) === FREE && may(seat);
  let found = [], best = Infinity;
  for (const row of plan.rows) {
    let run = 0;
    for (let seat = row.first; seat < row.first + row.count; seat += 1) {
      run = free(seat) ? run + 1 : 0;
      if (run < count) continue;
      const from = seat - count + 1;
      const far = Math.hypot((plan.xs[from] + plan.xs[seat]) / 2 - x, (plan.ys[from] + plan.ys[seat]) / 2 - y)
        + (plan.sectionOf[seat] === plan.sectionOf[at[0]] ? 0 : 400);
      if (far < best) [found, best] = [Array.from({ length: count }, (_, i) => from + i), far];
    }
  }
  if (found.length) return found;
  const all = [];
  for (let seat = 0; seat < plan.seats; seat += 1) {
    if (!Number.isNaN(plan.xs[seat]) && free(seat)) all.push([Math.hypot(plan.xs[seat] - x, plan.ys[seat] - y), seat]);
  }
  const nearest = all.sort((a, b) => a[0] - b[0]).slice(0, count).map(([, seat]) => seat);
  return nearest.length === count ? nearest.sort((a, b) => a - b) : [];
}
