/**
 * Rules: what follows from the public document and a place. Pure: no page, no clock, no network.
 *
 * The same answers as waitroom/wait.py and standing.py; tests/vectors/wait.json holds both to them.
 */

import { drawnRank, fromHex, sha256 } from "./draw.js";

/** Whoever comes within this is told to get ready. */
export const ALMOST_S = 120;
/** A page that was looked at so recently may still claim by itself. */
export const LOOKED_AT_MS = 60_000;

let lastDrawn = { key: "" };

/** A number's rank by the document; null while the draw that includes it is still to come. */
export function rankOf(doc, number) {
  const { commitment, frozen, seed, rounds } = doc.draw;
  if (frozen === null) return commitment ? null : number;
  if (number >= frozen) return number;
  if (doc.void.some(([since, to]) => since <= number && number < to)) return frozen;
  if (!seed) return null;
  const key = `${seed}/${frozen}/${number}`;
  if (lastDrawn.key !== key) lastDrawn = { key, rank: drawnRank(fromHex(seed), frozen, number, rounds) };
  return lastDrawn.rank;
}

const served = (doc, lane) => doc.serving[lane] ?? doc.serving.standard;

/** People between the lane's threshold and a rank; numbers that nobody holds do not count. */
export function peopleAhead(doc, rank, lane) {
  const serving = served(doc, lane);
  const since = doc.draw.frozen ?? 0;
  const empty = doc.void.reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(rank, to) - Math.max(serving, from, since)), 0,
  );
  return Math.max(0, rank - serving - empty);
}

/** Whether the census means this place (waitroom/census.py): its page says once a round that it is still there. */
export function isAsked({ census, run }, place) {
  if (!census || place?.run !== run) return false;
  const digest = sha256(new TextEncoder().encode(`waitroom-census-v1|${run}|${place.number}`));
  return new DataView(digest.buffer).getUint32(0) < 2 ** 32 / census.one_in;
}

/** How full the ranks up to `rank` are, measured by those called now; 1 while nobody has counted. */
export function fullness({ census, serving: all }, rank, lane) {
  const serving = all[lane] ?? all.standard, { live, since, width } = census ?? {};
  if (!live || rank <= serving) return 1;
  const last = live.length - 1;
  let there = 0, at = serving;
  live.forEach((share, index) => {
    const stop = index === last ? rank : Math.min(rank, since + (index + 1) * width);
    if (stop > at) {
      there += (stop - at) * share;
      at = stop;
    }
  });
  const now = live[Math.min(Math.max(Math.floor((serving - since) / width), 0), last)];
  return Math.min(Math.max(there / ((rank - serving) * now), 0.2), 5);
}

/** Whether this line is over and another one has a date. */
export const nextComes = (doc, now) => doc.phase === "ended" && doc.opens_ms > now;

/** Where a place stands now: {state, rank, ahead}. `place` is null for who has none. */
export function look(doc, place, now) {
  if (doc.stops === "moved") return { state: "moved", rank: null, ahead: null };
  if (nextComes(doc, now)) return { state: "before", rank: null, ahead: null };
  if (doc.phase === "ended") return { state: "ended", rank: null, ahead: null };
  if (doc.phase === "idle") return { state: "before", rank: null, ahead: null };
  const soldout = doc.stock?.state === "soldout";
  if (!place) {
    return { state: soldout ? "soldout" : doc.phase === "draining" ? "closing" : "joining", rank: null, ahead: null };
  }
  const rank = rankOf(doc, place.number);
  const ahead = rank === null ? null : peopleAhead(doc, rank, place.lane);
  const moving = doc.phase !== "gathering";
  if (soldout) return { state: "soldout", rank, ahead };
  if (rank === null) {
    return { state: doc.paused ? "paused" : doc.draw.frozen === null ? "gathering" : "drawing", rank, ahead };
  }
  if (moving && rank < served(doc, place.lane)) return { state: "called", rank, ahead: 0 };
  if (doc.paused) return { state: "paused", rank, ahead };
  if (moving) return { state: "waiting", rank, ahead };
  return { state: doc.draw.seed ? "drawn" : "lined", rank, ahead };
}

/** Tell whether document `a` is newer than `b`. */
export const newer = (a, b) => !b || a.epoch > b.epoch || (a.epoch === b.epoch && a.version > b.version);

/** Tell whether the server forgot how far it was: a new epoch of the same run that serves less than `kept`. */
export const fellBack = (doc, kept) =>
  Boolean(kept) && doc.run === kept.run && doc.epoch > kept.epoch &&
  Object.keys(kept.serving).some((lane) => doc.serving[lane] < kept.serving[lane]);

const MEASURED = { low: 0.75, high: 1.35 };

/**
 * Seconds at least and at most behind `ahead` people, or null when nobody can know (waitroom/wait.py).
 * `ahead` is measured by the ranks called now, of a million `leaving` go in a minute; `factors` is what this run has
 * taught of such waits; without it, the fixed ones.
 */
export function waitInterval(ahead, speed, plan, { paused = false, delayS = 0, factors = null, leaving = 0 } = {}) {
  if (paused) return null;
  let low, high;
  const hazard = leaving / 1e6;
  const lasts = (minutes) => 60 * (hazard ? Math.log1p(hazard * minutes) / hazard : minutes);
  const planned = lasts(ahead / plan);
  if (speed > 0) {
    const point = lasts(ahead / speed);
    const { low: least, high: most } = factors ?? MEASURED;
    [low, high] = [point * least, point * most];
    if (plan > 0) {
      low = Math.max(low / 2, Math.min(low, planned));
      high = Math.min(high * 2, Math.max(high, planned));
    }
  } else if (plan > 0) [low, high] = [planned * 0.5, planned * 1.6];
  else return null;
  return { low: delayS + low, high: delayS + high };
}

/**
 * An interval rounded so that it promises no more than it does (waitroom/wait.py), in minutes:
 * {kind: "day" | "many" | "less" | "about" | "between", low, high}.
 */
export function roundedWait(lowS, highS) {
  const lowMin = lowS / 60, highMin = highS / 60;
  if (highMin > 1440) return { kind: lowMin >= 1440 ? "day" : "many" };
  const scale = Math.ceil(highMin);
  const step = scale <= 20 ? 1 : scale <= 90 ? 5 : scale <= 720 ? 30 : 60;
  const low = Math.floor(lowMin / step) * step, high = Math.ceil(highMin / step) * step;
  return { kind: low <= 0 ? "less" : low === high ? "about" : "between", low, high };
}

/** Tell whether a turn is about two minutes away. */
export const isAlmost = (interval, ahead) =>
  interval ? (interval.low + interval.high) / 2 <= ALMOST_S : ahead === 0;

/** Shortest pause while a whole crowd waits for the same moment, in seconds. */
export const pollFloorS = (crowd) => Math.min(Math.max(crowd / 5000, 2), 60);

/** When to look again: a twentieth of the wait, within floor and cap; `u` in [0, 1) spreads the crowd. */
export function nextPollMs(etaS, capS, u, floorS = 2) {
  const pause = etaS === null ? Math.max(5 * floorS, 10) : Math.max(etaS / 20, floorS);
  return Math.round(Math.min(pause, Math.max(capS, 2)) * (0.8 + 0.4 * u) * 1000);
}

/** Pause after the n-th failure in a row; a server's Retry-After is never undercut. */
export const backoffMs = (failures, retryAfterS, u) =>
  Math.round(Math.max(retryAfterS * (1 + 0.5 * u), Math.min(60, 2 ** failures) * (0.5 + u)) * 1000);

/** Split a signed document: the bytes that were signed, and the signature. */
export function signedPart(text) {
  const at = text.lastIndexOf(',"signature":"');
  return at < 0 ? null : { signed: `waitroom-status-v1\n${text.slice(0, at)}}`, signature: text.slice(at + 14, -2) };
}

/** A span as a clock: {days} from two days on, else {text: "1:04:05"}. */
export function clockParts(ms) {
  const all = Math.max(0, Math.ceil(ms / 1000));
  if (all >= 172800) return { days: Math.floor(all / 86400) };
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  return { text: hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}` };
}

/**
 * Tell what a screen reader hears of a change: "now" for the turn, "soon" for any other change of state, and for the
 * rest a sentence for each tenth of the way, or after five minutes; "" is silence.
 */
export function worthSaying(before, now) {
  if (!before || before.state !== now.state) return now.state === "called" ? "now" : "soon";
  if (before.text === now.text) return "";
  return now.tenth > before.tenth || now.atMs >= before.atMs + 300_000 ? "soon" : "";
}

/** Tell whether a browser lives inside an app, where pages are forgotten and links open elsewhere. */
export const insideApp = (agent) =>
  /\b(FBAN|FBAV|FB_IAB|Instagram|MicroMessenger|TikTok|musical_ly|BytedanceWebview|Snapchat|Pinterest|LinkedInApp|GSA)\b|Line\/|Twitter for|; wv\)/
    .test(agent);

/** What stands behind the number sign of an address: a code that carries a place, or a ticket kept there, with a mark
 *  that it has been through the door already. */
export function inFragment(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const read = (name, form) => (form.test(given.get(name) ?? "") ? given.get(name) : null);
  return {
    carry: read("carry", /^[\w-]{8,64}$/),
    ticket: read("ticket", /^[\w.-]{16,1024}$/),
    entered: given.has("entered"),
  };
}
