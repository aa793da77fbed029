/**
 * Settle: tells once, when the wait is below two minutes, how this page was handled, so that the lane is settled before
 * "your turn" shows. Loaded beside the page, where the room looks at that at all; without it nothing is told, and
 * nobody waits longer for that.
 *
 * Who is asked for a check then does it before the turn; who is called and not let in looks for one (ahead.js).
 *
 * Sums and no trace leave this page (rhythm.js). A page that nobody looks at tells nothing. The place may come back in
 * another lane; the visit hears of it as it hears of another tab's.
 */

import { openMemory } from "./memory.js";
import { VERSION, listen } from "./rhythm.js";
import { backoffMs, inFragment } from "./rules.js";
import { openWire } from "./wire.js";

/** Who is next as soon as the page opens is listened to for so long, before it tells. */
const LEAST_MS = 15_000;
const TRIES = 5;

const html = document.documentElement;
const { room, prefix } = html.dataset;
const memory = openMemory(room), wire = openWire(prefix, room), heard = listen();
let tries = 0, timer = 0;

/** Whether the turn is near, as the page says itself, and somebody looks. */
const isNear = () => html.dataset.state === "almost" && !document.hidden && tries < TRIES;

async function tell() {
  timer = 0;
  const now = () => memory.place?.ticket ?? inFragment(location.hash).ticket, ticket = now();
  if (!isNear() || !ticket) return;
  tries += 1;
  const { rhythm } = heard, told = { version: VERSION, sums: rhythm.summary(), words: rhythm.words };
  const { json, status, retryAfterS } = await wire.post("rhythm", told, { "Waitroom-Ticket": ticket }).catch(() => ({}));
  if (!status || status >= 429 || json.code === "rhythm-early") return soon(backoffMs(3, retryAfterS ?? 0, Math.random()));
  tries = TRIES;
  heard.stop();
  if (json.outcome !== "noted" && now() === ticket) (await ahead()).follow(json);
}

const ahead = () => import("./ahead.js");

const soon = (afterMs) => (timer ||= setTimeout(tell, afterMs));
function look() {
  if (isNear()) soon(Math.max(0, LEAST_MS - performance.now()));
  if (html.dataset.state === "called") ahead();
}

new MutationObserver(look).observe(html, { attributeFilter: ["data-state"] });
document.addEventListener("visibilitychange", look);
look();
