/**
 * Ahead: what follows from a rhythm that was told: another lane, or a check before the turn. Loaded for whom it concerns,
 * and for who is called, because a check may be first.
 *
 * The device works beside the page, or the page's own link to the check shows. Whoever comes to the turn without it is
 * led to the check, and goes in after it. Whatever fails here leaves the check to be done there.
 */

import { openMemory } from "./memory.js";
import { inFragment } from "./rules.js";
import { openWire } from "./wire.js";

const html = document.documentElement, link = document.getElementById("prove");
const { room, prefix } = html.dataset;
const memory = openMemory(room), wire = openWire(prefix, room);
/** So long after being called a page asks whether a check is first, and so often at most. */
const STANDS_MS = 2500;
const LOOKS = 3;
let asked = "", working = false, standing = 0, looks = 0;

const ticket = () => memory.place?.ticket ?? inFragment(location.hash).ticket;
const post = (act, body) => wire.post(act, body, { "Waitroom-Ticket": ticket() }).catch(() => ({ json: {} }));

/** Solve a challenge beside the page; tells what came of it. */
async function work() {
  const { json } = await post("challenge", { way: "work" });
  if (json.outcome !== "issued") return json.outcome;
  const { challenge, tries_most: most } = json, begun = performance.now();
  const worker = new Worker(import.meta.url.replace("ahead.js", "solve.js"), { type: "module" });
  const solution = await new Promise((resolve) => {
    worker.onerror = () => resolve(null);
    worker.onmessage = ({ data }) => data.over && resolve(data.solution);
    worker.postMessage({ parameters: challenge.parameters, most });
  }).finally(() => worker.terminate());
  if (!solution) return "";
  const solved = { challenge, solution: { ...solution, time: Math.round(performance.now() - begun) } };
  const { json: told } = await post("challenge/answer", { way: "work", answer: btoa(JSON.stringify(solved)) });
  return told.outcome;
}

/** The page hides its link with every step; it stays for who is asked. */
function offer() {
  if (asked && link?.hidden) link.hidden = false;
}

/** The place waits in another lane now: every tab keeps the new ticket, this one's visit included. */
function moved({ ticket, lane }) {
  const { place } = memory;
  if (place) {
    memory.place = { ...place, ticket, lane };
    // Whoever wants a message is told by the place's own lane.
    if (memory.asked) import("./remind.js").then(({ askAnew }) => askAnew(wire, memory, ticket)).catch(() => {});
    dispatchEvent(new StorageEvent("storage", { key: memory.name("place") }));
  } else {
    // Nothing can be kept here: the address has the place, and a visit begins with that.
    history.replaceState(null, "", `#ticket=${ticket}`);
    location.reload();
  }
}

/** A check comes before the turn. */
async function check(way) {
  if (way === "prove") {
    working = true;
    const done = await work().catch(() => "");
    working = false;
    if (["lifted", "not-needed"].includes(done)) return;
  }
  asked = way;
  if (link) new MutationObserver(offer).observe(link, { attributeFilter: ["hidden"] });
  offer();
}

/** Do what the server answered. */
export function follow(told) {
  if (told.outcome === "slowed") moved(told);
  else if (told.outcome === "asked") check(told.way);
}

/** The turn is here, and nobody was let in: where a check is asked for, it is next. */
async function stand() {
  standing = 0;
  if (html.dataset.state !== "called" || document.hidden || working || !link || !ticket()) return;
  looks += 1;
  if (asked || (await post("challenge", { way: "work" })).json.asked) link.click();
}

function look() {
  if (html.dataset.state === "called" && looks < LOOKS) standing ||= setTimeout(stand, STANDS_MS);
}

new MutationObserver(look).observe(html, { attributeFilter: ["data-state"] });
document.addEventListener("visibilitychange", look);
look();
