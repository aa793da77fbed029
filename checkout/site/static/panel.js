/**
 * Panel: everything beside the map: best available, what is chosen, what is held and for how long, what went wrong.
 *
 * Touches the page and knows its parts by id; decides nothing. `on` hears what is pressed.
 */

const element = (tag, values = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...inside);
  return node;
};

export function openPanel(words, names, facts, clock, on) {
  const part = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
  const cards = new Map();

  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  // ------------------------------------------------------------------------------------------ steppers
  for (const box of document.querySelectorAll(".stepper")) armStepper(box);

  function armStepper(box) {
    const input = box.querySelector("input");
    box.addEventListener("click", ({ target }) => {
      const by = Number(target.closest("button")?.dataset.by ?? 0);
      if (!by) return;
      const to = Math.min(Number(input.max), Math.max(Number(input.min), (Number(input.value) || 0) + by));
      input.value = to;
      // Who presses hears the new number; who types hears it from the field itself.
      on.heard(words.text("count.now", { n: to }), "count");
    });
  }

  // ---------------------------------------------------------------------------------------------- tiers
  function tiers(wanted, free) {
    if (!part.tiers.childElementCount) {
      for (const tier of facts.tiers) {
        const chip = element("button", { type: "button", className: "chip" },
          element("i", { className: "dot" }), element("b", { textContent: tier.name }),
          element("span", { textContent: names.money(tier.price) }));
        chip.firstChild.setAttribute("aria-hidden", "true");
        chip.style.setProperty("--tier", `var(--tier-${tier.tier % 8})`);
        chip.dataset.tier = tier.tier;
        chip.addEventListener("click", () => on.tier(tier.tier));
        part.tiers.append(chip);
      }
    }
    for (const chip of part.tiers.children) {
      const tier = Number(chip.dataset.tier);
      chip.setAttribute("aria-pressed", String(wanted.size > 0 && wanted.has(tier)));
      chip.classList.toggle("out", wanted.size > 0 && !wanted.has(tier));
      chip.classList.toggle("gone", free?.(tier) === 0);
      chip.title = free ? words.text("list.free", { n: free(tier) }) : "";
    }
  }

  // ------------------------------------------------------------------------------------------ best available
  part["best-go"].addEventListener("click", (event) => {
    event.preventDefault();
    const tier = part["best-tier"].value;
    on.best(Number(part["best-count"].value) || 1, tier === "" ? null : Number(tier));
  });
  part["best-anywhere"].addEventListener("click", () => on.anywhere());

  // ----------------------------------------------------------------------------------------------- chosen
  part["hold-go"].addEventListener("click", () => on.hold());
  part["chosen-clear"].addEventListener("click", () => on.clear());

  function chosen(seats, byteOf) {
    part.chosen.hidden = seats.length === 0;
    part.main.toggleAttribute("data-chosen", seats.length > 0);
    part["chosen-list"].replaceChildren(...seats.map((seat) => {
      const tier = byteOf(seat) >> 4, traits = names.traits(seat);
      const drop = element("button", { type: "button", className: "drop", textContent: "×" });
      drop.setAttribute("aria-label", words.text("chosen.drop", { seat: names.place(seat) }));
      drop.addEventListener("click", () => on.pick(seat));
      const line = element("li", {}, element("span", { className: "what" },
        element("b", { textContent: names.place(seat) }),
        element("small", { textContent: [names.tierName(tier), ...traits].join(" · ") })),
        element("span", { className: "price", textContent: names.money(names.price(tier)) }), drop);
      line.style.setProperty("--tier", `var(--tier-${tier % 8})`);
      return line;
    }));
    const total = seats.reduce((sum, seat) => sum + (names.price(byteOf(seat) >> 4) ?? 0), 0);
    put(part["chosen-total"], words.text("chosen.total", { n: seats.length, price: names.money(total) }));
    put(part["hold-go"], words.text("chosen.hold", { n: seats.length }));
  }

  // -------------------------------------------------------------------------------------------- standing
  function standing(sections, freeOf) {
    if (part.standing.hidden && sections.length) part.standing.open = matchMedia("(min-width: 56.01rem)").matches;
    part.standing.hidden = sections.length === 0;
    put(part["standing-free"], words.text("list.free", { n: sections.reduce((sum, one) => sum + freeOf(one), 0) }));
    if (part["standing-list"].childElementCount !== sections.length) {
      part["standing-list"].replaceChildren(...sections.map((section) => {
        const row = part["standing-row"].content.firstElementChild.cloneNode(true);
        row.dataset.section = section.index;
        row.querySelector(".name").textContent = section.name;
        const input = row.querySelector("input");
        input.setAttribute("aria-label", words.text("standing.count", { section: section.name }));
        row.querySelector(".go").addEventListener("click", () => on.stand(section, Number(input.value) || 1));
        armStepper(row.querySelector(".stepper"));
        return row;
      }));
    }
    for (const row of part["standing-list"].children) {
      const section = sections.find(({ index }) => index === Number(row.dataset.section)), free = freeOf(section);
      put(row.querySelector(".figure"), words.text("list.free", { n: free }));
      row.querySelector(".go").disabled = free === 0;
    }
  }

  // ----------------------------------------------------------------------------------------------- holds
  function card(hold) {
    const node = part["hold-card"].content.firstElementChild.cloneNode(true);
    const find = (name) => node.querySelector(`.${name}`);
    find("continue").addEventListener("click", () => on.reserve(hold.hold));
    find("extend").addEventListener("click", () => on.extend(hold.hold));
    find("giveback").addEventListener("click", () => on.giveBack(hold.hold));
    return { node, find };
  }

  function holds(list) {
    part.held.hidden = list.length === 0;
    for (const [id, { node }] of cards) {
      if (list.some(({ hold }) => hold === id)) continue;
      node.remove();
      cards.delete(id);
    }
    for (const hold of list) {
      if (!cards.has(hold.hold)) {
        cards.set(hold.hold, card(hold));
        part.held.append(cards.get(hold.hold).node);
      }
      const { node, find } = cards.get(hold.hold);
      const lines = hold.seats.map((seat) => {
        const where = seat.row ? words.text("seat.place", seat) : seat.section;
        const line = element("li", {}, element("span", { className: "what" }, element("b", { textContent: where }),
          element("small", { textContent: [names.tierName(seat.tier), ...names.traits(seat.seat)].filter(Boolean).join(" · ") })),
          element("span", { className: "price", textContent: words.money(seat.price_minor, hold.currency) }));
        line.style.setProperty("--tier", `var(--tier-${seat.tier % 8})`);
        return line;
      });
      find("lines").replaceChildren(...lines);
      put(find("total"), words.text("chosen.total", { n: hold.seats.length, price: words.money(hold.total_minor, hold.currency) }));
      put(find("charged"), words.text("charged.in", { code: hold.currency }));
      // Another currency was chosen since: what is held keeps its own.
      find("kept").hidden = hold.currency === facts.currency;
      put(find("kept"), words.text("charged.kept", { code: hold.currency }));
      find("extend").hidden = !hold.extendable;
      for (const name of ["continue", "extend", "giveback"]) find(name).disabled = Boolean(hold.busy);
      node.classList.toggle("busy", Boolean(hold.busy));
    }
    tick(list);
  }

  function tick(list) {
    for (const hold of list) {
      const shown = cards.get(hold.hold), left = hold.until_ms - clock.now();
      if (!shown) continue;
      put(shown.find("remaining"), words.clock(left));
      shown.find("time").value = Math.max(0, left);
      shown.find("time").max = Math.max(shown.find("time").max, left, 1);
      shown.node.classList.toggle("late", left < 60_000);
    }
  }

  // --------------------------------------------------------------------------------------------- notices
  /** Tell what happened, and what can be done: actions are [text, act]. A notice with a fault is read out at once. */
  function notice(title, text, actions = [], kind = "fault") {
    part.notice.hidden = false;
    part.notice.dataset.kind = kind;
    put(part["notice-title"], title);
    put(part["notice-text"], text);
    part["notice-actions"].replaceChildren(...actions.map(([name, act], at) => {
      const button = element("button", { type: "button", className: at ? "minor" : "", textContent: name });
      button.addEventListener("click", act);
      return button;
    }));
    on.alarm(`${title}. ${text}`);
    part.notice.scrollIntoView({ block: "nearest" });
  }
  part["notice-close"].addEventListener("click", () => quiet(true));

  function quiet(focus = false) {
    if (part.notice.hidden) return;
    const inside = part.notice.contains(document.activeElement);
    part.notice.hidden = true;
    if (focus || inside) part.panel.focus();
  }

  return {
    part, put, tiers, chosen, standing, holds, tick, notice, quiet,
    /** Where best seats are looked for: a section that was chosen, or anywhere. */
    within(section) {
      part["best-where"].hidden = !section;
      if (section) put(part["best-section"], words.text("best.within", { section: section.name }));
    },
    busy(text) {
      part.panel.setAttribute("aria-busy", String(Boolean(text)));
      part.busy.hidden = !text;
      put(part.busy, text);
      for (const name of ["best-go", "hold-go"]) part[name].disabled = Boolean(text);
    },
    link(text) {
      part.link.hidden = !text;
      put(part.link, text);
    },
  };
}
