// Second implementation of the seat map's deltas, for its test vectors. Written from docs/seat-map.md, shares no code
// and no form with checkout/halls/deltas.py or the shop's script: here a map is an array of single seats, a delta is taken apart
// letter by letter, and the mark is the bitwise CRC-32 of IEEE 802.3.
//
// Run: node tests/vectors/make_deltas.mjs      writes deltas.json next to this file.

import { writeFileSync } from "node:fs";

const hex2 = (byte) => (byte + 256).toString(16).slice(1);
const hexes = (cells) => cells.map(hex2).join("");

/** Numbers that anyone can make again: the "minimal standard" generator of Park and Miller. */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (state * 48271) % 2147483647;
    return state % sides;
  };
}

// ------------------------------------------------------------------------------------------------ text
/** cells: [[seat, byte], …] in any order; the last of a seat counts. */
function write(cells) {
  const last = new Map(cells);
  const seats = [...last.keys()].sort((a, b) => a - b);
  let out = "";
  while (seats.length > 0) {
    const first = seats.shift();
    let next = first + 1;
    while (seats[0] === next && last.get(next) === last.get(first)) {
      seats.shift();
      next += 1;
    }
    const many = next - first === 1 ? "" : "+" + (next - first);
    out += (out ? "," : "") + first + many + "=" + hex2(last.get(first));
  }
  return out;
}

/** A delta as single cells, or null where it is none. */
function read(text, size) {
  const cells = [];
  let at = 0;
  const number = () => {
    const from = at;
    while (at < text.length && text[at] >= "0" && text[at] <= "9") at += 1;
    return at === from || at - from > 9 ? null : parseInt(text.slice(from, at), 10);
  };
  for (;;) {
    const first = number();
    if (first === null) return null;
    let count = 1;
    if (text[at] === "+") {
      at += 1;
      count = number();
      if (count === null || count === 0) return null;
    }
    if (text[at] !== "=") return null;
    const byte = text.slice(at + 1, at + 3);
    if (byte.length !== 2 || [...byte].some((c) => !"0123456789abcdef".includes(c))) return null;
    at += 3;
    if (first + count > size) return null;
    for (let seat = first; seat < first + count; seat += 1) cells.push([seat, parseInt(byte, 16)]);
    if (at === text.length) return cells;
    if (text[at] !== ",") return null;
    at += 1;
  }
}

function crc32(cells) {
  let crc = 0xffffffff;
  for (const byte of cells) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

// --------------------------------------------------------------------------------------------- following
const parts = (text) => text.split(/[:-]/).map(Number);
const compare = (a, b) => {
  const [x, y] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i += 1) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
};

/** Plays messages on a snapshot as docs/seat-map.md says; returns what each meant and what is left. */
function follow(size, snapshot, from, messages) {
  const cells = Array.from({ length: size }, (_, i) => parseInt(snapshot.slice(2 * i, 2 * i + 2), 16));
  let now = from;
  let lost = false;
  const taken = [];
  const steps = [];
  for (const { event, id, data } of messages) {
    let step = "known";
    if (lost) step = "lost";
    else if (event === "reset") step = "lost";
    else if (event === "check") {
      const order = compare(id, now);
      if (order > 0 || (order === 0 && data !== crc32(cells))) step = "lost";
    } else if (compare(id, from) > 0 && !taken.includes(id)) {
      const changed = read(data, size);
      if (parts(id)[0] !== parts(now)[0] || compare(id, now) < 0 || changed === null) step = "lost";
      else {
        for (const [seat, byte] of changed) cells[seat] = byte;
        taken.push(id);
        now = id;
        step = "next";
      }
    }
    if (step === "lost") lost = true;
    steps.push(step);
  }
  return { steps, version: now, lost, octets: hexes(cells) };
}

// ------------------------------------------------------------------------------------------------ cases
const roll = dice(20260914);
const random = (n, size) => Array.from({ length: n }, () => [roll(size), roll(6) + 16 * roll(3)]);

const coding = [
  [[120, 0x11], [121, 0x11], [122, 0x11], [450, 0x11]],
  [[0, 0]],
  [[2, 1], [1, 1], [0, 1]],
  [[0, 1], [1, 2], [2, 1]],
  [[7, 1], [7, 2]],
  [[5, 0xf5], [6, 0xf5], [8, 0xf5]],
  random(20, 30),
  random(60, 80),
].map((cells) => ({ cells, text: write(cells) }));

const bad = [
  ["", 10], [",", 10], ["1=1", 10], ["1=111", 10], ["1=1G", 10], ["1=0A", 10], ["+2=11", 10], ["1+=11", 10],
  ["1+0=11", 10], ["10=11", 10], ["8+3=11", 10], ["-1=11", 10], ["1=11,", 10], [",1=11", 10], ["1=11 ", 10],
  ["1 =11", 10], ["1+2", 10], ["reset", 10], ["1=11\n", 10], ["\u0661=11", 10], ["1000000000=11", 10],
  ["0=11", 0], ["1=11;2=11", 10], ["1==11", 10], ["1+2+3=11", 10],
].map(([text, seats]) => ({ text, seats }));

const joined = [
  ["120+3=11", "450=11"],
  ["120+3=11", "121=10"],
  ["121=10", "120+3=11"],
  ["0+10=01", "2+3=00", "3=03"],
  ["1=01", "1=00"],
  Array.from({ length: 12 }, () => write(random(5, 40))),
].map((texts) => ({ seats: 500, texts, text: write(texts.flatMap((text) => read(text, 500))) }));

const size = 24;
const blank = hexes(Array(size).fill(0));
const first = "3:1800000000000-0";
const at = (ms, n = 0) => "3:" + (1800000000000 + ms) + "-" + n;
const stream = [
  { id: at(5), data: "0+4=01" },
  { id: at(5, 1), data: "8=11" },
  { id: at(9), data: "1+2=00,8=12" },
  { id: at(40), data: "20+4=04" },
  { id: at(41), data: "1=03" },
];
const after = (n) => {
  const cells = Array(size).fill(0);
  for (const { data } of stream.slice(0, n)) for (const [seat, byte] of read(data, size)) cells[seat] = byte;
  return cells;
};
const whole = { id: stream[3].id, data: write(stream.slice(1, 4).flatMap((m) => read(m.data, size))) };

const follows = [
  ["all in order", blank, first, stream],
  ["every message twice", blank, first, stream.flatMap((m) => [m, m])],
  ["the whole stream again after its end", blank, first, [...stream, ...stream]],
  ["a snapshot that is ahead of the first messages", hexes(after(3)), stream[2].id, stream],
  ["one message that covers more than was missed", hexes(after(2)), stream[1].id, [whole, stream[4]]],
  ["an overtaken message", blank, first, [stream[0], stream[2], stream[1], stream[3]]],
  ["a message that never came, and the mark that tells", blank, first, [
    ...stream.filter((_, i) => i !== 2), { event: "check", id: stream[4].id, data: crc32(after(5)) },
  ]],
  ["the last message never came, and the mark that tells", blank, first, [
    ...stream.slice(0, 4), { event: "check", id: stream[4].id, data: crc32(after(5)) },
  ]],
  ["a mark that agrees", blank, first, [
    ...stream, { event: "check", id: stream[4].id, data: crc32(after(5)) },
  ]],
  ["a mark of an older version", hexes(after(5)), stream[4].id, [
    { event: "check", id: stream[3].id, data: crc32(after(4)) },
  ]],
  ["a reset", blank, first, [stream[0], { event: "reset", id: at(7), data: at(7) }, stream[2]]],
  ["a message of the next epoch", blank, first, [stream[0], { id: "4:1800000000100-0", data: "0=00" }]],
  ["a message of the epoch before", blank, first, [{ id: "2:1800000000100-0", data: "0=01" }, stream[0]]],
  ["a message for a larger hall", blank, first, [{ id: at(1), data: "24=01" }]],
  ["versions are numbers, not texts", blank, "3:999-9", [{ id: "3:999-10", data: "0=01" }, { id: "3:1000-0", data: "0=02" }]],
].map(([name, snapshot, version, messages]) => ({
  name, seats: size, snapshot, version, messages, ...(({ version: end, ...rest }) => ({ ...rest, end }))(follow(size, snapshot, version, messages)),
}));

const marks = [[], [0], [1, 2, 3], after(5), random(50, 9).map(([, byte]) => byte)].map((cells) => ({
  octets: hexes(cells), mark: crc32(cells),
}));

const rows = (items) => "[\n  " + items.map((item) => JSON.stringify(item)).join(",\n  ") + "\n ]";
const about =
  "coding: cells [seat, byte] and their text; bad: texts that are no delta of so many seats; joined: texts in their order and the one that does the same; " +
  "marks: octets as hex; follow: messages on a snapshot, what each means (next, known, lost) and what is left";
writeFileSync(
  new URL("deltas.json", import.meta.url),
  `{\n "about": ${JSON.stringify(about)},\n "made_by": "tests/vectors/make_deltas.mjs",\n "coding": ${rows(coding)},\n` +
    ` "bad": ${rows(bad)},\n "joined": ${rows(joined)},\n "marks": ${rows(marks)},\n "follow": ${rows(follows)}\n}\n`,
);
