/**
 * Wire: what is asked of the server, the server's clock, and whether an answer can be believed.
 */

import { signedPart } from "./rules.js";

/**
 * The server's clock, carried by a counter that no clock change touches. Caches only ever make an answer older,
 * so each date is a time that has passed for certain, and the latest of them counts.
 */
export function makeClock() {
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
export function openWire(prefix, room) {
  const base = `${prefix}r/${room}`;
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
      keys.set(kid, await crypto.subtle.importKey(
        "jwk", { kty, crv, x, y }, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"],
      ));
    }
  }

  return {
    base,
    get: (what, headers = {}) => ask(`${base}/${what}`, { headers }),
    post: (what, json, headers = {}) =>
      ask(`${base}/${what}`, {
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
