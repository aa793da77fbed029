// Control page: fetches its changing parts every two seconds and replaces those that differ.
// A part in which somebody is typing is left alone; its form then names the version that they saw.

const EVERY_MS = 2000;
const LONGEST_MS = 15000;

const room = document.querySelector("main").dataset.room;
const pulse = document.getElementById("pulse");
const seen = new Map();
let failures = 0;
let timer = 0;

function changed(field) {
  if (field.localName === "select") return [...field.options].some((one) => one.selected !== one.defaultSelected);
  return field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
}

function inUse(part) {
  const fields = part.querySelectorAll("input:not([type=hidden]), textarea, select");
  return [...fields].some((field) => changed(field) || field === document.activeElement);
}

function replace(part, fresh) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? focused.id || focused.getAttribute("href") : "";
  if (part.localName === "details") fresh.open = part.open || fresh.open;
  const scrolled = part.querySelector("ul")?.scrollLeft ?? 0;
  part.replaceWith(fresh);
  const list = fresh.querySelector("ul");
  if (list) list.scrollLeft = scrolled;
  if (place) (document.getElementById(place) ?? fresh.querySelector(`[href="${CSS.escape(place)}"]`))?.focus({ preventScroll: true });
}

function show(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  if (page.title && document.title !== page.title) document.title = page.title;
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const name = fresh.dataset.live;
    const part = document.querySelector(`[data-live="${name}"]`);
    const html = fresh.outerHTML;
    if (!part || seen.get(name) === html || inUse(part)) continue;
    seen.set(name, html);
    if (part.outerHTML !== html) replace(part, document.importNode(fresh, true));
  }
}

function say(word, text) {
  if (pulse.className === `pulse ${word}` && pulse.textContent === text) return;
  pulse.className = `pulse ${word}`;
  pulse.textContent = text;
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch(`/live?room=${encodeURIComponent(room)}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.status === 401) return location.assign("/login");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.text());
    failures = 0;
    say("live", "Live");
  } catch {
    failures += 1;
    if (failures > 1) say("lost", "Connection lost, trying again");
  }
  timer = setTimeout(look, Math.min(LONGEST_MS, EVERY_MS * 2 ** Math.min(failures, 4)));
}

document.addEventListener("visibilitychange", look);
// The address after a press tells what was done, or is that of the form; a reload should do neither again.
if (location.pathname !== "/" || location.search.includes("done=")) history.replaceState(null, "", `/?room=${encodeURIComponent(room)}`);
say("live", "Live");
look();
