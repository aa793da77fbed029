// Second implementation of the draw, for its test vectors. Written from docs/draw.md, shares no code and no
// form with waitroom/draw.py or waitroom/static/waitroom.js: here the permutation swaps a whole list round by
// round, and the tree is the recursive definition of RFC 6962.
//
// Run: node tests/vectors/make_draw.mjs      writes draw.json, draw-merkle.json and leaf.json next to this file.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const hash = (...parts) => {
  const h = createHash("sha256");
  for (const part of parts) h.update(part);
  return h.digest();
};
const ascii = (text) => Buffer.from(text, "ascii");
const utf8 = (text) => Buffer.from(text, "utf8");
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const u16 = (value) => Buffer.from([value >> 8, value & 255]);
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const field = (bytes) => Buffer.concat([u16(bytes.length), bytes]);

/** Bytes that anyone can make again: the SHA-256 of a label, cut or repeated. */
const sample = (label, size) => {
  let out = Buffer.alloc(0);
  for (let i = 0; out.length < size; i += 1) out = Buffer.concat([out, hash(utf8(`${label}/${i}`))]);
  return out.subarray(0, size);
};

// ------------------------------------------------------------------------------------------ permutation
const roundsFor = (n) => Math.max(90, 4 * Math.ceil(Math.log2(n)));

/** After all rounds, list[rank] is the number that drew this rank. */
function drawnList(seed, n, rounds) {
  const list = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) list[i] = i;
  for (let round = 0; round < rounds; round += 1) {
    const pivot = Number(hash(seed, Buffer.from([round])).readBigUInt64LE(0) % BigInt(n));
    const blocks = [];
    const bit = (position) => {
      const block = Math.floor(position / 256);
      if (!blocks[block]) {
        const index = Buffer.alloc(4);
        index.writeUInt32LE(block);
        blocks[block] = hash(seed, Buffer.from([round]), index);
      }
      return (blocks[block][Math.floor((position % 256) / 8)] >> position % 8) & 1;
    };
    for (let i = 0; i < n; i += 1) {
      const flip = (pivot + n - i) % n;
      if (i < flip && bit(flip)) {
        const kept = list[i];
        list[i] = list[flip];
        list[flip] = kept;
      }
    }
  }
  return list;
}

function ranksOf(list) {
  const ranks = new Uint32Array(list.length);
  list.forEach((number, rank) => {
    ranks[number] = rank;
  });
  return ranks;
}

const permutations = [];
for (const n of [1, 2, 3, 5, 10, 255, 256, 257, 1000]) {
  const seed = sample(`seed/${n}`, 32);
  const ranks = ranksOf(drawnList(seed, n, 90));
  permutations.push({ seed: hex(seed), n, rounds: 90, ranks: [...ranks] });
}
const spots = [];
for (const [n, count] of [[1_000_000, 24], [4_194_304, 6], [4_194_305, 6]]) {
  const seed = sample(`seed/${n}`, 32);
  const rounds = roundsFor(n);
  const ranks = ranksOf(drawnList(seed, n, rounds));
  const numbers = [0, 1, n - 1];
  for (let i = 0; numbers.length < count; i += 1) numbers.push(sample(`spot/${n}/${i}`, 4).readUInt32BE(0) % n);
  spots.push({ seed: hex(seed), n, rounds, ranks: numbers.map((number) => [number, ranks[number]]) });
}

// ------------------------------------------------------------------------------- commitment, seed, leaves
const draws = ["main:0123456789abcdef", "a:0000000000000000", "günther-konzert:ffffffffffffffff"];
const commitments = draws.map((draw) => {
  const secret = sample(`secret/${draw}`, 32);
  const commitment = hash(ascii("waitroom-commit-v1"), field(utf8(draw)), secret);
  return { draw_id: draw, secret: hex(secret), commitment: hex(commitment) };
});
const seeds = [];
const addSeed = (draw, n, chain, round, randomness, secret) => {
  const root = sample(`root/${draw}/${n}`, 32);
  const value = hash(
    ascii("waitroom-draw-v1"), field(utf8(draw)), u64(n), field(root),
    field(chain), u64(round), field(randomness), field(secret),
  );
  seeds.push({
    draw_id: draw, n, root: hex(root), chain_hash: hex(chain), beacon_round: round, randomness: hex(randomness),
    secret: hex(secret), seed: hex(value),
  });
};
const none = Buffer.alloc(0);
addSeed(draws[0], 1, none, 0, none, sample("secret/one", 32));
addSeed(draws[0], 20_000, none, 0, none, sample("secret/two", 32));
addSeed(draws[2], 5_000_000_000, sample("chain", 32), 27_946_612, sample("randomness", 32), Buffer.alloc(32));
addSeed(draws[1], 7, sample("chain", 32), 1, sample("randomness/1", 32), sample("secret/three", 32));

const leaves = [];
const addLeaf = (draw, ticket, tag, holder) =>
  leaves.push({
    draw_id: draw, ticket_id: hex(ticket), identity_tag: hex(tag), holder_key: hex(holder),
    leaf: hex(hash(Buffer.from([0]), field(utf8(draw)), field(ticket), field(tag), field(holder)).subarray(0, 16)),
  });
addLeaf(draws[0], sample("ticket/0", 16), none, none);
addLeaf(draws[0], sample("ticket/1", 16), sample("tag", 8), none);
addLeaf(draws[0], sample("ticket/1", 16), none, sample("tag", 8));
addLeaf(draws[2], sample("ticket/2", 16), sample("tag", 16), sample("holder", 300));

// ------------------------------------------------------------------------------------------------ trees
const leafHash = (number, leaf) => hash(Buffer.from([0]), u64(number), leaf);
function treeHash(hashes) {
  if (hashes.length === 0) return hash(none);
  if (hashes.length === 1) return hashes[0];
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return hash(Buffer.from([1]), treeHash(hashes.slice(0, k)), treeHash(hashes.slice(k)));
}
function path(m, hashes) {
  if (hashes.length === 1) return [];
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return m < k
    ? [...path(m, hashes.slice(0, k)), treeHash(hashes.slice(k))]
    : [...path(m - k, hashes.slice(k)), treeHash(hashes.slice(0, k))];
}
const treeLeaf = (number) => (number % 7 === 5 ? Buffer.alloc(16) : sample(`leaf/${number}`, 16));
const trees = [];
for (const n of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 1000, 1024, 1025]) {
  const hashes = Array.from({ length: n }, (_, number) => leafHash(number, treeLeaf(number)));
  const proofs = (n > 9 ? [0, 1, n >> 1, n - 1] : [...Array(n).keys()]).map((number) => ({
    number, path: path(number, hashes).map(hex),
  }));
  trees.push({ n, root: hex(treeHash(hashes)), proofs });
}

const write = (name, about, rest) => {
  const text = JSON.stringify({ about, made_by: "tests/vectors/make_draw.mjs", ...rest }, null, 1);
  // One line for each innermost list: readable, and a change shows where it is.
  const tight = text.replace(/\[\s*([-\d\s,]+?)\s*\]/g, (_, inner) => `[${inner.replace(/\s+/g, "")}]`);
  writeFileSync(new URL(name, import.meta.url), `${tight}\n`);
};
write("draw.json", "ranks[number] = P(number); spots: [number, rank] of larger draws; commitments and seeds", {
  permutations, spots, commitments, seeds,
});
write("draw-merkle.json", "leaf number k is SHA-256('leaf/k/0') cut to 16 bytes, zeros where k % 7 = 5", { trees });
write("leaf.json", "leaf = first 16 bytes of SHA-256(0x00 and the four fields, each with its length)", { leaves });
