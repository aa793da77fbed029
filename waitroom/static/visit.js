/**
 * Visit: what happens when. One step at a time: look, join, wait, claim, go in; and what the fan's hand asks for.
 *
 * Asks for a place once (POST), then only reads the public document, the more rarely the farther the turn is away.
 * A step that fails changes nothing: the place is kept, and the page asks again later and later.
 */

import { openDoor, webAddress } from "./door.js";
import { openHand } from "./hand.js";
import { openMemory } from "./memory.js";
import { describe, isOver } from "./model.js";
import {
  LOOKED_AT_MS, backoffMs, fellBack, fullness, inFragment, isAlmost, isAsked, look, newer, nextComes, nextPollMs,
  pollFloorS, rankOf, waitInterval,
} from "./rules.js";
import { makeSteps } from "./steps.js";
import { openTabs } from "./tabs.js";
import { openTurn } from "./turn.js";
import { openView } from "./view.js";
import { makeClock, openWire } from "./wire.js";

const NOWHERE = { rank: null, ahead: null };
const FRESH = ["used", "left", "carried"];

/** Run the page from here to the door. */
export function visit(words) {
  const { room, prefix, name, target: given } = document.documentElement.dataset;
  const here = new URL(location.href);
  const fragment = inFragment(here.hash);
  const inside = here.pathname.startsWith(prefix);

  const memory = openMemory(room);
  const clock = makeClock();
  const wire = openWire(prefix, room);
  const view = openView(clock, words);
  const turn = openTurn(view, words, memory, name);

  let kept = null; // {doc, text}: the newest document
  let heardAt = 0; // when the last good answer came
  let told = 0; // the epoch that our ticket has been shown to
  let overRun = null; // the run whose end this visit has already healed
  let last = { state: "loading", ...NOWHERE }; // what was shown before the trouble
  let lookedAt = document.hidden ? null : [performance.now(), Date.now()];
  let code = fragment.carry; // a place is being carried here
  let askedAgain = 0; // the epoch in which the page has asked to be told once more
  let counted = 0; // the round of the census that has heard of us
  let failures = 0;
  const trip = {
    place: memory.place, // {run, number, lane, ticket, epoch, from, way}
    target: given || (inside ? here.searchParams.get("target") : here.pathname + here.search) || "/",
    byHeader: navigator.cookieEnabled === false || Boolean(fragment.ticket), // cookies fail: send the ticket along
    claimUntilMs: null, // until when the turn is kept; null while not known
    extensions: 0, // how often more time can be had
    entered: fragment.entered,
    get doc() { return kept?.doc ?? null; },
  };

  // Who shares the address must not share the place.
  if (code) history.replaceState(null, "", here.pathname + here.search);

  // Who follows hears from the tab that leads; it asks by itself only when it hears nothing.
  const steps = makeSteps((step) => step === poll && kept && !tabs.leads, trouble);
  const { later, soon, stop } = steps;
  const tabs = openTabs(memory, { lead: () => kept && soon(poll), heard });

  const headers = () => {
    const ticket = trip.place?.ticket ?? fragment.ticket;
    return trip.byHeader && ticket ? { "Waitroom-Ticket": ticket } : {};
  };
  /** Whether somebody looks at this page, or did just now. */
  const attentive = () =>
    !document.hidden || Boolean(lookedAt) &&
    Math.max(performance.now() - lookedAt[0], Date.now() - lookedAt[1]) < LOOKED_AT_MS;

  function keep(next) {
    trip.place = memory.place = next;
    if (!memory.lasting) history.replaceState(null, "", here.pathname + here.search + (next ? `#ticket=${next.ticket}` : ""));
    if (!next) fragment.ticket = trip.claimUntilMs = memory.asked = null;
  }

  // ------------------------------------------------------------------------------------- what is shown

  function wait(doc, ahead) {
    if (ahead === null) return null;
    const { number, lane } = trip.place ?? { lane: "standard" };
    const ranks = ahead * fullness(doc, rankOf(doc, number) ?? 0, lane);
    return waitInterval(ranks, doc.speed_per_minute[lane] ?? 0, doc.plan_per_minute, {
      paused: doc.paused, delayS: startDelayS(doc), factors: doc.wait?.low ? doc.wait : null,
      leaving: doc.census?.leaving,
    });
  }

  function show(seen, more = {}) {
    const doc = kept?.doc ?? null;
    let { state, ahead } = seen;
    if (ahead !== null && trip.place && state !== "offline" && state !== "away") {
      // A place once shown never gets worse, and the way never runs backwards.
      const start = `${seen.rank}/${trip.place.lane}`;
      if (trip.place.start !== start) Object.assign(trip.place, { start, from: ahead, best: ahead });
      trip.place.best = ahead = Math.min(ahead, trip.place.best);
      trip.place.way = Math.max(trip.place.way ?? 0, trip.place.from ? 1 - ahead / trip.place.from : 0);
      memory.place = trip.place;
    }
    const interval = doc && wait(doc, ahead);
    if (state === "waiting" && isAlmost(interval, ahead)) state = "almost";
    if (state !== "offline" && state !== "away") last = { ...seen, ahead };
    view.show(describe(words, { ...seen, state, ahead, doc, place: trip.place, now: clock.now(), name, wait: interval, check: view.part.prove?.dataset.asks, ...more }));
    if (isOver(state)) view.link("");
  }

  const connected = () => {
    failures = 0;
    if (isOver(view.state)) return;
    view.link(trip.place ? words.text(tabs.leads ? "link.saved" : "link.tabs") : "");
  };

  /** Nothing usable came back: say so, keep everything, ask again later and later. */
  function trouble({ retryAfterS = 0, silence = false, unverified = false } = {}) {
    failures += 1;
    const offline = navigator.onLine === false;
    if (unverified) view.link(words.text("link.unverified"), true);
    else if (offline || failures > 1 || !kept) {
      show({ ...last, state: offline || silence ? "offline" : "away" });
      view.link(kept ? words.text("link.age", { span: words.span(performance.now() - heardAt) }) : "", true);
    } else view.link(words.text(trip.place ? "link.away" : "link.away-no-place"), true);
    later(backoffMs(failures, retryAfterS, Math.random()), poll);
  }

  // ------------------------------------------------------------------------------------------ the steps

  const startDelayS = (doc) =>
    doc.phase === "gathering" && doc.starts_ms ? Math.max(0, (doc.starts_ms - clock.now()) / 1000) : 0;

  function pauseMs(seen) {
    const { doc } = kept;
    const gathering = doc.phase === "gathering";
    const interval = wait(doc, seen.ahead);
    let etaS = interval ? (interval.low + interval.high) / 2 : null;
    if (seen.ahead === null && gathering && doc.starts_ms) etaS = startDelayS(doc);
    return nextPollMs(etaS, doc.poll_cap_s, Math.random(), gathering ? pollFloorS(doc.issued) : 2);
  }

  async function poll() {
    if (navigator.onLine === false) return trouble();
    const answer = await wire.get("status");
    if (answer.status === 404) return refused(answer);
    const doc = answer.json;
    if (!answer.ok || !doc.serving) return trouble(answer);
    if (!(await wire.trusted(answer.text, doc.kid))) return trouble({ unverified: true });
    if (kept && fellBack(doc, kept.doc) && Math.random() < 0.1) {
      // The server lost its memory; what it signed before tells it how far it was. One page in ten is enough.
      wire.post("status", kept.text).catch(() => {});
    }
    learn(doc, answer);
    if (tabs.leads && isAsked(doc, trip.place) && counted !== doc.census.round) {
      counted = doc.census.round;
      wire.post("here", "", headers()).catch(() => {});
    }
    tabs.share({ text: answer.text, date: answer.date });
    hand.check();
    return act();
  }

  function learn(doc, { text, date }) {
    clock.learn(date, doc.at_ms);
    heardAt = performance.now();
    if (newer(doc, kept?.doc)) kept = { doc, text };
    connected();
  }

  /** What the tab that leads has heard. */
  function heard(news) {
    if (tabs.leads || steps.over) return;
    if (news.admitted) {
      stop();
      show({ state: "admitted", ...NOWHERE }, { href: news.admitted });
    } else if (kept) {
      learn(JSON.parse(news.text), news);
      soon(act);
    }
  }

  async function act() {
    const { doc } = kept;
    if (doc.canned) doc.message ||= await import("./canned.js").then(({ say }) => say(doc.canned)).catch(() => "");
    if (doc.bypass) return door.enter(trip.target, "open");
    if (code) return take();
    const now = clock.now();
    if (trip.place && (trip.place.run === doc.run ? nextComes(doc, now) : doc.epoch > trip.place.epoch)) {
      // The room has opened anew since, or will; yesterday's place is worth nothing.
      keep(null);
    }
    if (trip.place?.run === doc.run && doc.epoch > trip.place.epoch && trip.place.number >= doc.issued && told !== doc.epoch) {
      // The line was put back and does not know of our number yet: the ticket itself is the proof.
      told = doc.epoch;
      wire.get("ticket", headers()).catch(() => {});
    }
    if (memory.asked?.run === doc.run && doc.epoch > memory.asked.epoch && tabs.leads && askedAgain !== doc.epoch) {
      // What was kept for the messages went with the store; the fan has not taken it back, so the page asks again.
      askedAgain = doc.epoch;
      import("./remind.js").then(({ askAgain }) => askAgain({ wire, words, memory, headers })).catch(() => {});
    }
    if (trip.place && trip.place.run !== doc.run && doc.phase !== "idle") {
      // A cache still shows the opening before ours.
      return later(2000 + 1000 * Math.random(), poll);
    }
    const seen = look(doc, trip.place, now);
    const lazily = () => later(nextPollMs(null, 60, Math.random(), 12), poll);
    switch (seen.state) {
      case "joining":
        if (memory.left === doc.run) return rest("left");
        if (memory.left === `carried ${doc.run}`) return rest("carried");
        return join();
      case "called":
        // What the server kept for the messages is deleted with the last of them; so is what this browser kept.
        if (memory.asked) memory.asked = null;
        return door.called(seen);
      case "before": {
        const toOpenMs = doc.opens_ms ? doc.opens_ms - clock.now() : Infinity;
        show(seen, { opensMs: doc.opens_ms });
        const spreadMs = 2000 * Math.random();
        const pause = nextPollMs(doc.opens_ms ? Math.max(0, toOpenMs / 1000) : null, 60, Math.random(), 10);
        return later(Math.min(pause, Math.max(toOpenMs, 1500) + spreadMs), poll);
      }
      case "moved":
        show(seen, { href: doc.moved_to ? webAddress(doc.moved_to) : "" });
        return lazily();
      case "soldout":
        show(seen, { mayEnter: seen.rank !== null && seen.ahead === 0 && seen.rank < (doc.serving[trip.place.lane] ?? 0) });
        return lazily();
      case "ended":
      case "closing":
        show(seen);
        return lazily();
      default:
        turn.calm();
        show(seen);
        return later(pauseMs(seen), poll);
    }
  }

  /** One place for all tabs: whoever holds the lock asks, the others find the answer in the memory. */
  async function join(again = false) {
    const { doc } = kept;
    if (view.state !== "full" && view.state !== "busy") show({ state: "joining", ...NOWHERE });
    const answer = await memory.alone(async () => {
      const key = await memory.joinKey(), other = memory.place;
      if (!again && other?.run === doc.run) {
        memory.joined();
        trip.place = other;
        return null;
      }
      const sent = { "Idempotency-Key": key, ...headers() };
      const reply = await wire.post("join", again ? { again: true } : {}, sent);
      if (reply.ok) joined(reply.json);
      if (reply.status < 500 && reply.status !== 429) memory.joined();
      return reply;
    });
    if (!answer || answer.ok) {
      connected();
      return act();
    }
    const pause = backoffMs(2, answer.retryAfterS, Math.random());
    switch (answer.json.code) {
      case "room-full":
      case "too-many-joins":
        show({ state: answer.json.code === "room-full" ? "full" : "busy", ...NOWHERE });
        return later(pause, poll);
      case "room-not-open":
        show({ state: "before", ...NOWHERE }, { opensMs: answer.json.opens_ms });
        return later(pause, poll);
      case "room-draining":
      case "room-over":
        show({ state: answer.json.code === "room-over" ? "ended" : "closing", ...NOWHERE });
        return later(60_000 + pause, poll);
      default:
        return answer.status >= 500 || answer.status === 429 ? trouble(answer) : refused(answer);
    }
  }

  function joined({ run, number, lane, ticket }) {
    keep({ run, number, lane, ticket, epoch: kept.doc.epoch, way: 0 });
    memory.left = null;
  }

  /** The ticket is worth nothing (any more): take a new one, once. */
  function anew(run) {
    keep(null);
    if (overRun === run) return refused({ json: {} });
    overRun = run;
    return later(0, poll);
  }

  function refused({ json }) {
    const own = `refused.${json.code}`;
    rest("refused", { reason: words.has(own) ? words.text(own) : json.detail });
  }

  /** Nothing more happens until the fan's hand asks for it. */
  function rest(state, more) {
    turn.calm();
    stop();
    show({ state, ...NOWHERE }, more);
  }

  async function leave() {
    if (memory.asked) await wire.post("remind/forget", {}, headers()).catch(() => {});
    const answer = await wire.post("leave", {}, headers());
    if (!answer.ok && answer.status !== 410 && answer.status !== 401) {
      view.link(words.text("leave.failed"), true);
      return later(backoffMs(1, answer.retryAfterS, Math.random()), poll);
    }
    memory.left = trip.place?.run ?? null;
    keep(null);
    return rest("left");
  }

  /** Take the place that another device hands over; who has one here is asked first, because it would be given up. */
  async function take() {
    if (trip.place?.run === kept.doc.run) {
      const given = code;
      code = null;
      hand.askToLeave(given);
      return act();
    }
    // The key makes a repeat after a lost answer get the same place: a code is good for one taker only.
    const answer = await wire.post("carry/take", { code }, { "Idempotency-Key": await memory.joinKey(), ...headers() });
    if (answer.status >= 500 || answer.status === 429) return trouble(answer);
    memory.joined();
    code = null;
    if (!answer.ok) return rest("refused", { reason: words.text("carry.not-arrived") });
    joined(answer.json);
    view.say(words.text("carry.arrived"));
    return act();
  }

  // -------------------------------------------------------------------------------- the hand, the browser

  const door = openDoor(
    trip, { memory, clock, wire, view, words, turn, tabs, steps, headers, attentive, show },
    { poll, keep, anew, refused, rest, trouble, connected },
  );
  const hand = openHand({ trip, view, words, clock, memory, wire, headers }, {
    /** Leave the line; `given` is the code of another place, for which ours is given up. */
    leave: (given) => soon(async () => {
      await leave();
      if (!given || trip.place) return;
      code = given;
      soon(poll);
    }),
    again(state) {
      overRun = null;
      if (["called", "recall", "soldout"].includes(state)) return soon(door.claim);
      if (!FRESH.includes(state)) return soon(poll);
      keep(null);
      memory.left = null;
      trip.byHeader = navigator.cookieEnabled === false;
      return soon(kept ? () => join(true) : poll);
    },
    more: () => soon(door.more),
    carried() {
      memory.left = `carried ${trip.place?.run}`;
      keep(null);
      rest("carried");
    },
  });

  addEventListener("online", () => soon(poll));
  addEventListener("offline", () => !isOver(view.state) && soon(poll));
  document.addEventListener("resume", () => soon(poll));
  document.addEventListener("visibilitychange", () => {
    lookedAt = [performance.now(), Date.now()];
    if (document.hidden) return;
    turn.calm();
    // A hidden page may sleep; when it is looked at again it catches up, but never asks early.
    if (view.state === "called" || view.state === "recall") soon(door.claim);
    else if (steps.due) steps.run();
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    steps.over = false;
    soon(poll);
  });
  addEventListener("storage", (event) => {
    if (event.key !== memory.name("place")) return;
    const other = memory.place;
    if (other && other.run === trip.place?.run && other.number === trip.place.number) {
      if (other.ticket === trip.place.ticket) return;
      // Another tab was given more time.
      other.best = trip.place.best;
      trip.claimUntilMs = null;
    }
    trip.place = other;
    soon(kept ? act : poll);
  });

  later(0, poll);
}
