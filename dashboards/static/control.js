// Console: follows the server's events and brings its living parts up to date, in place; what somebody types into,
// points at or has opened stays. Where the stream does not come through it asks every two seconds instead.

const EVERY_MS = 2000;
const LONGEST_MS = 15000;
const SILENCE_MS = 20000;
const FAILURES_MOST = 3;
const COME_BACK_MS = 60000;

// ------------------------------------------------------------------------------------- the plots
// The last half hour of a room, drawn by uPlot. The table beside them has the same in numbers.

const KEPT_S = 1800;
const HEIGHT_PX = 170;
const NAMES = ["t", "waiting", "called", "admitted_per_minute", "rate", "active_sessions", "cap", "wait_low_s", "wait_high_s"];

const minutes = (seconds) => (seconds == null ? null : seconds / 60);
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

// What is drawn: label, numbers, colour's variable, and how.
const KINDS = {
  line: [["Waiting", (s) => s.waiting, "--soft"], ["Called", (s) => s.called, "--accent"]],
  rate: [["Let in", (s) => s.admitted_per_minute, "--accent"], ["Limit", (s) => s.rate, "--halt", [6, 4]]],
  inside: [["Inside", (s) => s.active_sessions, "--accent"], ["Limit", (s) => s.cap, "--halt", [6, 4]]],
  wait: [["At least", (s) => s.wait_low_s.map(minutes), "--accent"], ["At most", (s) => s.wait_high_s.map(minutes), "--soft"]],
};

class Plots {
  #root;
  #query;
  #series = null;
  #drawn = [];
  #loading = false;

  constructor(root, query) {
    this.#root = root;
    this.#query = query;
    if (!root || !globalThis.uPlot) return;
    new ResizeObserver(() => this.#fit()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build());
  }

  // Fetches the whole half hour: at the start, and after a gap.
  async load() {
    if (!this.#root || !globalThis.uPlot || this.#loading) return;
    this.#loading = true;
    try {
      const answer = await fetch(`/series${this.#query}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) return;
      this.#series = await answer.json();
      if (this.#drawn.length) this.#draw();
      else this.#build();
    } catch {
      // The next point or the next opening of the stream comes soon.
    } finally {
      this.#loading = false;
    }
  }

  add(point) {
    const series = this.#series;
    if (!series || !point || point.t == null) return;
    if (series.t.length && point.t <= series.t.at(-1)) return;
    for (const name of NAMES) series[name].push(point[name] ?? null);
    const old = series.t.findIndex((at) => at >= point.t - KEPT_S);
    if (old > 60) for (const name of NAMES) series[name].splice(0, old);
    this.#draw();
  }

  #data(kind) {
    return [this.#series.t, ...KINDS[kind].map(([, numbers]) => numbers(this.#series))];
  }

  #draw() {
    for (const [kind, plot] of this.#drawn) plot.setData(this.#data(kind));
  }

  #build() {
    if (!this.#series) return;
    for (const [, plot] of this.#drawn) plot.destroy();
    this.#root.hidden = false;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = `12px ${style.fontFamily}`;
    const axis = { stroke: colour("--soft"), font, grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false } };
    this.#drawn = [...this.#root.querySelectorAll("[data-plot]")].map((place) => {
      const kind = place.dataset.plot;
      const plot = new uPlot({
        width: Math.max(160, place.clientWidth),
        height: HEIGHT_PX,
        cursor: { points: { size: 6 }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { x: { range: (_plot, _low, high) => [high - KEPT_S, high] }, y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [
          { ...axis, space: 60, size: 30, values: (_plot, ticks) => ticks.map((at) => new Date(at * 1000).toISOString().slice(11, 16)) },
          { ...axis, size: 46, values: (_plot, ticks) => ticks.map((value) => short.format(value)) },
        ],
        series: [
          { label: "UTC", value: (_plot, at) => (at == null ? "" : new Date(at * 1000).toISOString().slice(11, 19)) },
          ...KINDS[kind].map(([label, , name, dash]) => ({
            label,
            stroke: colour(name),
            width: 1.75,
            dash,
            points: { show: false },
            spanGaps: false,
            value: (_plot, value) => (value == null ? "–" : short.format(value)),
          })),
        ],
      }, this.#data(kind), place);
      return [kind, plot];
    });
  }

  #fit() {
    for (const [, plot] of this.#drawn) {
      const width = Math.max(160, plot.root.parentElement.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height: HEIGHT_PX });
    }
  }
}

// -------------------------------------------------------------------------------------- the page

const main = document.querySelector("main");
const { room, liveCsrf } = main.dataset;
const query = room ? `?room=${encodeURIComponent(room)}` : "";
const pulse = document.getElementById("pulse");
const plots = room ? new Plots(document.getElementById("plots"), query) : null;

let stream = null;
let failures = 0;
let timer = 0;
let silence = 0;

// ------------------------------------------------------------------------------- parts, in place

function changed(field) {
  if (field.localName === "select") return [...field.options].some((one) => one.selected !== one.defaultSelected);
  return field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
}

function inUse(part) {
  const fields = part.querySelectorAll("input:not([type=hidden]), textarea, select");
  return [...fields].some((field) => changed(field) || field === document.activeElement);
}

// Shows what the page says a field holds, also where somebody had typed into it before.
function settle(field) {
  if (!changed(field)) return;
  if (field.localName === "select") for (const one of field.options) one.selected = one.defaultSelected;
  else if (field.type === "checkbox") field.checked = field.defaultChecked;
  else field.value = field.defaultValue;
}

// A link to elsewhere is another link: whoever has it under their finger must not find that it leads to another room.
function sameKind(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return false;
  return old.nodeType !== Node.ELEMENT_NODE || (old.id === fresh.id && old.getAttribute("href") === fresh.getAttribute("href"));
}

// Makes `old` like `fresh` and keeps its nodes: focus, pointer, scrolling and what is open stay where they are.
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const keptOpen = old.localName === "details" && old.open;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !(keptOpen && name === "open")) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const there = before[index];
    if (!there) old.append(document.importNode(node, true));
    else if (sameKind(there, node)) morph(there, node);
    else there.replaceWith(document.importNode(node, true));
  });
  for (const node of before.slice(after.length)) node.remove();
  if (old.matches("input:not([type=hidden]), textarea, select")) settle(old);
}

function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const paper of page.querySelectorAll("input[name=csrf]")) if (!paper.value) paper.setAttribute("value", liveCsrf);
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const part = document.querySelector(`[data-live="${CSS.escape(fresh.dataset.live)}"]`);
    if (part && !inUse(part) && part.outerHTML !== fresh.outerHTML) renew(part, fresh);
  }
  return page.title;
}

// Where what had the focus was put in anew, the focus goes to what has its name now.
function renew(part, fresh) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? focused.id || focused.getAttribute("href") : "";
  morph(part, fresh);
  if (!place || focused.isConnected) return;
  (document.getElementById(place) ?? part.querySelector(`[href="${CSS.escape(place)}"]`))?.focus({ preventScroll: true });
}

// Puts the tiles of the overview into their order: what alarms comes first. Rooms come and go.
function arrange(order, parts) {
  const list = document.getElementById("overview");
  if (!list && !room && order?.length) return location.reload(); // the first room was made
  if (!list || !order) return;
  const tiles = new Map([...list.children].map((tile) => [tile.dataset.live, tile]));
  if (order.join() === [...tiles.keys()].join()) return;
  for (const key of order) {
    if (!tiles.has(key) && parts[key]) list.insertAdjacentHTML("beforeend", parts[key]);
    else if (tiles.has(key)) list.append(tiles.get(key));
    tiles.delete(key);
  }
  for (const gone of tiles.values()) gone.remove();
}

function name(title) {
  if (title && document.title !== title) document.title = title;
}

function say(word, text) {
  if (pulse.className === `pulse ${word}` && pulse.textContent === text) return;
  pulse.className = `pulse ${word}`;
  pulse.textContent = text;
}

// ------------------------------------------------------------------------------------- the stream

function hush() {
  clearTimeout(silence);
  silence = setTimeout(() => { say("lost", "Connection lost, trying again"); follow(); }, SILENCE_MS);
}

function stop() {
  clearTimeout(silence);
  clearTimeout(timer);
  stream?.close();
  stream = null;
}

function follow() {
  stop();
  if (document.hidden) return;
  stream = new EventSource(`/events${query}`);
  hush();
  stream.addEventListener("open", () => { hush(); plots?.load(); });
  stream.addEventListener("now", (event) => {
    hush();
    failures = 0;
    const said = JSON.parse(event.data);
    name(said.title);
    arrange(said.order, said.parts);
    show(Object.values(said.parts).join(""));
    plots?.add(said.point);
    say("live", "Live");
  });
  // The server is there, and waits for its store: what is shown is old.
  stream.addEventListener("still", () => { hush(); say("lost", "No new numbers: these are old"); });
  stream.addEventListener("gone", () => { stop(); location.assign("/"); });
  stream.addEventListener("error", () => {
    failures += 1;
    if (failures > 1) say("lost", "Connection lost, trying again");
    // The browser tries again by itself, except after an answer that is no stream; then, or when it goes on, we ask.
    if (stream?.readyState === EventSource.CLOSED || failures >= FAILURES_MOST) { stop(); look(0, performance.now()); }
  });
}

async function look(missed, since) {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch(`/live${query}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.status === 401) return location.assign("/login");
    if (answer.status === 404) return location.assign("/");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    const tiles = [...new DOMParser().parseFromString(text, "text/html").querySelectorAll("#overview > *")];
    if (!room) arrange(tiles.map((tile) => tile.dataset.live), Object.fromEntries(tiles.map((tile) => [tile.dataset.live, tile.outerHTML])));
    name(show(text));
    plots?.load();
    missed = 0;
    say("live", "Live");
  } catch {
    missed += 1;
    if (missed > 1) say("lost", "Connection lost, trying again");
  }
  if (missed === 0 && performance.now() - since > COME_BACK_MS) { failures = FAILURES_MOST - 1; return follow(); }
  timer = setTimeout(look, Math.min(LONGEST_MS, EVERY_MS * 2 ** Math.min(missed, 4)), missed, since);
}

// --------------------------------------------------------------------------------- explanations

// Escape takes away what is explained at the moment, without moving the pointer or the focus, until one of them moves on.
const dismissed = new Set();
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const tip of document.querySelectorAll(".tip:hover, .tip:focus-within")) dismissed.add(tip);
  if (dismissed.size) document.body.dataset.dismissed = "yes";
});
function moved(event) {
  if (!dismissed.size || dismissed.has(event.target.closest?.(".tip"))) return;
  dismissed.clear();
  delete document.body.dataset.dismissed;
}
addEventListener("focusin", moved);
// A browser also tells of a pointer that rests while the page moves below it.
addEventListener("pointermove", (event) => { if (event.movementX || event.movementY) moved(event); });

addEventListener("visibilitychange", () => (document.hidden ? stop() : follow()));
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
// The address after a press tells what was done, or is that of the form; a reload should do neither again.
if (location.pathname !== "/" || location.search.includes("done=")) history.replaceState(null, "", `/${query}`);
say("live", "Live");
follow();
