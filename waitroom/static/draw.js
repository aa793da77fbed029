/**
 * Draw: the rank that the public seed gives to an arrival number.
 *
 * The same bytes as waitroom/draw.py; tests/vectors/draw.json holds both to a third implementation. SHA-256 stands
 * here itself, because WebCrypto is slow for hundreds of tiny hashes, and missing on plain HTTP.
 */

export const K = primesRoots(64, 3);
export const H0 = primesRoots(8, 2);

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

/** SHA-256 of bytes, at once. */
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
