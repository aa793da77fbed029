// Makes tickets.json: codes of tickets by a second implementation (node:crypto, RFC 9285 as its text says it), not by
// pasting back what checkout/tickets/code.py returns. Run: node tests/vectors/make_tickets.mjs > tests/vectors/tickets.json

import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();

// RFC 9285, section 4: two bytes as a number n = c + d*45 + e*45*45, one as c + d*45.
function base45(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const isPair = at + 1 < bytes.length;
    let n = isPair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    for (let digit = 0; digit < (isPair ? 3 : 2); digit += 1) {
      text += ALPHABET[n % 45];
      n = Math.floor(n / 45);
    }
  }
  return text;
}

function keyOf(seed) {
  // RFC 8410: the fixed head of a PKCS #8 key of Ed25519, then its seed.
  const secret = createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8" });
  const octets = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32);
  return { secret, octets, id: sha("waitroom-ticket-key\0", octets).subarray(0, 4) };
}

const tagOf = (event) => sha("waitroom-event\0", event).subarray(0, 8);
const idOf = (order, seat, issue) => sha("waitroom-ticket-id\0", order, "\0", String(seat), "\0", String(issue)).subarray(0, 16);

function numberOf(id) {
  const bits = BigInt(`0x${id.toString("hex")}`) >> 78n;
  const text = Array.from({ length: 10 }, (_, at) => CROCKFORD[Number((bits >> BigInt(45 - 5 * at)) & 31n)]).join("");
  return `${text.slice(0, 5)}-${text.slice(5)}`;
}

function codeOf(key, event, id, seat) {
  const where = Buffer.alloc(4);
  where.writeUInt32BE(seat);
  const said = Buffer.concat([Buffer.from([1]), key.id, tagOf(event), id, where]);
  return { said, code: `WT1:${base45(Buffer.concat([said, sign(null, Buffer.concat([Buffer.from("waitroom-ticket-v1\0"), said]), key.secret)]))}` };
}

const keys = [1, 2, 3].map((fill) => keyOf(Buffer.alloc(32, fill)));
const dropped = keys[2], event = "northern-lights", other = "summer-nights";
const good = [[0, "O0000001", 0, 1], [0, "O0000001", 1, 1], [1, "Oabcdefg", 59_999, 3], [1, "Ozzzzzzz", 16_777_215, 12]].map(([at, order, seat, issue]) => {
  const id = idOf(order, seat, issue);
  return { key: keys[at].id.toString("hex"), event, order, seat, issue, ticket: id.toString("hex"), number: numberOf(id), code: codeOf(keys[at], event, id, seat).code };
});

const bytesOf = (code) => {
  const found = [], text = code.slice(4);
  for (let at = 0; at < text.length; at += 3) {
    const group = [...text.slice(at, at + 3)].map((one) => ALPHABET.indexOf(one));
    const n = group.reduce((sum, value, place) => sum + value * 45 ** place, 0);
    if (group.length === 3) found.push(n >> 8);
    found.push(n & 255);
  }
  return Buffer.from(found);
};
const changed = (code, at, by) => {
  const bytes = bytesOf(code);
  bytes[at] ^= by;
  return `WT1:${base45(bytes)}`;
};
const id = idOf("O0000001", 0, 1), first = good[0].code;
const claimed = Buffer.concat([codeOf(keys[0], event, id, 0).said, sign(null, Buffer.concat([Buffer.from("waitroom-ticket-v1\0"), codeOf(keys[0], event, id, 0).said]), keys[1].secret)]);
const undomained = Buffer.concat([codeOf(keys[0], event, id, 0).said, sign(null, codeOf(keys[0], event, id, 0).said, keys[0].secret)]);
const bad = [
  ["another seat under the same signature", changed(first, 32, 1), "forged"],
  ["another ticket under the same signature", changed(first, 13, 128), "forged"],
  ["a signature with one bit changed", changed(first, 96, 1), "forged"],
  ["another event written into it", changed(first, 5, 1), "forged"],
  ["signed by another key than it says", `WT1:${base45(claimed)}`, "forged"],
  ["signed without the words that say what for", `WT1:${base45(undomained)}`, "forged"],
  ["a key that was dropped", codeOf(dropped, event, id, 0).code, "unknown-key"],
  ["a key that nobody knows", changed(first, 1, 255), "unknown-key"],
  ["another event's ticket", codeOf(keys[0], other, id, 0).code, "other-event"],
  ["another form", changed(first, 0, 3), "unreadable"],
  ["a character too few", first.slice(0, -1), "unreadable"],
  ["a character too many", `${first}0`, "unreadable"],
  ["a character that Base45 does not have", `${first.slice(0, 20)}a${first.slice(21)}`, "unreadable"],
  ["three characters that are no two octets", `${first.slice(0, 4)}:::${first.slice(7)}`, "unreadable"],
  ["another head", `WT2:${first.slice(4)}`, "unreadable"],
  ["an address", "https://example.org/", "unreadable"],
  ["nothing", "", "unreadable"],
].map(([what, code, fault]) => ({ what, code, fault }));

process.stdout.write(`${JSON.stringify({
  event, tag: tagOf(event).toString("hex"),
  keys: keys.map((key, at) => ({ id: key.id.toString("hex"), key: key.octets.toString("base64url"), secret: Buffer.alloc(32, at + 1).toString("base64url"), dropped: key === dropped })),
  base45: [["", ""], ["4142", "BB8"], ["48656c6c6f2121", "%69 VD92EX0"], ["626173652d3435", "UJCLQE7W581"], ["6965746621", "QED8WEX0"]].map(([raw, text]) => ({ raw, text })),
  good, bad,
}, null, 1)}\n`);
