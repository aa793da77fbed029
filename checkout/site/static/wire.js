/**
 * Wire: what is asked of the shop, its clock, and keys that make a repeated request the same request.
 */

const PATIENCE_MS = 12_000;

/** The server's clock, carried by a counter that no clock change touches, and learnt anew from each answer that tells. */
export function makeClock(nowMs) {
  let offset = nowMs - performance.now();
  return {
    now: () => performance.now() + offset,
    /** What an answer told is as old as its way here: half of what it took is the best guess. */
    learn(toldMs, tookMs = 0) {
      if (toldMs) offset = toldMs + tookMs / 2 - performance.now();
    },
  };
}

/** 22 letters that nobody guesses. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Speak with one event's API. */
export function openWire(base, clock) {
  /** Ask once. Throws only when nothing came back at all. */
  async function ask(method, path, body, key) {
    const abort = new AbortController(), since = performance.now();
    const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    try {
      const answer = await fetch(base + path, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store", credentials: "same-origin", signal: abort.signal,
      });
      const text = await answer.text();
      let json = null;
      try {
        json = JSON.parse(text);
      } catch {
        // Not the shop's own answer: a proxy's page, or the waiting room's.
      }
      clock.learn(json?.now_ms, performance.now() - since);
      return {
        status: answer.status, ok: answer.ok && (json !== null || answer.status === 204), json: json ?? {},
        code: json?.code ?? (answer.ok && json === null && answer.status !== 204 ? "not-the-shop" : ""),
        retryAfterS: Number(answer.headers.get("Retry-After")) || json?.retry_after_s || 0,
      };
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Ask until there is an answer that stands, under one key, so that what was done is done once. After some tries the
   * last failure is told: null for a lost answer. `delayed` hears before each further try.
   */
  async function insist(method, path, body, key, delayed = () => {}, tries = 4) {
    let answer = null;
    for (let at = 0; at < tries; at += 1) {
      if (at) {
        delayed(at);
        await wait(Math.max((answer?.retryAfterS ?? 0) * 1000, 600 * 2 ** (at - 1)) * (0.8 + Math.random() * 0.4));
      }
      try {
        answer = await ask(method, path, body, key);
      } catch {
        answer = null;
      }
      const again = !answer || answer.status >= 500 || answer.status === 429 || answer.code === "key-in-flight";
      if (!again) return answer;
    }
    return answer;
  }

  return {
    base, insist,
    get: (path) => ask("GET", path).catch(() => null),
  };
}
