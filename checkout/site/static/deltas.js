/**
 * Deltas: how a copy of the seat map follows the server's. Pure: bytes and texts in, bytes out.
 *
 * The same rules as checkout/halls/deltas.py; tests/vectors/deltas.json holds both to them. A seat is a byte: the low nibble
 * its status, the high nibble its tier. A version is `<epoch>:<ms>-<sequence>`. A delta says what seats *are*, so one
 * that comes twice changes nothing; what a copy cannot mend makes it lost, and it is made anew from a snapshot.
 */

export const FREE = 0;
export const statusOf = (byte) => byte & 15;
export const tierOf = (byte) => byte >> 4;

const VERSION = /^([0-9]{1,15}):([0-9]{1,16})-([0-9]{1,16})$/;
const RUN = /^([0-9]{1,9})(?:\+([0-9]{1,9}))?=([0-9a-f]{2})$/;
const REMEMBERED = 256;

function parts(version) {
  const found = VERSION.exec(version ?? "");
  return found && found.slice(1).map(Number);
}

/** Below zero, zero, above zero as `a` is before, at, after `b`; null where one of them is no version. */
export function compare(a, b) {
  const [x, y] = [parts(a), parts(b)];
  if (!x || !y) return null;
  return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
}

/** A delta as runs [first, count, byte]; null for a text that is none of a map of so many seats. */
export function read(text, seats) {
  const runs = [];
  for (const part of text.split(",")) {
    const found = RUN.exec(part);
    // The end of a line matches `$` in some languages; here it does not, without the flag m.
    if (!found) return null;
    const [first, count, byte] = [Number(found[1]), Number(found[2] ?? 1), parseInt(found[3], 16)];
    if (count === 0 || first + count > seats) return null;
    runs.push([first, count, byte]);
  }
  return runs;
}

let table = null;

/** The CRC-32 of a map as eight hex digits: equal marks, equal maps. */
export function mark(bytes) {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255];
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

/**
 * A copy made of a snapshot. `take` and `check` answer what a message meant: "next" (taken), "known" (nothing new),
 * "lost" (fetch the map again). `changed(first, count)` hears of every run that was written.
 */
export function openCopy(bytes, version, changed = () => {}) {
  const base = version, taken = new Set();
  let now = version, lost = !parts(version);
  const lose = () => {
    lost = true;
    return "lost";
  };
  return {
    bytes,
    get version() { return now; },
    get lost() { return lost; },
    lose,
    take(id, text) {
      if (lost) return "lost";
      if (compare(id, base) === null) return lose();
      if (compare(id, base) <= 0 || taken.has(id)) return "known";
      if (parts(id)[0] !== parts(now)[0] || compare(id, now) < 0) return lose();
      const runs = read(text, bytes.length);
      if (!runs) return lose();
      for (const [first, count, byte] of runs) {
        changed(first, count, byte);
        bytes.fill(byte, first, first + count);
      }
      now = id;
      taken.add(id);
      if (taken.size > REMEMBERED) taken.delete(taken.values().next().value);
      return "next";
    },
    check(id, told) {
      if (lost) return "lost";
      const order = compare(id, now);
      return order === null || order > 0 || (order === 0 && told !== mark(bytes)) ? lose() : "known";
    },
  };
}
