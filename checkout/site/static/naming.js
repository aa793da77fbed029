/**
 * Naming: what a seat is called and costs, in full for who listens and short for who looks. Pure but for the words.
 */

import { FREE, statusOf, tierOf } from "./deltas.js";
import { ACCESSIBLE, COMPANION, RESTRICTED } from "./plan.js";

export function openNames(words, facts, plan) {
  const tiers = new Map(facts.tiers.map((tier) => [tier.tier, tier]));
  const price = (tier) => tiers.get(tier)?.price ?? null;
  const money = (minor) => (minor === null ? words.text("price.unknown") : words.money(minor, facts.currency));

  function traits(seat) {
    const flags = plan.flags[seat], found = [];
    if (flags & ACCESSIBLE) found.push(words.text("trait.accessible"));
    if (flags & COMPANION) found.push(words.text("trait.companion"));
    if (flags & RESTRICTED) found.push(words.text("trait.restricted"));
    return found;
  }

  /** Where a seat is: "Stalls, row F, seat 12"; a place to stand has its section alone. */
  function place(seat) {
    const row = plan.rowAt(seat), section = plan.sections[plan.sectionOf[seat]].name;
    return row ? words.text("seat.place", { section, row: row.name, number: plan.number(seat) }) : section;
  }

  return {
    price, money, traits, place,
    tierName: (tier) => tiers.get(tier)?.name ?? "",
    /** Where, for how much, and whether it is to be had. `own` is "chosen", "held" or empty. */
    full(seat, byte, own = "") {
      const state = own || (statusOf(byte) === FREE ? "free" : "taken");
      const said = [place(seat)];
      if (state !== "taken") said.push(money(price(tierOf(byte))));
      return [...said, ...traits(seat), words.text(`state.${state}`)].join(", ");
    },
    /** The lowest price among tiers; null where none is known. */
    lowest(list) {
      const known = list.map(price).filter((minor) => minor !== null);
      return known.length ? Math.min(...known) : null;
    },
  };
}
