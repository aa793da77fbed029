/**
 * Preview: every state with made-up figures, through the same model and view as a real visit. Asks no network.
 *
 * Loaded on preview pages alone (data-preview). `?theme=light` or `dark` overrules the browser's own scheme. With
 * `?live=42` it is a test visitor instead: what the page of who came as number 42 shows now, or (`?live=next`) of who
 * would come now, from the room's own document. It reads that and nothing else: it joins no line, is in no count and
 * claims nothing, so it never shows what only an answer to a claim tells. `?lane=verified` is that of another lane.
 */

import { describe } from "./model.js";
import { fullness, isAlmost, look, rankOf, waitInterval } from "./rules.js";
import { openView } from "./view.js";
import { openWire } from "./wire.js";

const NOWHERE = { rank: null, ahead: null };
const LANES = (value) => ({ verified: value, standard: value, suspect: value });
const DRAW = {
  level: "B", rounds: 90,
  commitment: "9d5ed678fe57bcca610140957afab571db1ea5b7a0f0c8d2f0f0a3c1a9b1c2d3",
  frozen: 20_000,
  root: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
  seed: "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
};

/** What is known in a state of the preview: the same for everybody who looks, but for the times of day. */
export function sample(state, now, href) {
  const doc = {
    phase: "serving", issued: 20_000, serving: LANES(3998), speed_per_minute: LANES(18), plan_per_minute: 20,
    paused: state === "paused", starts_ms: null, opens_ms: null, message: "", claim_window_s: 600,
    wait: { held: 0.87, of: 412, low: 0.85, high: 1.25 }, stock: { left: null, state: "selling" },
    draw: { level: "C", commitment: "", frozen: null, root: "", seed: "", rounds: 90 },
  };
  const place = { run: "preview", number: 4309, lane: "standard", from: 1510, way: 1 - 312 / 1510 };
  const told = { state, doc, place, now, rank: 4309, ahead: 312 };
  const gather = (startsInS) => Object.assign(doc, { phase: "gathering", starts_ms: now + startsInS * 1000 });
  switch (state) {
    case "loading":
      return { ...told, ...NOWHERE, doc: null, place: null };
    case "joining":
    case "full":
    case "busy":
    case "closing":
    case "refused":
    case "used":
    case "left":
    case "carried":
      return { ...told, ...NOWHERE, place: null };
    case "before":
      return { ...told, ...NOWHERE, place: null, opensMs: now + 8_000_000 };
    case "gathering":
      gather(754);
      doc.draw = { ...DRAW, frozen: null, root: "", seed: "" };
      place.way = 0;
      return { ...told, ...NOWHERE };
    case "drawing":
      gather(82);
      doc.draw = { ...DRAW, seed: "" };
      place.way = 0;
      return { ...told, ...NOWHERE };
    case "drawn":
      gather(74);
      Object.assign(doc, { draw: DRAW, speed_per_minute: LANES(0), plan_per_minute: 300 });
      Object.assign(place, { from: 1311, way: 0 });
      return { ...told, rank: 1311, ahead: 1311, wait: { low: 230, high: 450 } };
    case "lined":
      gather(754);
      place.way = 0;
      return { ...told, ahead: 312, wait: { low: 1600, high: 2300 } };
    case "almost":
      place.way = 0.98;
      return { ...told, ahead: 24, wait: waitInterval(24, 18, 20, { factors: doc.wait }) };
    case "called":
      return { ...told, ahead: 0, heldBack: true, near: true, claimUntilMs: now + 152_000 };
    case "next":
      return { ...told, ahead: 7 };
    case "recall":
      return { ...told, ahead: 0, heldBack: true, claimUntilMs: 0 };
    case "moved":
      return { ...told, ...NOWHERE, href };
    case "cookies":
    case "admitted":
    case "open":
    case "ended":
      return { ...told, ...NOWHERE };
    default:
      return { ...told, wait: waitInterval(312, 18, 20, { factors: doc.wait }) };
  }
}

const LIVE_MS = 3000;

/** What the page of a place that nobody holds shows of a document: the same as that of whoever has its number. */
export function lived(doc, place, now) {
  if (doc.bypass) return { state: "open", ...NOWHERE, doc, place: null, now };
  const seen = look(doc, place, now);
  if (seen.state === "called") return { ...seen, doc, place, now, heldBack: true };
  const { ahead } = seen;
  if (ahead === null) return { ...seen, doc, place, now, opensMs: doc.opens_ms };
  const ranks = ahead * fullness(doc, rankOf(doc, place.number) ?? 0, place.lane);
  const wait = waitInterval(ranks, doc.speed_per_minute[place.lane] ?? 0, doc.plan_per_minute, {
    paused: doc.paused, factors: doc.wait?.low ? doc.wait : null, leaving: doc.census?.leaving,
    delayS: doc.phase === "gathering" && doc.starts_ms ? Math.max(0, doc.starts_ms - now) / 1000 : 0,
  });
  place.from ??= ahead;
  place.way = place.from ? Math.max(0, 1 - ahead / place.from) : 0;
  const state = seen.state === "waiting" && isAlmost(wait, ahead) ? "almost" : seen.state;
  return { ...seen, state, doc, place, now, wait };
}

/** Show what a number's page shows now, and go on. */
function live(arrived, lane, view, words, clock) {
  const { prefix, room, name } = document.documentElement.dataset;
  const wire = openWire(prefix, room);
  let place = null;
  const again = async () => {
    const { ok, json: doc } = await wire.get("status").catch(() => ({ ok: false }));
    if (ok && doc.serving) {
      const number = /^[1-9]\d{0,11}$/.test(arrived) ? Number(arrived) - 1 : doc.issued;
      if (place?.run !== doc.run) place = { run: doc.run, number, lane, way: 0 };
      view.show(describe(words, { ...lived(doc, place, clock.now()), name }));
    }
    setTimeout(again, LIVE_MS);
  };
  return again();
}

/** Show the state that the page was made for. */
export function preview(words) {
  const html = document.documentElement;
  const theme = new URLSearchParams(location.search).get("theme");
  if (theme === "light" || theme === "dark") html.dataset.theme = theme;
  const clock = { now: () => Date.now() };
  const view = openView(clock, words);
  const { preview: state, name } = html.dataset;
  const asked = new URLSearchParams(location.search), lane = asked.get("lane");
  if (asked.has("live")) {
    still(view);
    return live(asked.get("live"), ["verified", "suspect"].includes(lane) ? lane : "standard", view, words, clock);
  }
  const told = sample(state, clock.now(), location.href);
  if (state === "waiting" || state === "paused") told.doc.message = view.part.message.textContent;
  view.show(describe(words, { ...told, name }));
  if (state === "offline" || state === "away") view.link(words.text("link.age", { span: words.span(192_000) }), true);
  else if (told.place && !["ended", "moved", "cookies", "admitted", "open"].includes(state)) view.link(words.text("link.saved"));
  return still(view);
}

/** What a press would do needs a place: the badge says so instead. */
function still(view) {
  const { badge, leave, leaving, ...part } = view.part;
  const idle = () => {
    badge.textContent = badge.dataset.idle;
  };
  for (const name of ["again", "more", "notify", "awake", "carry", "remind", "receipt"]) {
    part[name]?.addEventListener("click", (event) => {
      event.preventDefault();
      idle();
    });
  }
  leave.addEventListener("click", () => leaving.showModal());
  leaving.addEventListener("close", () => leaving.returnValue === "leave" && idle());
}
