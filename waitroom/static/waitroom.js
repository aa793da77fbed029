/**
 * The waiting page: keeps a fan's place, tells it honestly, and claims the turn by itself.
 *
 * One module, no build step, nothing loaded from elsewhere. It asks for a place once (POST), then reads the
 * public status document, works out rank, people ahead and wait by itself, and asks again the more rarely the
 * farther the turn is away. Everything it needs stands in the attributes of <html>: room, prefix, target.
 *
 * Sections: words (all texts) · rules (pure; tests/waitroom/js) · memory (this browser) · wire (the server) ·
 * view (the page) · visit (what happens when). The rules are those of waitroom/wait.py, standing.py and draw.py,
 * held together by tests/vectors/*.json.
 */

// ------------------------------------------------------------------------------------------------ words

export const WORDS = {
  many: (n) => new Intl.NumberFormat(language()).format(n),
  ahead: (n) => (n === 1 ? "person ahead of you" : "people ahead of you"),
  nth(n) {
    const ends = { one: "st", two: "nd", few: "rd", other: "th" };
    return `${WORDS.many(n)}${ends[new Intl.PluralRules("en", { type: "ordinal" }).select(n)]}`;
  },
  moment: (ms) =>
    new Intl.DateTimeFormat(language(), {
      weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    }).format(ms),
  untilOpens: "until the waiting room opens",
  untilStarts: "until the line starts to move",
  minute: "1 minute",
  minutes: (n) => `${n} minutes`,
  hours: (n) => `${n} hours`,
  about: (span) => `about ${span}`,
  aboutTo: (low, high) => `about ${low} to ${high}`,
  lessThan: (span) => `less than ${span}`,
  aMinute: "a minute",
  manyHours: "many hours",
  moreThanADay: "more than a day",
  again: "Try again",
  newPlace: "Take a new place",
  saved: "Your place is saved",
  offline: "You are offline. Your place is safe, and we go on as soon as you are back.",
  away: "The waiting room does not answer at the moment. Your place is safe; we keep trying.",
  awayNoPlace: "The waiting room does not answer at the moment. We keep trying, you need not reload.",
  unverified: "The last answer could not be verified, so we do not trust it. Your place is safe; we keep trying.",
  waitUnknown: "How long it will take cannot be told yet.",
  facts: {
    drawn: "Drawn place", arrived: "You came as", speed: "Moving at", gone: "Since you came", starts: "Starts in",
  },
  ofAll: (n, all) => `${WORDS.nth(n)} of ${WORDS.many(all)}`,
  perMinute: (n) => `${WORDS.many(n)} a minute`,
  hadTurn: (n) => `${WORDS.many(n)} had their turn`,
  progress: (gone, from) => `${WORDS.many(gone)} of ${WORDS.many(from)} people ahead of you had their turn`,
  days: (n) => (n === 1 ? "1 day" : `${WORDS.many(n)} days`),
  title: { ahead: (n, name) => `${WORDS.many(n)} ahead · ${name}`, other: (stage, name) => `${stage} · ${name}` },
  states: {
    loading: () => ({ stage: "Waiting room", headline: "Finding your place…" }),
    joining: () => ({ stage: "Waiting room", headline: "Getting you a place…" }),
    before: (m) => ({
      stage: "Not open yet",
      headline: m.opens ? "You are early. That is fine." : "This line is not open yet",
      detail: m.opens
        ? `The waiting room opens on ${WORDS.moment(m.opens)}. Keep this page open: you get a place by itself.`
        : "Keep this page open: as soon as it opens you get a place by itself.",
    }),
    gathering: (m) => ({
      stage: "You are in",
      headline: "Everyone here now has the same chance",
      detail:
        `Places are drawn at random shortly before the start${m.starts ? ` on ${WORDS.moment(m.starts)}` : ""}. ` +
        "Coming earlier or reloading makes no difference.",
    }),
    drawing: () => ({
      stage: "You are in",
      headline: "The places are being drawn…",
      detail: "This takes a minute or two. Nothing to do: your place appears here.",
    }),
    drawn: (m) => ({
      stage: "The draw is done",
      headline: m.ahead ? "" : "You are at the very front",
      detail: m.wait ? `Your turn comes in ${m.wait}.` : "The line starts to move soon.",
    }),
    lined: (m) => ({
      stage: "You are in line",
      headline: m.ahead ? "" : "You are at the very front",
      detail: m.wait
        ? `First come, first served. Your turn comes in ${m.wait}.`
        : "First come, first served. The line starts to move soon.",
    }),
    waiting: (m) => ({
      stage: "You are in line",
      headline: m.ahead ? "" : "You are next",
      detail: m.wait ? `Your turn comes in ${m.wait}.` : WORDS.waitUnknown,
    }),
    called: () => ({ stage: "It is your turn", headline: "Opening the door…" }),
    next: () => ({
      stage: "It is your turn",
      headline: "You are at the door",
      detail: "The site is letting people in one by one. Nothing to do, we keep asking.",
    }),
    admitted: () => ({ stage: "It is your turn", headline: "Welcome, come in", detail: "We are taking you on." }),
    open: () => ({ stage: "No waiting", headline: "The way is free", detail: "We are taking you on." }),
    paused: (m) => ({
      stage: "On hold",
      headline: m.ahead === null ? "The line stands still for a moment" : "",
      detail: "The line stands still for a moment, for everybody. Your place is kept, and it goes on by itself.",
    }),
    full: () => ({
      stage: "Waiting room",
      headline: "The waiting room is full",
      detail: "Nobody can join at the moment. Keep this page open: we ask again by ourselves.",
    }),
    busy: () => ({
      stage: "Waiting room",
      headline: "Many people at once",
      detail: "Many people from your network are joining. We ask again by ourselves in a moment.",
    }),
    ended: () => ({
      stage: "Over",
      headline: "This line has ended",
      detail: "Thank you for your patience. There is nothing left to wait for here.",
    }),
    closing: () => ({
      stage: "Closing",
      headline: "No new places any more",
      detail: "Those who wait are still let in; the line takes nobody new.",
    }),
    used: () => ({
      stage: "Your visit is over",
      headline: "This place has been used",
      detail: "Each place lets you in once. You can take a new one at the end of the line.",
    }),
    left: () => ({
      stage: "Waiting room",
      headline: "You have left the line",
      detail: "Your place went to the next. You can take a new one at the end of the line.",
    }),
    cookies: () => ({
      stage: "It is your turn",
      headline: "Your browser keeps no cookies for this site",
      detail:
        "It was your turn, but your browser did not keep the admission. Allow cookies for this site, then try again.",
    }),
    refused: (m) => ({
      stage: "Waiting room",
      headline: "We cannot let you join",
      detail: m.reason || "Please try again later.",
    }),
  },
};

/** The page's language, in the visitor's own flavour of it where they have one (dates, digits). */
function language() {
  const own = globalThis.document?.documentElement.lang || "en";
  return globalThis.navigator?.languages?.find((tag) => tag.split("-")[0] === own) ?? own;
}

// ------------------------------------------------------------------------------------------------ rules

const K = primesRoots(64, 3);
const H0 = primesRoots(8, 2);

/** SHA-256 constants: the first 32 bits of the fractional parts of the roots of the first primes. */
function primesRoots(count, degree) {
  const words = [];
  for (let n = 2n; words.length < count; n += 1n) {
    let prime = true;
    for (let d = 2n; d * d <= n; d += 1n) if (n % d === 0n) prime = false;
    if (!prime) continue;
    // Integer root of n * 2^(32 * degree) by bisection: exact, unlike floating point.
    let low = 0n, high = n << 32n;
    while (high - low > 1n) {
      const middle = (low + high) >> 1n;
      if (middle ** BigInt(degree) <= n << BigInt(32 * degree)) low = middle; else high = middle;
    }
    words.push(Number(low & 0xffffffffn));
  }
  return Uint32Array.from(words);
}

/** SHA-256 of bytes, at once: WebCrypto is slow for hundreds of tiny hashes, and missing on plain HTTP. */
export function sha256(bytes) {
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const state = H0.slice(), w = new Uint32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] += word; });
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => out.setUint32(4 * i, word));
  return new Uint8Array(out.buffer);
}

export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** The rank drawn for an arrival number: compute_shuffled_index of Ethereum's consensus specification. */
export function drawnRank(seed, n, number, rounds) {
  const message = new Uint8Array(37);
  const view = new DataView(message.buffer);
  message.set(seed);
  let index = number;
  for (let round = 0; round < rounds; round += 1) {
    message[32] = round;
    const start = new DataView(sha256(message.subarray(0, 33)).buffer);
    const pivot = Number(start.getBigUint64(0, true) % BigInt(n));
    const flip = (pivot + n - index) % n;
    const position = Math.max(index, flip);
    view.setUint32(33, Math.floor(position / 256), true);
    const source = sha256(message);
    if ((source[(position & 255) >> 3] >> (position & 7)) & 1) index = flip;
  }
  return index;
}

let lastDrawn = { key: "" };

/** A number's rank by the document; null while the draw that includes it is still to come. */
export function rankOf(doc, number) {
  const { commitment, frozen, seed, rounds } = doc.draw;
  if (frozen === null) return commitment ? null : number;
  if (number >= frozen) return number;
  if (doc.void.some(([since, to]) => since <= number && number < to)) return frozen;
  if (!seed) return null;
  const key = `${seed}/${frozen}/${number}`;
  if (lastDrawn.key !== key) lastDrawn = { key, rank: drawnRank(fromHex(seed), frozen, number, rounds) };
  return lastDrawn.rank;
}

/** People between the lane's threshold and a rank; numbers that nobody holds do not count. */
export function peopleAhead(doc, rank, lane) {
  const serving = doc.serving[lane] ?? doc.serving.standard;
  const since = doc.draw.frozen ?? 0;
  const empty = doc.void.reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(rank, to) - Math.max(serving, from, since)), 0,
  );
  return Math.max(0, rank - serving - empty);
}

/** Where a place stands now: {state, rank, ahead}. `place` is null for who has none. */
export function look(doc, place) {
  if (doc.phase === "ended") return { state: "ended", rank: null, ahead: null };
  if (doc.phase === "idle") return { state: "before", rank: null, ahead: null };
  if (!place) return { state: doc.phase === "draining" ? "closing" : "joining", rank: null, ahead: null };
  const rank = rankOf(doc, place.number);
  if (rank === null) {
    return { state: doc.paused ? "paused" : doc.draw.frozen === null ? "gathering" : "drawing", rank, ahead: null };
  }
  const moving = doc.phase !== "gathering";
  if (moving && rank < (doc.serving[place.lane] ?? doc.serving.standard)) return { state: "called", rank, ahead: 0 };
  const ahead = peopleAhead(doc, rank, place.lane);
  if (doc.paused) return { state: "paused", rank, ahead };
  if (moving) return { state: "waiting", rank, ahead };
  return { state: doc.draw.seed ? "drawn" : "lined", rank, ahead };
}

/** Tell whether document `a` is newer than `b`. */
export const newer = (a, b) => !b || a.epoch > b.epoch || (a.epoch === b.epoch && a.version > b.version);

/** Tell whether the server forgot how far it was: a new epoch of the same run that serves less than `kept`. */
export const fellBack = (doc, kept) =>
  Boolean(kept) && doc.run === kept.run && doc.epoch > kept.epoch &&
  Object.keys(kept.serving).some((lane) => doc.serving[lane] < kept.serving[lane]);

/** Seconds at least and at most behind `ahead` people, or null when nobody can know (waitroom/wait.py). */
export function waitInterval(ahead, speed, plan, { paused = false, delayS = 0 } = {}) {
  if (paused) return null;
  let low, high;
  const planned = (ahead * 60) / plan;
  if (speed > 0) {
    const point = (ahead * 60) / speed;
    [low, high] = [point * 0.75, point * 1.35];
    if (plan > 0) {
      low = Math.max(low / 2, Math.min(low, planned));
      high = Math.min(high * 2, Math.max(high, planned));
    }
  } else if (plan > 0) [low, high] = [planned * 0.5, planned * 1.6];
  else return null;
  return { low: delayS + low, high: delayS + high };
}

/** An interval in words that promise no more than it does (waitroom/wait.py). */
export function waitWords(low, high) {
  const lowMin = low / 60, highMin = high / 60;
  if (highMin > 1440) return lowMin >= 1440 ? WORDS.moreThanADay : WORDS.manyHours;
  const scale = Math.ceil(highMin);
  const step = scale <= 20 ? 1 : scale <= 90 ? 5 : scale <= 720 ? 30 : 60;
  const from = Math.floor(lowMin / step) * step, to = Math.ceil(highMin / step) * step;
  const figure = (m) => (m <= 90 ? String(m) : `${Math.floor(m / 60)}${m % 60 ? "½" : ""}`);
  const span = (m) => (m > 90 ? WORDS.hours(figure(m)) : m === 1 ? WORDS.minute : WORDS.minutes(m));
  if (from <= 0) return WORDS.lessThan(to <= 1 ? WORDS.aMinute : span(to));
  if (from === to) return WORDS.about(span(to));
  return WORDS.aboutTo(from <= 90 && to > 90 ? span(from) : figure(from), span(to));
}

/** Shortest pause while a whole crowd waits for the same moment, in seconds. */
export const pollFloorS = (crowd) => Math.min(Math.max(crowd / 5000, 2), 60);

/** When to look again: a twentieth of the wait, within floor and cap; `u` in [0, 1) spreads the crowd. */
export function nextPollMs(etaS, capS, u, floorS = 2) {
  const pause = etaS === null ? Math.max(5 * floorS, 10) : Math.max(etaS / 20, floorS);
  return Math.round(Math.min(pause, Math.max(capS, 2)) * (0.8 + 0.4 * u) * 1000);
}

/** Pause after the n-th failure in a row; a server's Retry-After is never undercut. */
export const backoffMs = (failures, retryAfterS, u) =>
  Math.round(Math.max(retryAfterS * (1 + 0.5 * u), Math.min(60, 2 ** failures) * (0.5 + u)) * 1000);

/** Split a signed document: the bytes that were signed, and the signature. */
export function signedPart(text) {
  const at = text.lastIndexOf(',"signature":"');
  return at < 0 ? null : { signed: `waitroom-status-v1\n${text.slice(0, at)}}`, signature: text.slice(at + 14, -2) };
}

/** A span as a clock: 4:05, 1:04:05; from two days on, whole days. */
export function clockWords(ms) {
  const all = Math.max(0, Math.ceil(ms / 1000));
  if (all >= 172800) return WORDS.days(Math.floor(all / 86400));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

// ----------------------------------------------------------------------------------------------- memory

/** What this browser keeps of the room; lives on in memory where storage is forbidden. */
function openMemory(room) {
  const own = new Map();
  const name = (what) => `waitroom:${room}:${what}`;
  const read = (store, what) => {
    try {
      return globalThis[store].getItem(name(what));
    } catch {
      return own.get(what) ?? null;
    }
  };
  const write = (store, what, text) => {
    own.set(what, text);
    try {
      if (text === null) globalThis[store].removeItem(name(what));
      else globalThis[store].setItem(name(what), text);
    } catch {
      // Storage is full or forbidden: the copy in memory serves this page.
    }
  };
  return {
    placeName: name("place"),
    get place() {
      try {
        const place = JSON.parse(read("localStorage", "place"));
        return place && Number.isSafeInteger(place.number) && typeof place.run === "string" ? place : null;
      } catch {
        return null;
      }
    },
    set place(place) { write("localStorage", "place", place && JSON.stringify(place)); },
    /** The run that this browser left on purpose: a reload does not join it again. */
    get left() { return read("localStorage", "left"); },
    set left(run) { write("localStorage", "left", run); },
    /** The key of a join that was not answered yet; shared by all tabs, so that they get one place. */
    joinKey() {
      let key = read("localStorage", "join");
      if (!/^[\w-]{22}$/.test(key ?? "")) {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        key = btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
        write("localStorage", "join", key);
      }
      return key;
    },
    joined() { write("localStorage", "join", null); },
    /** How often this tab was let in within the last minute: more than twice means that no cookie is kept. */
    entries(nowMs) {
      let times = [];
      try {
        times = JSON.parse(read("sessionStorage", "entries")) ?? [];
      } catch {
        // Not ours; begin anew.
      }
      times = [...times.filter((ms) => ms > nowMs - 60_000), nowMs];
      write("sessionStorage", "entries", JSON.stringify(times));
      return times.length;
    },
    forgetEntries() { write("sessionStorage", "entries", null); },
  };
}

// ------------------------------------------------------------------------------------------------- wire

/**
 * The server's clock, carried by a counter that no clock change touches. Caches only ever make an answer older,
 * so each date is a time that has passed for certain, and the latest of them counts.
 */
function makeClock() {
  let offset = Date.now() - performance.now(), told = false;
  return {
    now: () => performance.now() + offset,
    learn(dateHeader, atMs) {
      const passed = Math.max(Date.parse(dateHeader ?? "") || 0, atMs || 0) - performance.now();
      if (!dateHeader) offset = Math.max(offset, passed);
      else offset = told ? Math.max(offset, passed) : passed;
      told ||= Boolean(dateHeader);
    },
  };
}

/** Speak with one room. Throws only when nothing came back at all. */
function openWire(prefix, room) {
  const keys = new Map();
  let keysAt = -Infinity;

  async function ask(url, { method = "GET", headers = {}, body } = {}) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 12_000);
    try {
      const answer = await fetch(url, {
        method, headers: { Accept: "application/json", ...headers }, body,
        cache: "no-cache", credentials: "same-origin", signal: abort.signal,
      });
      const text = await answer.text();
      let json = null;
      try {
        json = JSON.parse(text);
      } catch {
        // A proxy's error page; the status says enough.
      }
      return {
        status: answer.status, ok: answer.ok, text, json: json ?? {},
        retryAfterS: Number(answer.headers.get("Retry-After")) || 0,
        date: answer.headers.get("Date"),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  async function learnKeys() {
    if (performance.now() < keysAt + 30_000) return;
    keysAt = performance.now();
    const answer = await ask(`${prefix}jwks.json`);
    for (const { kid, kty, crv, x, y } of answer.json.keys ?? []) {
      if (kty !== "EC" || crv !== "P-256" || keys.has(kid)) continue;
      const key = { kty, crv, x, y };
      const algorithm = { name: "ECDSA", namedCurve: "P-256" };
      keys.set(kid, await crypto.subtle.importKey("jwk", key, algorithm, false, ["verify"]));
    }
  }

  return {
    get: (what, headers = {}) => ask(`${prefix}r/${room}/${what}`, { headers }),
    post: (what, json, headers = {}) =>
      ask(`${prefix}r/${room}/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof json === "string" ? json : JSON.stringify(json),
      }),
    /** False only for a document that is proven wrong; true also where nothing can be proven (plain HTTP). */
    async trusted(text, kid) {
      if (!globalThis.crypto?.subtle) return true;
      try {
        if (!keys.has(kid)) await learnKeys();
      } catch {
        return true;
      }
      if (!keys.size) return true;
      const part = signedPart(text);
      if (!part || !keys.has(kid)) return false;
      const raw = atob(part.signature.replace(/-/g, "+").replace(/_/g, "/"));
      return crypto.subtle.verify(
        { name: "ECDSA", hash: "SHA-256" }, keys.get(kid),
        Uint8Array.from(raw, (c) => c.charCodeAt(0)), new TextEncoder().encode(part.signed),
      );
    },
  };
}

// ------------------------------------------------------------------------------------------------- view

/** Put words and numbers on the page; touches only what changed, and speaks rarely. */
function openView(clock) {
  const html = document.documentElement;
  const part = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const name = html.dataset.name;
  let now = { state: "" }, shown = null, frame = 0, said = "", saidAt = -Infinity;

  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
    node.hidden = text === "";
  };

  /** Let the numeral run to its new value; it only ever counts down. */
  function count(to) {
    cancelAnimationFrame(frame);
    const from = shown;
    shown = to;
    if (from === null || to >= from || calm.matches || document.hidden) return put(part.value, WORDS.many(to));
    const begin = performance.now();
    const step = (at) => {
      const part1 = Math.min(1, (at - begin) / 900);
      put(part.value, WORDS.many(Math.round(to + (from - to) * (1 - part1) ** 3)));
      if (part1 < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return undefined;
  }

  function figure(model) {
    const counting = model.countdownMs !== undefined && model.countdownMs !== null;
    part.figure.hidden = !counting && !model.ahead;
    part.figure.dataset.kind = counting ? "clock" : "people";
    if (counting) {
      cancelAnimationFrame(frame);
      shown = null;
      put(part.value, clockWords(model.countdownMs - clock.now()));
      put(part.unit, model.unit);
    } else if (model.ahead) {
      part.figure.dataset.size = String(WORDS.many(model.ahead).length);
      count(model.ahead);
      put(part.unit, WORDS.ahead(model.ahead));
    } else shown = null;
  }

  function facts(rows) {
    const text = JSON.stringify(rows);
    if (part.facts.dataset.rows === text) return;
    part.facts.dataset.rows = text;
    part.facts.hidden = rows.length === 0;
    part.facts.replaceChildren(...rows.map(([term, value]) => {
      const row = document.createElement("div");
      row.append(
        Object.assign(document.createElement("dt"), { textContent: term }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      );
      return row;
    }));
  }

  function say(text, changed) {
    // A reader hears every change of state, and of the rest at most one sentence in two minutes.
    if (text === said || (!changed && performance.now() < saidAt + 120_000)) return;
    said = text;
    saidAt = performance.now();
    part.said.textContent = text;
  }

  setInterval(() => {
    if (now.countdownMs) put(part.value, clockWords(now.countdownMs - clock.now()));
    if (now.startsMs) facts(now.rows());
  }, 1000);

  return {
    show(model) {
      const changed = model.state !== now.state;
      now = model;
      const words = WORDS.states[model.state](model);
      html.dataset.state = model.state;
      put(part.stage, words.stage);
      figure(model);
      const counted = model.ahead ? `${WORDS.many(model.ahead)} ${WORDS.ahead(model.ahead)}` : "";
      put(part.headline, words.headline || counted);
      part.headline.classList.toggle("unseen", !words.headline);
      put(part.detail, words.detail ?? "");
      put(part.message, model.message ?? "");
      facts(model.rows?.() ?? []);
      part.track.hidden = model.way === undefined;
      if (model.way !== undefined) {
        part.track.style.setProperty("--way", model.way.toFixed(4));
        part.track.setAttribute("aria-valuenow", String(Math.floor(model.way * 100)));
        part.track.setAttribute("aria-valuetext", model.wayWords ?? "");
      }
      part.leave.hidden = !model.mayLeave;
      part.care.hidden = !model.mayLeave;
      put(part.again, model.mayJoin ? (["used", "left"].includes(model.state) ? WORDS.newPlace : WORDS.again) : "");
      part.onward.hidden = !model.href;
      if (model.href) part.onward.href = model.href;
      part.proof.hidden = !model.draw;
      if (model.draw) {
        for (const field of ["commitment", "root", "seed"]) put(part[`draw-${field}`], model.draw[field] || "…");
        put(part["draw-number"], model.number === undefined ? "…" : String(model.number));
      }
      document.title = model.ahead ? WORDS.title.ahead(model.ahead, name) : WORDS.title.other(words.stage, name);
      say([words.stage, words.headline || counted, words.detail, model.message].filter(Boolean).join(". "), changed);
    },
    /** The connection line at the top; a fault has a sentence, all well has a quiet one or none. */
    link(text, fault) {
      const over = !fault && html.dataset.link === "fault";
      put(part.link, text);
      html.dataset.link = fault ? "fault" : "";
      if (fault || over) say(text, true);
    },
    get state() { return now.state; },
    part,
  };
}

// ------------------------------------------------------------------------------------------------ visit

/** Run the page from here to the door. */
function visit() {
  const { room, prefix, target: given } = document.documentElement.dataset;
  const here = new URL(location.href);
  const inside = here.pathname.startsWith(prefix);
  let target = given || (inside ? here.searchParams.get("target") : here.pathname + here.search) || "/";

  const memory = openMemory(room);
  const clock = makeClock();
  const wire = openWire(prefix, room);
  const view = openView(clock);

  let kept = null; // {doc, text}: the newest document
  let place = memory.place; // {run, number, lane, ticket, epoch, from, way}
  let byHeader = false; // cookies fail: send the ticket along
  let told = 0; // the epoch that our ticket has been shown to
  let overRun = null; // the run whose end this visit has already healed
  let failures = 0;
  let timer = 0, dueAt = Infinity, step = poll, busy = false, gone = false;
  let wish = null; // what the fan's hand asked for while a step was under way

  const later = (ms, next) => {
    clearTimeout(timer);
    step = next;
    dueAt = performance.now() + ms;
    timer = setTimeout(run, ms);
  };
  const stop = () => {
    clearTimeout(timer);
    dueAt = Infinity;
  };
  const soon = (next) => {
    if (busy) wish = next;
    else later(0, next);
  };

  async function run() {
    if (busy || gone) return;
    busy = true;
    clearTimeout(timer);
    try {
      await step();
    } catch (fault) {
      // Nothing came back (TypeError, AbortError), or a fault of ours: the place is safe either way.
      if (!(fault instanceof TypeError) && fault?.name !== "AbortError") console.error(fault);
      trouble();
    } finally {
      busy = false;
      if (wish) later(0, wish);
      wish = null;
    }
  }

  const ticketHeader = () => (byHeader && place?.ticket ? { "Waitroom-Ticket": place.ticket } : {});

  // -------------------------------------------------------------------------------------- what is shown

  /** Everything that the view needs for a place in the line. */
  function model(seen, more = {}) {
    const doc = kept?.doc;
    if (!doc) return { state: seen.state, ...more };
    const { rank } = seen;
    let { ahead } = seen;
    if (ahead !== null && place) {
      // A place once shown never gets worse, and the way never runs backwards.
      const start = `${rank}/${place.lane}`;
      if (place.start !== start) Object.assign(place, { start, from: ahead, best: ahead });
      place.best = ahead = Math.min(ahead, place.best);
      place.way = Math.max(place.way ?? 0, place.from ? 1 - ahead / place.from : 0);
      memory.place = place;
    }
    const interval = ahead === null ? null : wait(doc, ahead);
    const starts = doc.phase === "gathering" && doc.starts_ms > clock.now() ? doc.starts_ms : null;
    const alone = seen.state === "gathering" || seen.state === "drawing";
    const speed = doc.speed_per_minute[place?.lane] ?? 0;
    return {
      state: seen.state, ahead, number: place?.number, draw: doc.draw.commitment ? doc.draw : null,
      wait: interval && waitWords(interval.low, interval.high),
      message: doc.message, opens: doc.opens_ms, starts: doc.starts_ms,
      countdownMs: alone && starts ? starts : null, unit: WORDS.untilStarts,
      startsMs: starts, way: place ? place.way ?? 0 : undefined,
      wayWords: place?.from ? WORDS.progress(place.from - (ahead ?? 0), place.from) : "",
      mayLeave: Boolean(place), mayJoin: false,
      rows: () => {
        const rows = [];
        const { facts } = WORDS;
        if (!place) return rows;
        if (starts && !alone) rows.push([facts.starts, clockWords(starts - clock.now())]);
        if (rank !== null && doc.draw.seed && place.number < doc.draw.frozen) {
          rows.push([facts.drawn, WORDS.ofAll(rank + 1, doc.draw.frozen)]);
        }
        rows.push([facts.arrived, WORDS.nth(place.number + 1)]);
        if (seen.state === "waiting" && speed > 0) rows.push([facts.speed, WORDS.perMinute(speed)]);
        if (ahead && place.from > ahead) rows.push([facts.gone, WORDS.hadTurn(place.from - ahead)]);
        return rows;
      },
      ...more,
    };
  }

  const show = (seen, more) => view.show(model(seen, more));
  const wellConnected = () => {
    failures = 0;
    view.link(place && !["used", "left", "ended"].includes(view.state) ? WORDS.saved : "", false);
  };

  /** Nothing usable came back: say so, keep everything, ask again later and later. */
  function trouble(retryAfterS = 0, text = "") {
    failures += 1;
    const offline = navigator.onLine === false;
    view.link(text || (offline ? WORDS.offline : place ? WORDS.away : WORDS.awayNoPlace), true);
    if (!kept) view.show({ state: "loading" });
    later(backoffMs(failures, retryAfterS, Math.random()), poll);
  }

  // ------------------------------------------------------------------------------------------- the wait

  const startDelayS = (doc) =>
    doc.phase === "gathering" && doc.starts_ms ? Math.max(0, (doc.starts_ms - clock.now()) / 1000) : 0;

  function wait(doc, ahead) {
    const lane = place?.lane ?? "standard";
    return waitInterval(ahead, doc.speed_per_minute[lane] ?? 0, doc.plan_per_minute, {
      paused: doc.paused, delayS: startDelayS(doc),
    });
  }

  function pauseMs(seen) {
    const { doc } = kept;
    const gathering = doc.phase === "gathering";
    const interval = seen.ahead === null ? null : wait(doc, seen.ahead);
    let etaS = interval ? (interval.low + interval.high) / 2 : null;
    if (seen.ahead === null && gathering && doc.starts_ms) etaS = startDelayS(doc);
    return nextPollMs(etaS, doc.poll_cap_s, Math.random(), gathering ? pollFloorS(doc.issued) : 2);
  }

  // ------------------------------------------------------------------------------------------ the steps

  async function poll() {
    if (navigator.onLine === false) return trouble();
    const answer = await wire.get("status");
    if (answer.status === 404) return refused(answer);
    const doc = answer.json;
    if (!answer.ok || !doc.serving) return trouble(answer.retryAfterS);
    if (!(await wire.trusted(answer.text, doc.kid))) return trouble(0, WORDS.unverified);
    clock.learn(answer.date, doc.at_ms);
    if (kept && fellBack(doc, kept.doc) && Math.random() < 0.1) {
      // The server lost its memory; what it signed before tells it how far it was. One page in ten is enough.
      wire.post("status", kept.text).catch(() => {});
    }
    if (newer(doc, kept?.doc)) kept = { doc, text: answer.text };
    wellConnected();
    return act();
  }

  async function act() {
    const { doc } = kept;
    if (doc.bypass) return enter(target, "open");
    if (place && place.run !== doc.run && doc.epoch > place.epoch) {
      // The room has opened anew since; yesterday's place is worth nothing.
      place = memory.place = null;
    }
    if (place?.run === doc.run && doc.epoch > place.epoch && place.number >= doc.issued && told !== doc.epoch) {
      // The line was put back and does not know of our number yet: the ticket itself is the proof.
      told = doc.epoch;
      wire.get("ticket", ticketHeader()).catch(() => {});
    }
    if (place && place.run !== doc.run && doc.phase !== "idle") {
      // A cache still shows the opening before ours.
      return later(2000 + 1000 * Math.random(), poll);
    }
    const seen = look(doc, place);
    switch (seen.state) {
      case "joining":
        return memory.left === doc.run ? hasLeft() : join();
      case "called":
        return claim();
      case "before": {
        const toOpenMs = doc.opens_ms ? doc.opens_ms - clock.now() : Infinity;
        show(seen, { countdownMs: doc.opens_ms, unit: WORDS.untilOpens });
        const spreadMs = 2000 * Math.random();
        const pause = nextPollMs(doc.opens_ms ? Math.max(0, toOpenMs / 1000) : null, 60, Math.random(), 10);
        return later(Math.min(pause, Math.max(toOpenMs, 1500) + spreadMs), poll);
      }
      case "ended":
      case "closing":
        show(seen, { mayLeave: false, way: undefined });
        return later(nextPollMs(null, 60, Math.random(), 12), poll);
      default:
        show(seen);
        return later(pauseMs(seen), poll);
    }
  }

  /** One place for all tabs: whoever holds the lock asks, the others find the answer in the memory. */
  async function join(again = false) {
    const { doc } = kept;
    if (view.state !== "full" && view.state !== "busy") view.show({ state: "joining" });
    const alone = (work) => (navigator.locks ? navigator.locks.request(memory.placeName, work) : work());
    const answer = await alone(async () => {
      const other = memory.place;
      if (!again && other?.run === doc.run) {
        place = other;
        return null;
      }
      const headers = { "Idempotency-Key": memory.joinKey(), ...ticketHeader() };
      const reply = await wire.post("join", again ? { again: true } : {}, headers);
      if (reply.ok) {
        const { run, number, lane, ticket } = reply.json;
        place = memory.place = { run, number, lane, ticket, epoch: doc.epoch, way: 0 };
        memory.left = null;
      }
      if (reply.status < 500 && reply.status !== 429) memory.joined();
      return reply;
    });
    if (!answer || answer.ok) {
      wellConnected();
      return act();
    }
    const wait = backoffMs(2, answer.retryAfterS, Math.random());
    switch (answer.json.code) {
      case "room-full":
        show({ state: "full", rank: null, ahead: null });
        return later(wait, poll);
      case "too-many-joins":
        show({ state: "busy", rank: null, ahead: null });
        return later(wait, poll);
      case "room-not-open":
        show(
          { state: "before", rank: null, ahead: null },
          { opens: answer.json.opens_ms, countdownMs: answer.json.opens_ms, unit: WORDS.untilOpens },
        );
        return later(wait, poll);
      case "room-over":
        show({ state: "ended", rank: null, ahead: null });
        return later(60_000 + wait, poll);
      default:
        return answer.status >= 500 || answer.status === 429 ? trouble(answer.retryAfterS) : refused(answer);
    }
  }

  async function claim() {
    if (view.state !== "next") show({ state: "called", rank: null, ahead: null }, { way: 1 });
    const answer = await wire.post("claim", { target }, ticketHeader());
    const { outcome, code, go, retry_after_ms: retryMs, ahead_of_you: before, poll_ms: pollMs } = answer.json;
    if (answer.status < 500 && answer.status !== 429) wellConnected();
    switch (outcome ?? code) {
      case "admitted":
        return enter(go, "admitted");
      case "next":
        show({ state: "next", rank: null, ahead: null }, { ahead: before, way: 1 });
        return later(retryMs, claim);
      case "paused":
        show({ state: "paused", rank: null, ahead: null }, { way: 1 });
        return later(retryMs, claim);
      case "waiting":
        // This worker has not yet seen the threshold that our document shows.
        return later(pollMs ?? 2000, poll);
      case "ticket-missing":
        if (!byHeader && place?.ticket) {
          byHeader = true;
          return claim();
        }
        return anew(place?.run);
      case "ticket-invalid":
      case "ticket-foreign-room":
      case "run-over":
        return anew(place?.run);
      case "ticket-used":
        view.show({ state: "used", mayJoin: true });
        view.link("", false);
        return stop();
      case "target-not-allowed":
        if (target === "/") return refused(answer);
        target = "/";
        return claim();
      default:
        return answer.status >= 500 || answer.status === 429 ? trouble(answer.retryAfterS) : refused(answer);
    }
  }

  /** The ticket is worth nothing (any more): take a new one, once. */
  function anew(run) {
    place = memory.place = null;
    byHeader = false;
    if (overRun === run) return refused({ json: {} });
    overRun = run;
    return later(0, poll);
  }

  /** Go through the door; unless this tab just did so and came back, which cookies would have prevented. */
  function enter(where, state) {
    const url = new URL(where, location.href);
    if (!/^https?:$/.test(url.protocol)) return refused({ json: {} });
    if (memory.entries(Date.now()) > 3) {
      // An open gate that still sends people here has not heard of it yet.
      if (state === "open") {
        view.show({ state });
        return later(10_000 + 10_000 * Math.random(), poll);
      }
      memory.forgetEntries();
      view.show({ state: "cookies", href: url.href, mayJoin: true });
      return stop();
    }
    gone = true;
    stop();
    view.show({ state, href: url.href, way: place ? 1 : undefined });
    view.link("", false);
    location.replace(url.href);
    return undefined;
  }

  function refused(answer) {
    view.show({ state: "refused", reason: answer.json.detail, mayJoin: true });
    view.link("", false);
    return stop();
  }

  function hasLeft() {
    view.show({ state: "left", mayJoin: true });
    view.link("", false);
    return stop();
  }

  async function leave() {
    const answer = await wire.post("leave", {}, ticketHeader());
    if (!answer.ok && answer.status !== 410 && answer.status !== 401) return trouble(answer.retryAfterS);
    memory.left = place?.run ?? null;
    place = memory.place = null;
    return hasLeft();
  }

  // ------------------------------------------------------------------------------------------- the hand

  const { leave: leaveButton, leaving, again } = view.part;
  leaveButton.addEventListener("click", () => leaving.showModal());
  leaving.addEventListener("close", () => {
    if (leaving.returnValue === "leave") soon(leave);
  });
  again.addEventListener("click", () => {
    const fresh = ["used", "left"].includes(view.state);
    overRun = null;
    if (fresh) {
      place = memory.place = memory.left = null;
      byHeader = false;
    }
    view.part.headline.focus();
    soon(fresh && kept ? () => join(true) : poll);
  });
  addEventListener("online", () => soon(poll));
  addEventListener("offline", () => view.link(WORDS.offline, true));
  document.addEventListener("visibilitychange", () => {
    // A hidden page may sleep; when it is looked at again it catches up, but never asks early.
    if (!document.hidden && performance.now() >= dueAt) run();
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    gone = false;
    soon(poll);
  });
  addEventListener("storage", (event) => {
    if (event.key !== memory.placeName) return;
    const other = memory.place;
    if (other && other.run === place?.run && other.number === place.number) return;
    place = other;
    if (!gone) soon(poll);
  });

  run();
}

if (globalThis.document?.documentElement.dataset.room) visit();
