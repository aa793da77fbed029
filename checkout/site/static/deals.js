/**
 * Deals: what the server is asked for and answers: hold, more time, give back, reserve, and the waitlist.
 *
 * Every request that changes something has a key that is kept until its answer is known, so that a lost answer never
 * makes a second hold. The time of a hold is the server's; it is announced at 60 and at 20 seconds.
 */

import { tierOf } from "./deltas.js";
import { nearby } from "./plan.js";
import { newKey } from "./wire.js";

const ANNOUNCED_S = [60, 20], WAITLIST_MS = 15_000, ASK_MS = 30_000;

export function openDeals({ words, facts, names, plan, clock, wire, panel, voice }, state) {
  const holds = new Map(), told = new Map();
  let busy = false, pending = null, waitlistAt = 0, askedAt = 0;
  const { part } = panel;

  const list = () => [...holds.values()].sort((a, b) => a.until_ms - b.until_ms);

  function show() {
    state.mine.clear();
    for (const hold of holds.values()) for (const { seat } of hold.seats) state.mine.add(seat);
    panel.holds(list());
    state.show();
  }

  /** A hold as the page shows it: the answer's, with its rows and numbers for who reads. */
  function keep(hold) {
    const seats = hold.seats.map((seat) => ({
      ...seat,
      section: typeof seat.section === "number" ? plan.sections[seat.section].name : seat.section ?? "",
      row: plan.rowAt(seat.seat) ? (typeof seat.row === "number" ? plan.rowAt(seat.seat).name : seat.row) : "",
    }));
    holds.set(hold.hold, { ...holds.get(hold.hold), ...hold, seats, busy: false });
    for (const { seat } of seats) state.chosen.delete(seat);
  }

  // ------------------------------------------------------------------------------------------------ hold
  async function ask(body, wantedSeats) {
    if (busy) return;
    panel.quiet();
    const text = JSON.stringify(body);
    // The same wish after a lost answer is the same request.
    if (pending?.text !== text) pending = { text, key: newKey() };
    busy = true;
    panel.busy(words.text("busy.holding"));
    const answer = await wire.insist("POST", "/holds", { ...body, currency: facts.currency }, pending.key,
      () => panel.busy(words.text("busy.again")));
    busy = false;
    panel.busy("");
    if (answer?.ok) {
      pending = null;
      keep(answer.json);
      show();
      const seats = answer.json.seats.map(({ seat }) => seat);
      state.reveal?.(seats);
      voice.say(words.text("said.held", {
        n: seats.length, seats: words.list(seats.map(names.place)), time: words.span(answer.json.until_ms - clock.now()),
      }), "hold");
      part.held.querySelector("h2")?.focus({ preventScroll: true });
      part.held.scrollIntoView({ block: "nearest" });
      return;
    }
    if (answer && answer.status < 500 && answer.status !== 429) pending = null;
    refused(answer, body, wantedSeats, () => ask(body, wantedSeats));
  }

  /** What a refusal means and what can be done about it. */
  function refused(answer, body, wantedSeats, again) {
    const code = answer ? answer.code : "no-answer", more = answer?.json ?? {};
    if (code === "seats-taken") {
      const lost = (more.taken ?? []).map((one) => one.seat);
      state.gone(more.taken ?? []);
      offerInstead(lost.length ? lost : wantedSeats, "problem.seats-taken");
      return;
    }
    if (code === "sale-not-open" && more.opens_ms) facts.sale_from_ms = more.opens_ms;
    if (code === "sale-over" && more.closed_ms) facts.sale_until_ms = more.closed_ms;
    if (code.startsWith("sale-")) state.changed();
    const actions = [];
    if (["no-answer", "store-away", "key-in-flight"].includes(code) || (answer?.status ?? 0) >= 500 || answer?.status === 429) {
      actions.push([words.text("action.again"), again]);
    }
    if (code === "no-such-block" && body.best.section !== null) {
      actions.push([words.text("action.anywhere"), () => ask({ best: { ...body.best, section: null } }, [])]);
    }
    if (code === "no-such-block" && body.best.tier !== null) {
      actions.push([words.text("action.any-price"), () => ask({ best: { ...body.best, tier: null } }, [])]);
    }
    if (["too-few-left", "no-such-block"].includes(code) && (body.best?.count ?? body.standing?.count) > 1) {
      const fewer = more.left > 0 ? more.left : (body.best?.count ?? body.standing.count) - 1;
      const next = body.best ? { best: { ...body.best, count: fewer } } : { standing: { ...body.standing, count: fewer } };
      actions.push([words.text("action.fewer", { n: fewer }), () => ask(next, [])]);
    }
    if (code === "not-the-shop" || answer?.status === 401) actions.push([words.text("action.reload"), () => location.reload()]);
    tell(code, { n: more.max ?? more.left ?? facts.max, has: more.has ?? 0, left: more.left ?? 0 }, actions);
  }

  function tell(code, values, actions = []) {
    const known = words.has(`problem.${code}.title`) ? code : "other";
    panel.notice(words.text(`problem.${known}.title`), words.text(`problem.${known}.text`, values), actions);
  }

  /** Name what is gone, and offer the nearest that is as good. */
  function offerInstead(lost, key) {
    const bytes = state.bytes();
    const tiers = new Set(lost.map((seat) => tierOf(bytes[seat])));
    const fits = (seat) => !state.chosen.has(seat) && !state.mine.has(seat);
    const found = nearby(plan, bytes, lost, lost.length, (seat) => fits(seat) && tiers.has(tierOf(bytes[seat])));
    const instead = found.length ? found : nearby(plan, bytes, lost, lost.length, fits);
    const actions = instead.length
      ? [[words.text("action.instead", { n: instead.length, seats: words.list(instead.map(names.place)) }), () => {
        panel.quiet();
        state.take(instead);
        part["hold-go"].focus();
      }]] : [];
    panel.notice(words.text(`${key}.title`, { n: lost.length }),
      words.text(`${key}.text`, { n: lost.length, seats: words.list(lost.map(names.place)) }), actions);
  }

  // ------------------------------------------------------------------------------------- while it is held
  async function act(id, text, run) {
    const hold = holds.get(id);
    if (!hold || hold.busy) return;
    panel.quiet();
    hold.busy = true;
    panel.holds(list());
    panel.busy(words.text(text));
    const answer = await run(hold);
    panel.busy("");
    hold.busy = false;
    if (answer?.status === 410) over(id, answer.json.state ?? "expired");
    else if (!answer?.ok && answer?.status !== 204) {
      tell(answer ? answer.code : "no-answer", {}, [[words.text("action.again"), () => act(id, text, run)]]);
    }
    panel.holds(list());
  }

  const keyOf = (hold, what) => {
    hold.keys ??= {};
    hold.keys[what] ??= newKey();
    return hold.keys[what];
  };

  const api = {
    get busy() { return busy; },
    offerInstead,
    holdChosen: () => ask({ seats: [...state.chosen].sort((a, b) => a - b) }, [...state.chosen]),
    best: (count, tier, section) => ask({ best: { count, tier, section } }, []),
    stand: (section, count) => ask({ standing: { section: section.index, count } }, []),
    extend: (id) => act(id, "busy.more", async (hold) => {
      const answer = await wire.insist("POST", `/holds/${id}/extend`, {}, keyOf(hold, "extend"));
      if (answer?.ok) {
        Object.assign(hold, { until_ms: answer.json.until_ms, extendable: false });
        told.delete(id);
        voice.say(words.text("said.more", { time: words.span(hold.until_ms - clock.now()) }), "hold");
        part.held.querySelector("h2")?.focus({ preventScroll: true });
      }
      return answer;
    }),
    giveBack: (id) => act(id, "busy.back", async () => {
      const answer = await wire.insist("DELETE", `/holds/${id}`);
      if (answer?.ok) {
        holds.delete(id);
        show();
        voice.say(words.text("said.back"), "hold");
        part.panel.focus();
      }
      return answer;
    }),
    reserve: (id) => act(id, "busy.reserving", async (hold) => {
      const answer = await wire.insist("POST", `/holds/${id}/reserve`, {}, keyOf(hold, "reserve"));
      if (answer?.ok) location.assign(`${facts.reservation}${encodeURIComponent(answer.json.reservation)}`);
      return answer;
    }),
    /** Ask which holds there are: after a reload, in a second tab, after sleep. */
    async find() {
      askedAt = performance.now();
      const answer = await wire.get("/holds/mine");
      if (!answer?.ok || busy) return;
      const found = answer.json.holds ?? (answer.json.hold ? [answer.json] : []);
      for (const id of [...holds.keys()]) if (!found.some(({ hold }) => hold === id)) holds.delete(id);
      found.filter(({ state: word }) => !word || word === "held" || word === "pinned").forEach(keep);
      show();
    },
    tick() {
      const open = list();
      panel.tick(open);
      for (const hold of open) {
        const leftS = (hold.until_ms - clock.now()) / 1000;
        if (leftS <= 0) {
          if (!hold.busy) over(hold.hold, "expired");
          continue;
        }
        const due = ANNOUNCED_S.filter((at) => leftS <= at).at(-1);
        if (due && (told.get(hold.hold) ?? Infinity) > due) {
          // Who opens the page in the last seconds hears once, not twice.
          told.set(hold.hold, due);
          voice.alert(words.text(hold.extendable ? "said.soon-over-more" : "said.soon-over", { n: Math.ceil(leftS) }));
        }
      }
      // Who holds seats is here, also without a click: a question now and then keeps the door open until the hold's end.
      if (open.length && performance.now() - askedAt > ASK_MS) api.find();
      if (waitlistAt && performance.now() > waitlistAt) askWaitlist();
    },
  };

  /** A hold is over: say why, and offer the same seats again as far as they are free. */
  function over(id, word) {
    const hold = holds.get(id);
    if (!hold) return;
    holds.delete(id);
    show();
    const seats = hold.seats.map(({ seat }) => seat).filter((seat) => plan.rowAt(seat));
    const why = words.has(`problem.hold-${word}.title`) ? word : "expired";
    panel.notice(words.text(`problem.hold-${why}.title`),
      words.text(`problem.hold-${why}.text`, { seats: words.list(hold.seats.map(({ seat }) => names.place(seat))) }),
      seats.length && why === "expired" ? [[words.text("action.same"), () => ask({ seats }, seats)]] : []);
  }

  // -------------------------------------------------------------------------------------------- waitlist
  part["waitlist-join"].addEventListener("click", async () => {
    panel.busy(words.text("busy.waitlist"));
    const count = Number(part["waitlist-count"].value) || 1;
    const answer = await wire.insist("POST", "/waitlist", { count, tier: null }, newKey());
    panel.busy("");
    if (answer?.ok) waiting(answer.json);
    else tell(answer ? answer.code : "no-answer", {});
  });
  part["waitlist-leave"].addEventListener("click", async () => {
    const answer = await wire.insist("DELETE", "/waitlist");
    if (answer?.ok) waiting(null);
  });

  async function askWaitlist() {
    waitlistAt = performance.now() + WAITLIST_MS;
    if (document.hidden) return;
    const answer = await wire.get("/waitlist");
    if (answer?.ok) waiting(answer.json);
  }

  function waiting(place) {
    const on = place && ["waiting", "offered"].includes(place.state ?? "waiting");
    waitlistAt = on ? performance.now() + WAITLIST_MS : 0;
    part["waitlist-form"].hidden = Boolean(on);
    part["waitlist-place"].hidden = !on;
    if (on) panel.put(part["waitlist-text"], words.text("waitlist.place", { n: place.before + 1 }));
    if (place?.state === "offered") api.find();
  }

  return api;
}
