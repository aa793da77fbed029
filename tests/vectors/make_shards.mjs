// Second implementation of an event's shard, for its test vectors. Written from docs/shards.md, shares no code and no form
// with checkout/shards/shards.py: here a weight is sixteen hexadecimal digits that are compared as text.
//
// Run: node tests/vectors/make_shards.mjs      writes shards.json next to this file.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const weight = (shard, event) =>
  createHash("sha256").update(shard, "utf8").update(Buffer.of(0)).update(event, "utf8").digest("hex").slice(0, 16);

function home(shards, event) {
  const ranked = shards.map((shard) => weight(shard, event) + " " + shard);
  ranked.sort();
  return ranked[ranked.length - 1].split(" ")[1];
}

const FLEETS = [["a"], ["a", "b"], ["a", "b", "c"], ["b", "a", "c", "hot"], ["eu-1", "eu-2", "eu-3", "eu-4", "eu-5", "main"]];
const EVENTS = ["a", "0", "summer", "small-hours", "northern-lights", "late-trains", "paper-lanterns", "x".repeat(63)];
for (let number = 1; EVENTS.length < 40; number += 1) EVENTS.push("tour-" + number);

const weights = [];
for (const shard of ["a", "b", "hot", "eu-5"]) {
  for (const event of EVENTS.slice(0, 8)) weights.push({ shard, event, weight: weight(shard, event) });
}
const homes = FLEETS.map((shards) => ({
  shards,
  homes: Object.fromEntries(EVENTS.map((event) => [event, home(shards, event)])),
}));
writeFileSync(new URL("shards.json", import.meta.url), JSON.stringify({ weights, homes }, null, 1) + "\n");
