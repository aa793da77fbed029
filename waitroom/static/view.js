/**
 * View: puts a model (model.js) on the page; touches only what changed, and speaks rarely.
 */

import { isTurn } from "./model.js";
import { worthSaying } from "./rules.js";

/** Open the page's own document. */
export function openView(clock, words) {
  const html = document.documentElement;
  const part = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let now = { state: html.dataset.state, rows: () => [] }, shown = null, frame = 0, heard = null;

  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
    node.hidden = text === "";
  };

  /** Let the numeral run between two real values; it only ever counts down. */
  function count(to) {
    cancelAnimationFrame(frame);
    const from = shown;
    shown = to;
    if (from === null || to >= from || calm.matches || document.hidden) return put(part.value, words.number(to));
    const begin = performance.now();
    const step = (at) => {
      const share = Math.min(1, (at - begin) / 900);
      put(part.value, words.number(Math.round(to + (from - to) * (1 - share) ** 3)));
      if (share < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return undefined;
  }

  function figure({ ahead, clock: counting, unit }) {
    part.figure.hidden = !counting && !ahead;
    part.figure.dataset.kind = counting ? "clock" : "people";
    if (counting) {
      cancelAnimationFrame(frame);
      shown = null;
      tick();
      put(part.unit, words.text(counting.unit));
    } else if (ahead) {
      part.figure.dataset.size = String(words.number(ahead).length);
      count(ahead);
      put(part.unit, unit);
    } else shown = null;
  }

  function tick() {
    if (!now.clock) return;
    const left = words.clock(now.clock.untilMs - clock.now());
    put(part.value, left);
    if (isTurn(now.state)) document.title = `${left} · ${now.title}`;
  }

  /** Fill a list anew when its texts changed. */
  function fill(node, texts, make) {
    const key = JSON.stringify(texts);
    if (node.dataset.texts === key) return;
    node.dataset.texts = key;
    node.hidden = texts.length === 0;
    node.replaceChildren(...texts.map(make));
  }
  const element = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });
  const facts = () =>
    fill(part.facts, now.rows(clock.now()), ([term, value]) => {
      const row = document.createElement("div");
      row.append(element("dt", term), element("dd", value));
      return row;
    });

  function say(text, how = "soon") {
    part[how === "now" ? "alarm" : "said"].textContent = text;
  }

  function announce(model) {
    const next = { state: model.state, text: model.spoken, tenth: model.tenth, atMs: performance.now() };
    const how = worthSaying(heard, next);
    if (!how) return;
    // The first sight is read by whoever opens the page; a live region would only say it twice.
    if (heard) say(model.spoken, how);
    heard = next;
  }

  setInterval(() => {
    tick();
    if (now.ticks) facts();
  }, 1000);

  return {
    show(model) {
      const focused = document.activeElement;
      now = model;
      now.ticks = Boolean(model.rows(clock.now()).length);
      html.dataset.state = model.state;
      html.dataset.beat = html.dataset.beat === "0" ? "1" : "0";
      document.title = model.title;
      put(part.stage, model.stage);
      figure(model);
      put(part.headline, model.headline);
      part.headline.classList.toggle("unseen", model.bare && (Boolean(model.ahead) || Boolean(model.clock)));
      put(part.detail, model.detail);
      fill(part.notes, model.notes, (text) => element("p", text));
      put(part.message, model.message);
      part.organiser.hidden = !model.message;
      facts();
      part.track.hidden = model.way === undefined;
      if (model.way !== undefined) {
        part.track.style.setProperty("--way", model.way.toFixed(4));
        part.track.setAttribute("aria-valuenow", String(Math.floor(model.way * 100)));
        part.track.setAttribute("aria-valuetext", model.wayText);
      }
      part.keeping.hidden = part.aids.hidden = part.leave.hidden = part.receipt.hidden = !model.keeps;
      if (part.remind) part.remind.hidden = isTurn(model.state);
      put(part.again, model.again);
      part.more.hidden = !model.more;
      if (part.prove) part.prove.hidden = !model.prove;
      part.onward.hidden = !model.href;
      if (model.href) part.onward.href = model.href;
      part.proof.hidden = !model.draw;
      if (model.draw) {
        const pending = words.text("proof.pending");
        put(part.level, words.text(`level.${(model.draw.level ?? "C").toLowerCase()}`));
        for (const field of ["commitment", "root", "seed"]) put(part[`draw-${field}`], model.draw[field] || pending);
        put(part["draw-number"], String(model.number ?? pending));
        put(part["draw-rank"], String(model.rank ?? pending));
      }
      if (focused !== document.body && focused?.closest?.("[hidden]")) part.headline.focus();
      announce(model);
    },
    /** The line at the top: the connection. A fault has a sentence, all well has a quiet one or none. */
    link(text, fault = false) {
      const over = !fault && html.dataset.link === "fault";
      put(part.link, text);
      html.dataset.link = fault ? "fault" : "";
      // Offline and away are states, and have been said as such.
      if (fault && !["offline", "away"].includes(now.state) && text) say(text);
      else if (over) say(words.text("said.back"));
    },
    say,
    get state() { return now.state; },
    part,
  };
}
