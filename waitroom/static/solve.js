/**
 * Solve: the proof of work, in a worker: counts up until a hash begins as the server has said (ALTCHA's second format,
 * algorithm SHA-256, cost 1).
 *
 * The hash stands here once more, for one block of a fixed shape and without a single allocation: that is what a page
 * can do against the speed of those who compile it. WebCrypto is slower for hashes so small, and missing on plain HTTP.
 */

import { H0, K, fromHex } from "./draw.js";

const SLICE = 20_000;
/** salt (16 bytes), nonce (16), counter (4): 36 bytes and the length in bits. */
const LENGTH_BITS = 288;

/** Open a puzzle: gives a function that tells whether a counter solves it, and one that tells the whole hash. */
export function openPuzzle({ algorithm, cost, salt, nonce, keyPrefix }) {
  if (algorithm !== "SHA-256" || cost !== 1) throw new Error("a puzzle of another kind");
  const head = fromHex(salt + nonce), view = new DataView(head.buffer);
  const wanted = new DataView(fromHex(keyPrefix.slice(0, 32).padEnd(32, "0")).buffer);
  const known = Math.floor(keyPrefix.length / 8);
  if (head.length !== 32 || !known || keyPrefix.length % 8) throw new Error("a puzzle of another shape");
  const w = new Int32Array(64), k = Int32Array.from(K), start = Int32Array.from(H0), out = new Int32Array(8);
  const prefix = new Int32Array(4);
  for (let i = 0; i < 4; i += 1) prefix[i] = wanted.getInt32(4 * i);
  for (let i = 0; i < 8; i += 1) w[i] = view.getInt32(4 * i);
  w[9] = 1 << 31;
  w[15] = LENGTH_BITS;

  function hash(counter) {
    w[8] = counter;
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15], y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let a = start[0], b = start[1], c = start[2], d = start[3], e = start[4], f = start[5], g = start[6], h = start[7];
    for (let i = 0; i < 64; i += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + (g ^ (e & (f ^ g))) + k[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0;
      h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    out[0] = a + start[0]; out[1] = b + start[1]; out[2] = c + start[2]; out[3] = d + start[3];
    out[4] = e + start[4]; out[5] = f + start[5]; out[6] = g + start[6]; out[7] = h + start[7];
  }

  return {
    solves(counter) {
      hash(counter);
      for (let i = 0; i < known && i < 4; i += 1) if (out[i] !== prefix[i]) return false;
      return true;
    },
    key(counter) {
      hash(counter);
      return Array.from(out, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    },
  };
}

/** Count from 0 to `most`; `told` hears of every slice. Null where nothing solves it. */
export function solve(parameters, most, told = () => {}) {
  const puzzle = openPuzzle(parameters);
  for (let counter = 0; counter <= most; counter += 1) {
    if (puzzle.solves(counter)) return { counter, derivedKey: puzzle.key(counter) };
    if (counter % SLICE === SLICE - 1) told(counter);
  }
  return null;
}

if (typeof WorkerGlobalScope !== "undefined" && globalThis instanceof WorkerGlobalScope) {
  globalThis.onmessage = ({ data: { parameters, most } }) => {
    postMessage({ solution: solve(parameters, most, (tried) => postMessage({ tried })), over: true });
  };
}
