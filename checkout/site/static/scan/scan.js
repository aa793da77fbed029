/** Scan: the page: shows what the door (door.js) says, as large as it can, and takes in what the camera or a hand gives. */

import { Ended, openDoor } from "./door.js";
import { openEye } from "./eye.js";
import { openSound } from "./sound.js";
import { openWords } from "./words.js";

const KINDS = { admitted: "go", again: "same", used: "stop", revoked: "stop", blocked: "care", unknown: "stop", forged: "stop", "other-event": "stop", unchecked: "care" };
const SHORT_MS = 2600;

const $ = (id) => document.getElementById(id);
const root = document.documentElement, tag = root.lang, event = location.pathname.split("/")[2];
const words = openWords(JSON.parse($("texts").dataset.texts), tag, {}), sound = openSound();
const verdict = $("verdict");
let door = null, isBusy = false, wake = null, timer = 0, turn = Promise.resolve();

const show = (view) => { root.dataset.view = view; };
const put = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

function clock(ms) {
  const zone = door?.about?.zone;
  return new Intl.DateTimeFormat(`${tag}-u-nu-latn`, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(zone && { timeZone: zone }) }).format(ms);
}

// ---------------------------------------------------------------------------------------------- what is so

function reason({ outcome, why, gate, gate_ms }) {
  if (outcome === "revoked" && why) return words.text(`scan.why-${why}`);
  if ((outcome === "used" || outcome === "again") && gate_ms) return gate ? words.text("scan.by", { time: clock(gate_ms), gate }) : words.text("scan.by-nobody", { time: clock(gate_ms) });
  return words.has(`scan.help-${outcome}`) ? words.text(`scan.help-${outcome}`) : "";
}

function paint() {
  const { about, offlineSince, waiting, entered, conflicts, knownAt } = door;
  if (about) {
    put("title", about.title);
    put("gate", about.gate);
    document.title = `${about.gate} · ${about.title}`;
  }
  $("line").dataset.state = offlineSince === null ? "online" : "offline";
  put("line-text", offlineSince === null ? words.text("scan.online") : words.text("scan.offline", { time: clock(offlineSince) }));
  put("count", words.number(entered));
  put("count-text", words.text("scan.counted", { n: entered }));
  put("queue", waiting ? words.text("scan.queue", { n: waiting }) : "");
  $("queue").hidden = !waiting;
  put("as-of", knownAt ? words.text("scan.as-of", { time: clock(knownAt) }) : "");
  $("conflicts").hidden = !conflicts.length;
  if (conflicts.length) {
    put("conflicts-head", words.text("scan.conflicts", { n: conflicts.length }));
    $("conflicts-list").replaceChildren(...conflicts.map((one) => {
      const item = document.createElement("li");
      const but = [words.text(`scan.${one.outcome}`), reason(one)].filter(Boolean).join(". ");
      item.textContent = words.text("scan.conflict", { number: one.number, time: clock(one.at_ms), reason: but });
      return item;
    }));
  }
}

function changed(fault) {
  if (fault instanceof Ended) leave("scan.over");
  else if (door) paint();
}

function leave(key) {
  eye.stop();
  $("video").closest(".eye").classList.remove("live");
  show("enter");
  put("enter-fault", key ? words.text(key) : "");
}

// ------------------------------------------------------------------------------------------------- answers

function tell(answer) {
  const kind = KINDS[answer.outcome], [section, row, number] = answer.place ?? [];
  verdict.dataset.kind = kind;
  verdict.dataset.outcome = answer.outcome;
  put("verdict-word", words.text(`scan.${answer.outcome}`));
  put("verdict-seat", section ? (row ? words.text("seat.place", { section, row, number }) : section) : "");
  put("verdict-who", reason(answer));
  put("verdict-why", answer.alone ? words.text("scan.alone") : "");
  put("verdict-number", answer.number ?? "");
  if (!verdict.open) verdict.showModal();
  $("next").focus();
  sound.play(kind);
  clearTimeout(timer);
  if (kind === "go" || kind === "same") timer = setTimeout(() => verdict.close(), SHORT_MS);
}

async function scan(text) {
  if (root.dataset.view !== "work") return;
  isBusy = true;
  put("said", words.text("scan.checking"));
  try {
    tell(await door.check(text));
    paint();
  } catch (fault) {
    if (!(fault instanceof Ended)) throw fault;
    leave("scan.over");
  } finally {
    isBusy = false;
    put("said", "");
  }
}

/** What a hand gives waits for its turn; what the camera sees it sees again. */
function typed(text) {
  turn = turn.then(() => scan(text));
}

const eye = openEye($("video"), (text) => {
  if (isBusy) return false;
  typed(text);
  return true;
});

async function stayAwake() {
  if (wake && !wake.released) return;
  wake = await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
}

async function open() {
  sound.wake();
  stayAwake();
  try {
    await eye.start();
    $("video").closest(".eye").classList.add("live");
    $("torch").hidden = !eye.hasTorch;
    $("turn").hidden = !eye.hasOthers;
  } catch {
    put("eye-note", words.text("scan.camera-none"));
  }
}

$("start").addEventListener("click", open);
$("turn").addEventListener("click", () => eye.turn().then(() => { $("torch").hidden = !eye.hasTorch; }));
$("torch").addEventListener("click", ({ currentTarget: button }) => {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  eye.torch(on);
});
$("sound").addEventListener("click", ({ currentTarget: button }) => {
  sound.wake();
  sound.isOn = !sound.isOn;
  button.setAttribute("aria-pressed", sound.isOn);
});
$("typed").addEventListener("submit", (submit) => {
  submit.preventDefault();
  sound.wake();
  const text = $("number").value;
  $("number").value = "";
  if (text.trim()) typed(text.trim().toUpperCase());
});
verdict.addEventListener("click", () => verdict.close());
verdict.addEventListener("close", () => {
  clearTimeout(timer);
  if (matchMedia("(pointer: fine)").matches) $("number").focus();
});
// A barcode scanner is a keyboard: what it types goes into the field, whatever has the focus, also while an answer stands.
document.addEventListener("keydown", (press) => {
  if (root.dataset.view !== "work" || press.key.length !== 1 || press.key === " " || press.ctrlKey || press.metaKey || press.altKey) return;
  if (verdict.open) verdict.close();
  if (document.activeElement !== $("number")) $("number").focus();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && wake) stayAwake(); });

// ---------------------------------------------------------------------------------------------- coming in

async function enter(token) {
  try {
    const answer = await fetch("/scan/enter", {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ event, token }),
    });
    return answer.status === 204 ? "" : answer.status === 401 ? "scan.enter-wrong" : "scan.enter-away";
  } catch {
    return "scan.enter-away";
  }
}

async function begin() {
  door ??= await openDoor(event, changed);
  if (door.about) {
    show("work");
    paint();
  }
  try {
    await door.learn();
  } catch (fault) {
    if (fault instanceof Ended) return leave("");
    if (!door.about) return leave("scan.enter-away");
  }
  show("work");
  paint();
  await door.sync();
}

$("enter").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const fault = await enter($("token").value);
  if (fault) {
    put("enter-fault", words.text(fault));
    $("token").focus();
  } else {
    $("token").value = "";
    put("enter-fault", "");
    await begin();
  }
});

const token = decodeURIComponent(location.hash.slice(1));
if (token) {
  // The token is in no address that is kept: neither in the history nor in what somebody sees over a shoulder.
  history.replaceState(null, "", location.pathname);
  const fault = await enter(token);
  if (fault) leave(fault);
  else await begin();
} else await begin();

navigator.serviceWorker?.register("/scan/sw.js", { scope: "/scan/" });
navigator.storage?.persist?.();
