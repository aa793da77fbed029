/**
 * The seat page: a fan looks at the hall, picks seats or has the best found, and holds them.
 *
 * ES modules without a build step, nothing from elsewhere; what they need stands in the attributes of <main>: data-facts
 * (JSON), data-words (the texts' address). Each module is one idea:
 *
 *   deltas  a copy of the map follows the server's (pure)     live    snapshot and stream
 *   plan    where seats are, what is nearest (pure)           map     the hall on a canvas, moved by hand and keys
 *   camera  what is seen of it (pure)                         painter pictures of seats; scenery: all around them
 *   naming  what a seat is called                             list    the same hall in words
 *   wire    the shop's API and its clock                      panel   what stands beside the map
 *   deals   hold, more time, give back, reserve               visit   what happens when
 */

import { visit } from "./visit.js";
import { openWords } from "./words.js";

const main = document.getElementById("main");
const facts = JSON.parse(main.dataset.facts);

/** Fetch until it is there: a page that half loaded helps nobody. */
async function insist(load) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await load(tries);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, Math.min(20, 2 ** tries) * 1000));
    }
  }
}

const layout = insist(async () => {
  const answer = await fetch(facts.layout);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
});
// A module that failed to load is remembered as failed, so each try has its own address.
const texts = insist(async (tries) => (await import(main.dataset.words + (tries ? `?again=${tries}` : ""))).default);

visit(openWords(await texts, document.documentElement.lang, facts.money, facts.decimals), facts, await layout);
