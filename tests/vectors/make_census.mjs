/**
 * Make census.json: who is in a sample, how full stretches of a line are, how long a line lasts that people leave.
 *
 * A second implementation, by the slow way: node's own SHA-256, a sum over single ranks, and an integral by small steps.
 *
 * Run: node tests/vectors/make_census.mjs      writes census.json next to this file.
 */

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const RUN = "0123456789abcdef";

function sampled(number, oneIn) {
  const hex = createHash("sha256").update(`waitroom-census-v1|${RUN}|${number}`).digest("hex").slice(0, 8);
  return parseInt(hex, 16) * oneIn < 4294967296;
}

/** The share that is there at one rank, in thousandths. */
function shareAt({ since, width, live }, rank) {
  for (let index = 0; index < live.length - 1; index += 1) if (rank < since + (index + 1) * width) return live[index];
  return live.at(-1);
}

function fullness(count, serving, rank) {
  let there = 0;
  for (let one = serving; one < rank; one += 1) there += shareAt(count, one);
  const ratio = rank > serving ? there / (rank - serving) / shareAt(count, serving) : 1;
  return Math.min(5, Math.max(0.2, ratio));
}

/** Seconds until so many ranks are called: each moment the line calls as many more as there are fewer left in it. */
function lasts(ranks, perMinute, leaving) {
  const step = 1 / 6000;
  let called = 0, minutes = 0;
  while (called < ranks) {
    const middle = minutes + step / 2;
    called += perMinute * Math.exp((leaving / 1e6) * middle) * step;
    minutes += step;
  }
  return 60 * minutes;
}

const GONE_IN_FRONT = { since: 1000, width: 500, live: [400, 400, 900, 950] };
const GONE_AT_THE_END = { since: 0, width: 100, live: [900, 100] };
const EVEN = { since: 10, width: 7, live: [800, 800, 800] };
const STEEP = { since: 0, width: 10, live: [1, 1000] };

const result = {
  about: "Made by tests/vectors/make_census.mjs; read by the tests of Python and of the page, which must agree.",
  run: RUN,
  sampled: Object.fromEntries(
    [1, 2, 16, 256].map((oneIn) => [oneIn, [...Array(2000).keys()].filter((number) => sampled(number, oneIn)).slice(0, 12)]),
  ),
  fullness: [GONE_IN_FRONT, GONE_AT_THE_END, EVEN, STEEP].flatMap((count) =>
    [[0, 0], [0, 1], [0, 5], [10, 40], [99, 100], [100, 101], [500, 1600], [1000, 3000], [1200, 2400], [2600, 4000], [900, 901]]
      .map(([serving, rank]) => ({ ...count, serving, rank, ratio: fullness(count, serving, rank) }))),
  lasts: [[100, 60, 0], [100, 60, 10000], [6000, 300, 5000], [6000, 300, 50000], [1, 1, 200000], [300, 10, 200000]]
    .map(([ranks, per_minute, leaving]) => ({ ranks, per_minute, leaving, seconds: lasts(ranks, per_minute, leaving) })),
};
const text = Object.entries(result).map(([name, value]) => {
  const rows = Array.isArray(value) ? `[\n  ${value.map((row) => JSON.stringify(row)).join(",\n  ")}\n ]` : JSON.stringify(value);
  return ` ${JSON.stringify(name)}: ${rows}`;
});
writeFileSync(new URL("census.json", import.meta.url), `{\n${text.join(",\n")}\n}\n`);
