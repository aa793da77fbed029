/**
 * List: the same hall in words: sections, their rows, their seats as buttons that can be pressed.
 *
 * A section's rows are made when it is opened, a row's seats when the row is; sixty thousand seats never stand in
 * the page at once. What is open is kept up to date; figures follow at most once a second.
 */

import { FREE, statusOf, tierOf } from "./deltas.js";

const FIGURES_MS = 1000;

const element = (tag, values = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...inside);
  return node;
};

/** `look` as for the map; `on` hears pick(seat), standing(section) and section(section). */
export function openList(node, plan, names, words, look, on) {
  const parts = new Map(), rows = new Map();
  let timer = 0;

  const own = (seat) => (look.mine().has(seat) ? "held" : look.chosen().has(seat) ? "chosen" : "");

  function dress(button, seat) {
    const byte = look.bytes()[seat], mine = own(seat), free = statusOf(byte) === FREE;
    const state = mine || (free ? (look.wanted(tierOf(byte)) ? "free" : "faded") : "taken");
    if (button.dataset.state === state && button.dataset.byte === String(byte)) return;
    button.dataset.state = state;
    button.dataset.byte = String(byte);
    button.style.setProperty("--tier", `var(--tier-${tierOf(byte) % 8})`);
    button.setAttribute("aria-pressed", String(Boolean(mine)));
    // A seat that is gone stays where it is, so that the focus does not fall out of the row.
    button.setAttribute("aria-disabled", String(mine === "held" || (!free && !mine)));
    button.setAttribute("aria-label", names.full(seat, byte, mine));
  }

  function seatsOf(row) {
    const box = element("div", { className: "row-seats" });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", words.text("list.row", { row: row.name }));
    const order = Array.from({ length: row.count }, (_, at) => row.first + at);
    for (const seat of order) {
      const button = element("button", { type: "button", className: "seat", textContent: plan.number(seat) });
      button.dataset.seat = seat;
      if (plan.flags[seat] & 1) button.dataset.trait = "accessible";
      dress(button, seat);
      box.append(button);
    }
    return box;
  }

  const freeIn = (row) => {
    const bytes = look.bytes();
    let free = 0;
    for (let seat = row.first; seat < row.first + row.count; seat += 1) {
      if (statusOf(bytes[seat]) === FREE && look.wanted(tierOf(bytes[seat]))) free += 1;
    }
    return free;
  };

  function rowOf(row) {
    const figure = element("span", { className: "figure" });
    const detail = element("details", { className: "row" },
      element("summary", {}, element("span", { textContent: words.text("list.row", { row: row.name }) }), figure));
    rows.set(row.index, { detail, figure, row });
    detail.addEventListener("toggle", () => {
      if (detail.open && detail.childElementCount === 1) detail.append(seatsOf(row));
    });
    return detail;
  }

  function fill(section, detail) {
    if (detail.childElementCount > 1) return;
    if (section.kind === "standing") {
      const go = element("button", { type: "button", className: "minor", textContent: words.text("list.standing") });
      go.addEventListener("click", () => on.standing(section));
      detail.append(element("p", { textContent: words.text("standing.text") }), go);
    } else detail.append(...section.rows.map(rowOf));
    figures();
  }

  for (const section of plan.sections) {
    const figure = element("span", { className: "figure" });
    const name = element("span", { className: "name", textContent: section.name });
    const detail = element("details", { className: "section" }, element("summary", {}, name, figure));
    detail.addEventListener("toggle", () => {
      if (!detail.open) return;
      if (look.counts()) {
        detail.open = false;
        on.section(section);
      } else fill(section, detail);
    });
    parts.set(section.index, { detail, figure, section });
    node.append(detail);
  }

  node.addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-seat]");
    if (button) on.pick(Number(button.dataset.seat));
  });

  /** Arrows go along a row, as fingers would. */
  node.addEventListener("keydown", (event) => {
    const button = event.target.closest("button[data-seat]");
    const step = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
    if (!button || !step || !button[step]) return;
    event.preventDefault();
    button[step].focus();
  });

  const put = (at, text) => at.textContent !== text && (at.textContent = text);

  function figures() {
    clearTimeout(timer);
    timer = 0;
    if (node.hidden) return;
    const tally = look.tally(), counts = look.counts();
    for (const { detail, figure, section } of parts.values()) {
      const tiers = counts || !tally ? [] : tally.tiers(section.index).filter(([tier]) => look.wanted(tier));
      const free = counts ? counts[section.index]?.[0] ?? 0 : tiers.reduce((sum, [, n]) => sum + n, 0);
      const lowest = names.lowest(tiers.map(([tier]) => tier));
      const left = words.text("list.free", { n: free });
      put(figure, free && lowest !== null ? words.text("list.free-from", { free: left, price: names.money(lowest) }) : left);
      detail.classList.toggle("none", free === 0);
    }
    if (counts) return;
    for (const { figure, row, detail } of rows.values()) {
      const free = freeIn(row);
      put(figure, words.text("list.free", { n: free }));
      detail.classList.toggle("none", free === 0);
    }
  }

  const soon = () => { timer ||= setTimeout(figures, FIGURES_MS); };

  function dressAll(first = 0, count = Infinity) {
    for (const { detail, row } of rows.values()) {
      if (detail.childElementCount < 2 || row.first >= first + count || row.first + row.count <= first) continue;
      for (const button of detail.lastElementChild.children) dress(button, Number(button.dataset.seat));
    }
  }

  return {
    change(first, count) {
      dressAll(first, count);
      soon();
    },
    renew() {
      dressAll();
      figures();
    },
    refresh: () => dressAll(),
    figures,
    /** Open the section and put the focus there. */
    open(section) {
      const { detail } = parts.get(section.index);
      detail.open = true;
      detail.firstElementChild.focus();
    },
  };
}
