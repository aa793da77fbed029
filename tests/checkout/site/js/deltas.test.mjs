// A copy of the seat map in the browser, held to the vectors that hold the server's, and what follows from a copy.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { compare, mark, openCopy, read } from "../../../../checkout/site/static/deltas.js";

const vectors = JSON.parse(readFileSync(new URL("../../../vectors/deltas.json", import.meta.url), "utf8"));
const octets = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

test("a delta says what its cells say", () => {
  for (const { cells, text } of vectors.coding) {
    const told = new Map(cells), found = new Map();
    for (const [first, count, byte] of read(text, 1000)) {
      for (let seat = first; seat < first + count; seat += 1) found.set(seat, byte);
    }
    assert.deepEqual(found, new Map([...told].sort((a, b) => a[0] - b[0])), text);
  }
});

test("what is no delta of the hall is refused whole", () => {
  for (const { text, seats } of vectors.bad) assert.equal(read(text, seats), null, JSON.stringify(text));
});

test("deltas in a row do what the one does that joins them", () => {
  for (const { seats, texts, text } of vectors.joined) {
    const apply = (all) => {
      const bytes = new Uint8Array(seats);
      for (const one of all) for (const [first, count, byte] of read(one, seats)) bytes.fill(byte, first, first + count);
      return hex(bytes);
    };
    assert.equal(apply(texts), apply([text]));
  }
});

test("equal maps have equal marks", () => {
  for (const one of vectors.marks) assert.equal(mark(octets(one.octets)), one.mark);
});

test("every message means to the page what it means to the server's copy", () => {
  for (const { name, snapshot, version, messages, steps, end, octets: left, ...rest } of vectors.follow) {
    const copy = openCopy(octets(snapshot), version);
    const met = messages.map(({ event, id, data }) => {
      if (event === "reset") return copy.lose();
      return event === "check" ? copy.check(id, data) : copy.take(id, data);
    });
    assert.deepEqual(met, steps, name);
    assert.equal(hex(copy.bytes), left, name);
    assert.equal(copy.lost, rest.lost, name);
    if (end !== undefined) assert.equal(copy.version, end, name);
  }
});

test("versions are numbers: what is later is later, and what is none has no order", () => {
  assert.ok(compare("1:999-0", "1:1000-0") < 0);
  assert.ok(compare("2:1-0", "1:9-9") > 0);
  assert.equal(compare("1:5-1", "1:5-1"), 0);
  assert.equal(compare("1:5", "1:5-1"), null);
  assert.equal(compare(null, "1:5-1"), null);
});
