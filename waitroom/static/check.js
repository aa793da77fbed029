/**
 * Check: the page on which somebody shows that they are there; leads back to the place by itself.
 *
 * Work is done by a worker (solve.js) and has an end that is known. A device that takes too long gives the task back for
 * an easier one, as often as it takes. A provider's script is loaded from the one address that the page's policy
 * allows; when it cannot be had, the device works instead. The ticket that comes back is the old one in a better lane.
 */

import { openMemory } from "./memory.js";
import { inFragment } from "./rules.js";
import { openWire } from "./wire.js";

/** A device that is not done by then gives the task back; the server takes it from two seconds on. */
const PATIENCE_MS = 2500;
const SCRIPT_MS = 8000;
/** So long is the last sentence shown, so that it can be heard. */
const DONE_MS = 1200;
/** The server no longer takes these, but gives a new one. */
const STALE = new Set(["challenge-expired", "challenge-spent", "challenge-forged", "challenge-malformed"]);
const NO_PLACE = new Set([
  "ticket-missing", "ticket-invalid", "ticket-foreign-room", "run-over", "challenge-foreign", "challenge-none",
]);
const STALE_MOST = 3;

const html = document.documentElement, own = html.dataset;
const part = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
const memory = openMemory(own.room), wire = openWire(own.prefix, own.room);
const fragment = inFragment(location.hash);
const byHeader = navigator.cookieEnabled === false || Boolean(fragment.ticket);
let way = own.way, stale = 0;
let turn = false; // the check was asked for before the turn; the lane stays

const ticket = () => memory.place?.ticket ?? fragment.ticket;
const headers = () => (byHeader && ticket() ? { "Waitroom-Ticket": ticket() } : {});
const post = (act, body) => wire.post(act, body, headers()).catch(() => ({ ok: false, status: 0, json: {} }));

/** Show the sentences of these states, and no others; `working` has the bar. */
function show(...states) {
  for (const node of document.querySelectorAll("[data-when]")) {
    node.hidden = !node.dataset.when.split(" ").some((state) => states.includes(state));
  }
  part.bar.hidden = !states.includes("working");
  part.again.hidden = !states.some((state) => state === "refused" || state === "trouble");
  own.check = states[0];
}

/** Where the place goes on; a ticket that is kept nowhere else travels behind the number sign. */
const back = () => own.back + (memory.lasting || !ticket() ? "" : `#ticket=${ticket()}`);

function lifted({ ticket: text, lane, number, run }, state) {
  const place = memory.place;
  if (place?.run === run && place.number === number && text) memory.place = { ...place, ticket: text, lane };
  if (text) fragment.ticket = text;
  part.back.href = back();
  show(state);
  setTimeout(() => location.replace(back()), DONE_MS);
}

/** Let a worker solve it; null when it took too long. */
function solved({ challenge, tries_most: most }) {
  const worker = new Worker(own.solver, { type: "module" });
  const begun = performance.now();
  part.bar.removeAttribute("value");
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), challenge.parameters.data.level ? PATIENCE_MS : 120_000);
    worker.onerror = () => reject(new Error("the worker failed"));
    worker.onmessage = ({ data }) => {
      if (!data.over) {
        part.bar.value = Math.min(99, (100 * data.tried) / most);
        return;
      }
      clearTimeout(timer);
      resolve(data.solution && { ...data.solution, time: Math.round(performance.now() - begun) });
    };
    worker.postMessage({ parameters: challenge.parameters, most });
  }).finally(() => worker.terminate());
}

async function work(issued) {
  const solution = await solved(issued);
  if (!solution) return begin(issued.challenge);
  part.bar.value = 100;
  return answer("work", btoa(JSON.stringify({ challenge: issued.challenge, solution })));
}

/** Load the provider's script once. */
function script() {
  const node = Object.assign(document.createElement("script"), { src: own.script, async: true });
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the provider does not come")), SCRIPT_MS);
    node.onload = resolve;
    node.onerror = () => reject(new Error("the provider cannot be loaded"));
    document.head.append(node);
  });
}

const loading = {};
async function provider(issued) {
  show("asked", ...(turn ? ["turn"] : []));
  const instead = () => {
    way = "work";
    part.widget.replaceChildren();
    return begin(null, "blocked");
  };
  try {
    await (loading.script ??= script());
    const node = document.createElement("div");
    part.widget.replaceChildren(node);
    const callback = (token) => answer(way, token);
    const more = { sitekey: own.sitekey, callback, "error-callback": instead };
    if (way === "hcaptcha") globalThis.hcaptcha.render(node, more);
    else if (way === "turnstile") globalThis.turnstile.render(node, { ...more, action: "waitroom", cData: issued.tag });
    else {
      await new Promise((resolve) => globalThis.grecaptcha.ready(resolve));
      await answer(way, await globalThis.grecaptcha.execute(own.sitekey, { action: "waitroom" }));
    }
  } catch (fault) {
    console.error(fault);
    await instead();
  }
}

/** Take a challenge; `given` is one that took too long. */
async function begin(given = null, ...also) {
  if (way === "work") show("working", ...also, ...(given ? ["slow"] : []));
  const { ok, json } = await post("challenge", { way, ...(given ? { given } : {}) });
  if (ok && json.outcome === "lifted") return lifted(json, "done");
  turn = Boolean(json.asked);
  if (ok && json.outcome === "not-needed") return lifted(json, "not-needed");
  if (!ok) return refused(json);
  way = json.way;
  if (turn) {
    part.keep.hidden = true;
    if (way === "work") show("working", "turn", ...also, ...(given ? ["slow"] : []));
  }
  try {
    return await (way === "work" ? work(json) : provider(json));
  } catch (fault) {
    console.error(fault);
    return show("trouble");
  }
}

async function answer(by, text) {
  const { ok, json } = await post("challenge/answer", { way: by, answer: text });
  return ok ? lifted(json, turn ? "passed" : "done") : refused(json);
}

function refused({ code }) {
  if (NO_PLACE.has(code)) return show("lost");
  if (code === "challenge-away" || (way !== "work" && ["challenge-doubted", "challenge-elsewhere"].includes(code))) {
    way = "work";
    part.widget.replaceChildren();
    return begin(null, "blocked");
  }
  if (STALE.has(code) && (stale += 1) < STALE_MOST) return begin();
  return show(code?.startsWith("challenge-") ? "refused" : "trouble");
}

part.again.addEventListener("click", () => {
  stale = 0;
  part.headline.focus();
  begin();
});
// The links lose what only this page knows.
for (const node of [part.back, part.instead]) {
  if (node && ticket() && (!memory.lasting || byHeader)) node.hash = `ticket=${ticket()}`;
}
begin();
