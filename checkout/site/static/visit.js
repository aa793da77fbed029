/**
 * Visit: what happens when on the seat page. Holds its state, asks the server, tells map, list and panel.
 *
 * Chosen seats are only marked in this page; held ones are the server's word. What others take turns grey by itself, and
 * what is lost is told with a way on. Nothing is decided here that the server does not decide again.
 */

import { FREE, statusOf, tierOf } from "./deltas.js";
import { openDeals } from "./deals.js";
import { openList } from "./list.js";
import { followMap } from "./live.js";
import { openMap } from "./map.js";
import { openNames } from "./naming.js";
import { openPanel } from "./panel.js";
import { openPlan, openTally } from "./plan.js";
import { openVoice } from "./say.js";
import { makeClock, openWire } from "./wire.js";

export function visit(words, facts, layout) {
  const plan = openPlan(layout), names = openNames(words, facts, plan), clock = makeClock(facts.now_ms);
  const main = document.getElementById("main");
  const voice = openVoice(document.getElementById("said"), document.getElementById("alarm"));
  const wire = openWire(facts.api, clock);
  const chosen = new Set(), mine = new Set(), wanted = new Set(), dropped = [];
  let bytes = new Uint8Array(plan.seats).fill(1), tally = null, counts = null, within = null, phase = "";

  const freeTexts = new Map();
  const freeText = (n) => {
    if (!freeTexts.has(n)) freeTexts.set(n, words.text("map.free", { n }));
    return freeTexts.get(n);
  };

  const blank = { all: () => 0, inTier: () => 0, inSection: () => 0, tiers: () => [] };
  const wants = (tier) => wanted.size === 0 || wanted.has(tier);
  const look = {
    bytes: () => bytes, tally: () => tally, counts: () => counts, wanted: wants,
    chosen: () => chosen, mine: () => mine, label,
  };

  /** What stands in a section seen from afar: colour by its most frequent free price, strength by how much is free. */
  function label(section) {
    const ours = counts ? [] : (tally ?? blank).tiers(section.index).filter(([tier]) => wants(tier));
    const free = counts ? counts[section.index]?.[0] ?? 0 : ours.reduce((sum, [, n]) => sum + n, 0);
    const [tier] = ours.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
    // An area that is nearly gone stays lighter than one that is nearly all there, but is never taken for an empty one.
    return {
      tier, share: free ? Math.max(0.06, free / Math.max(1, section.count)) : 0, text: freeText(free),
    };
  }

  const panel = openPanel(words, names, facts, clock, {
    pick, hold: () => deals.holdChosen(), clear, tier: filter,
    best: (count, tier) => deals.best(count, tier, within?.index ?? null),
    anywhere: () => lookWithin(null),
    stand: (section, count) => deals.stand(section, count),
    reserve: (id) => deals.reserve(id), extend: (id) => deals.extend(id), giveBack: (id) => deals.giveBack(id),
    heard: (text, kind) => voice.say(text, kind), alarm: (text) => voice.alert(text),
  });
  const { part } = panel;
  const map = openMap(part.map, part.canvas, plan, look, {
    pick, standing, section: lookWithin, where, hover,
    cursor: (seat) => voice.say(names.full(seat, bytes[seat], own(seat)), "cursor"),
  });
  const list = openList(part.list, plan, names, words, look, { pick, standing, section: lookWithin });
  const deals = openDeals({ words, facts, names, plan, clock, wire, panel, voice }, {
    bytes: () => bytes, chosen, mine, wants,
    /** Seats that an answer said are gone. */
    gone(seats) {
      for (const { seat, status } of seats) {
        chosen.delete(seat);
        live.write(seat, (bytes[seat] & 0xf0) | (status || 1));
      }
      show();
    },
    show, take, reveal: (seats) => map.show(seats),
    changed: () => { phase = ""; season(); },
  });
  const live = followMap(facts.api, {
    map(snapshot) {
      [bytes, counts] = [snapshot, null];
      tally = openTally(plan, bytes);
      loseTaken();
      map.renew();
      list.renew();
      show();
    },
    before: (first, count, byte) => tally?.change(first, count, byte),
    changed(runs) {
      for (const [first, count] of runs) {
        map.change(first, count);
        list.change(first, count);
      }
      loseTaken();
      figures();
    },
    counts(sections) {
      counts = sections;
      for (const seat of [...chosen]) chosen.delete(seat);
      map.renew();
      list.figures();
      show();
    },
    link: (state) => panel.link(state === "away" ? words.text("link.away") : ""),
  });
  // Where a seat is on the screen is known here alone: what drives a browser asks the node.
  part.map.hall = { map, plan, look };

  const own = (seat) => (mine.has(seat) ? "held" : chosen.has(seat) ? "chosen" : "");

  // ---------------------------------------------------------------------------------------------- choosing
  function pick(seat) {
    panel.quiet();
    if (mine.has(seat)) return voice.say(words.text("said.is-held", { seat: names.place(seat) }), "pick");
    if (chosen.delete(seat)) {
      voice.say(words.text("said.dropped", { seat: names.place(seat), n: chosen.size }), "pick");
      return show();
    }
    if (statusOf(bytes[seat]) !== FREE) return voice.say(words.text("said.is-taken", { seat: names.place(seat) }), "pick");
    if (phase !== "open") return notOpen();
    if (chosen.size + mine.size >= facts.max) {
      return panel.notice(words.text("problem.limit-reached.title"), words.text("problem.limit-reached.text", { n: facts.max }), [], "hint");
    }
    chosen.add(seat);
    voice.say(words.text("said.chosen", { seat: names.place(seat), price: names.money(names.price(tierOf(bytes[seat]))), n: chosen.size }), "pick");
    return show();
  }

  function take(seats) {
    for (const seat of seats) if (statusOf(bytes[seat]) === FREE && chosen.size + mine.size < facts.max) chosen.add(seat);
    map.show([...chosen]);
    show();
  }

  function clear() {
    chosen.clear();
    voice.say(words.text("said.cleared"), "pick");
    show();
    part["best-go"].focus({ preventScroll: true });
  }

  /** Others were faster: what is no longer free leaves the choice, with words and a way on. */
  function loseTaken() {
    if (deals.busy) return;
    for (const seat of [...chosen]) {
      if (statusOf(bytes[seat]) === FREE) continue;
      chosen.delete(seat);
      if (!mine.has(seat)) dropped.push(seat);
    }
    if (!dropped.length) return;
    const lost = dropped.splice(0);
    deals.offerInstead(lost, "problem.just-taken");
    show();
  }

  function standing(section) {
    const row = part["standing-list"].querySelector(`[data-section="${section.index}"]`);
    if (row) part.standing.open = true;
    row?.scrollIntoView({ block: "nearest" });
    row?.querySelector("input").focus();
  }

  function lookWithin(section) {
    within = section && section.kind !== "standing" ? section : null;
    panel.within(within);
    if (within && counts) map.showSection(within);
    voice.say(within ? words.text("best.within", { section: within.name }) : words.text("best.everywhere"), "within");
  }

  function filter(tier) {
    if (wanted.has(tier)) wanted.delete(tier);
    else wanted.add(tier);
    if (wanted.size === facts.tiers.length) wanted.clear();
    map.renew();
    list.renew();
    figures();
    const text = wanted.size ? words.list([...wanted].map(names.tierName)) : words.text("filter.all");
    voice.say(words.text("filter.now", { tiers: text, n: (tally ?? blank).all(wants) }), "filter");
  }

  // ----------------------------------------------------------------------------------------------- showing
  function show() {
    panel.chosen([...chosen].sort((a, b) => a - b), (seat) => bytes[seat]);
    map.refresh();
    list.refresh();
    figures();
  }

  function figures() {
    const sections = plan.sections.filter(({ kind }) => kind === "standing");
    const free = (section) => (counts ? counts[section.index]?.[0] ?? 0 : (tally ?? blank).inSection(section.index));
    panel.standing(phase === "open" ? sections : [], free);
    panel.tiers(wanted, tally && !counts ? (tier) => tally.inTier(tier) : null);
    list.figures();
    season();
  }

  /** Which season of the sale it is, and what is therefore offered. */
  function season() {
    const now = clock.now(), known = counts || tally;
    const left = counts ? counts.reduce((sum, [free]) => sum + free, 0) : tally?.all() ?? 0;
    let next = "open";
    if (facts.state === "cancelled") next = "cancelled";
    else if (facts.sale_from_ms && now < facts.sale_from_ms) next = "before";
    else if (facts.sale_until_ms && now >= facts.sale_until_ms) next = "over";
    else if (known && left === 0 && mine.size === 0 && chosen.size === 0) next = "soldout";
    part.closed.hidden = next === "open";
    if (next === "before") panel.put(part["closed-clock"], words.clock(facts.sale_from_ms - now));
    part["closed-clock"].hidden = next !== "before";
    const crowded = Boolean(counts) && next === "open";
    if (part.crowded.hidden === crowded) {
      part.crowded.hidden = !crowded;
      if (crowded) voice.say(`${words.text("crowded.title")}. ${words.text("crowded.text")}`, "crowded");
    }
    if (next === phase) return;
    const opened = phase === "before" && next === "open";
    phase = next;
    main.dataset.phase = phase;
    part.best.hidden = phase !== "open";
    part.waitlist.hidden = phase !== "soldout";
    if (phase !== "open") {
      panel.put(part["closed-title"], words.text(`closed.${phase}.title`));
      panel.put(part["closed-text"], words.text(`closed.${phase}.text`, { time: facts.sale_from_text, until: facts.sale_until_text }));
      if (known) voice.say(part["closed-title"].textContent, "phase");
    } else if (opened) voice.say(words.text("said.open"), "phase");
    if (known) figures();
  }

  function notOpen() {
    if (phase === "soldout" || !phase) return;
    panel.notice(words.text(`closed.${phase}.title`), words.text(`closed.${phase}.text`, { time: facts.sale_from_text, until: facts.sale_until_text }), [], "hint");
  }

  function where(section) {
    part.where.hidden = !section;
    if (section) panel.put(part.where, `${section.name} · ${label(section).text}`);
  }

  function hover(seat, x, y) {
    part.hint.hidden = seat < 0;
    if (seat < 0) return;
    panel.put(part.hint, names.full(seat, bytes[seat], own(seat)));
    const wide = part.map.clientWidth;
    part.hint.style.transform = `translate(${Math.min(Math.max(8, x - 90), wide - 230)}px, ${y > 70 ? y - 58 : y + 22}px)`;
  }

  // ------------------------------------------------------------------------------------------------ views
  function view(name) {
    part.list.hidden = name !== "list";
    part.stage.hidden = name !== "map";
    part["as-map"].setAttribute("aria-pressed", String(name === "map"));
    part["as-list"].setAttribute("aria-pressed", String(name === "list"));
    try {
      localStorage.setItem("seats-view", name);
    } catch {
      // A browser that keeps nothing opens the map again.
    }
    list.figures();
  }
  part["as-map"].addEventListener("click", () => view("map"));
  part["as-list"].addEventListener("click", () => view("list"));
  part["skip-list"].addEventListener("click", (event) => {
    event.preventDefault();
    view("list");
    part.list.querySelector("summary")?.focus();
  });
  part["zoom-in"].addEventListener("click", () => map.zoom(1.8));
  part["zoom-out"].addEventListener("click", () => map.zoom(1 / 1.8));
  part["zoom-fit"].addEventListener("click", () => map.fit());
  let kept = "map";
  try {
    kept = localStorage.getItem("seats-view") ?? (new URLSearchParams(location.search).get("view") || "map");
  } catch {
    // As above.
  }
  view(new URLSearchParams(location.search).get("view") === "list" ? "list" : kept);

  document.documentElement.dataset.state = "ready";
  show();
  live.start();
  deals.find();
  setInterval(() => {
    season();
    deals.tick();
  }, 1000);
  // Back from the back button or from sleep: the server's clock and holds are asked for again.
  addEventListener("pageshow", ({ persisted }) => persisted && deals.find());
  document.addEventListener("visibilitychange", () => !document.hidden && deals.find());
  addEventListener("online", () => deals.find());
}
