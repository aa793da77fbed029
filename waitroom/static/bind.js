/**
 * Bind: the key of this browser, to which a place is bound so that a copy of its ticket is worth nothing.
 *
 * Loaded before the page's own modules, and only in rooms that bind places. It stands between them and the network, so
 * that none of them knows of it and other rooms load not an octet more: who joins or takes a place over shows the name
 * of a key (Waitroom-Key), and the server's question for a proof is answered here (Waitroom-Proof).
 *
 * The key is made here, cannot be taken out (not extractable) and lies in IndexedDB, one for each place. Where a browser
 * has neither WebCrypto nor IndexedDB nothing is shown, and the place is bound to nothing; whoever brings a bound one
 * there hears in words why it cannot be used.
 */

const DATABASE = "waitroom-keys", STORE = "keys";
const KEEP_MS = 8 * 86_400_000;
/** A question is good for a minute; half of it is left for the way. */
const ASKED_MS = 30_000;
const CURVE = { name: "ECDSA", namedCurve: "P-256" };

const text = new TextEncoder();
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const part = (value) => base64url(text.encode(JSON.stringify(value)));
const random = () => base64url(crypto.getRandomValues(new Uint8Array(16)));

/** Run `work` on the store of keys; what it returns is a request. */
async function inStore(mode, work) {
  const database = await new Promise((done, fail) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "jkt" });
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => fail(request.error ?? new Error("blocked"));
  });
  try {
    return await new Promise((done, fail) => {
      const step = database.transaction(STORE, mode);
      const request = work(step.objectStore(STORE));
      step.oncomplete = () => done(request?.result);
      step.onerror = step.onabort = () => fail(step.error);
    });
  } finally {
    database.close();
  }
}

/** The public half as a JWK: its members in the order of their names, which RFC 7638 hashes. */
async function publicJwk(key) {
  const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", key);
  return { crv, kty, x, y };
}

/** The name of the key for a place that is asked for under `once`: a repeat must show the same. */
async function keyFor(once) {
  const kept = await inStore("readonly", (store) => store.getAll());
  const old = kept.find((one) => once && one.once === once);
  if (old) return old.jkt;
  const pair = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  const jkt = base64url(await crypto.subtle.digest("SHA-256", text.encode(JSON.stringify(await publicJwk(pair.publicKey)))));
  const now = Date.now();
  await inStore("readwrite", (store) => {
    for (const one of kept) if (one.at < now - KEEP_MS) store.delete(one.jkt);
    store.put({ jkt, once, at: now, pair });
  });
  return jkt;
}

/** Answer the server's question, or "" where this browser has not the key that it names. */
async function proofOf(act, room, { nonce, at_s: iat, key, run, number }) {
  const found = await inStore("readonly", (store) => store.get(key));
  if (!found) return "";
  const { privateKey, publicKey } = found.pair;
  const head = part({ alg: "ES256", typ: "waitroom-proof+jwt", jwk: await publicJwk(publicKey) });
  const signed = `${head}.${part({ act, room, run, number, nonce, iat, jti: random() })}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, text.encode(signed));
  return `${signed}.${base64url(signature)}`;
}

/** Say in the fan's language why a place cannot be used here; the page shows what stands in `detail`. */
function told(texts, lang, answer, { code, number }) {
  const key = { "proof-needed": "needed", "proof-wrong": "wrong", "proof-used": "wrong", "place-carried": "carried" }[code];
  const words = texts[`bound.${key}`];
  if (!words) return answer;
  const shown = number === undefined ? "" : (number + 1).toLocaleString(`${lang}-u-nu-latn`, { useGrouping: "always" });
  return new Response(JSON.stringify({ code, detail: words.replace("{n}", shown) }), { status: answer.status });
}

/** Put a fetch around `ask` that knows keys. */
export function bound(ask, base, { room, texts }, lang) {
  const words = JSON.parse(texts || "{}");
  let question = null, askedAt = 0;

  const within = (work) => work.catch((fault) => {
    console.warn(fault);
    return "";
  });
  const send = (url, options, name, value) =>
    ask(url, value ? { ...options, headers: { ...options.headers, [name]: value } } : options);

  async function show(url, options, act) {
    const sinceMs = performance.now() - askedAt;
    const known = question && sinceMs < ASKED_MS
      ? { ...question, at_s: question.at_s + Math.floor(sinceMs / 1000) } : null;
    let answer = await send(url, options, "Waitroom-Proof", known ? await within(proofOf(act, room, known)) : "");
    for (let tries = 0; ; tries += 1) {
      const refusal = answer.ok ? {} : await answer.clone().json().catch(() => ({}));
      question = refusal.nonce ? refusal : question;
      if (!refusal.nonce || tries) return told(words, lang, answer, refusal);
      askedAt = performance.now();
      const proof = await within(proofOf(act, room, refusal));
      if (!proof) return told(words, lang, answer, refusal);
      answer = await send(url, options, "Waitroom-Proof", proof);
    }
  }

  return async (url, options = {}) => {
    const act = options.method === "POST" && String(url).startsWith(base) ? String(url).slice(base.length) : "";
    switch (act) {
      case "join":
      case "carry/take":
        question = null;
        return send(url, options, "Waitroom-Key", await within(keyFor(options.headers?.["Idempotency-Key"])));
      case "claim":
      case "leave":
      case "carry":
        return show(url, options, act);
      default:
        return ask(url, options);
    }
  };
}

const { dataset, lang } = document.documentElement;
globalThis.fetch = bound(globalThis.fetch.bind(globalThis), `${dataset.prefix}r/${dataset.room}/`, dataset, lang);
