/**
 * Ticket: what a code says, whether we have signed it, and what a scanner may say to it by itself. Pure but for WebCrypto.
 *
 * The bytes are those of checkout/tickets/code.py and scan_list.py; tests/vectors/tickets.json has them for both.
 */

const HEAD = "WT1:", ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", NUMBERED = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_LENGTH = 150, SIGNED = 33, ROW = 19, NOBODY = 255;
const DOMAIN = new TextEncoder().encode("waitroom-ticket-v1\0");
/** What a ticket is worth; after these two, why it was revoked. */
const VALID = 0, USED = 1;
const WHY = ["", "", "returned", "transferred", "reissued", "withdrawn"];

/** A device that sees the ticket again so soon after it has let its holder in sees the same person. */
export const AGAIN_MS = 8000;

const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
const octets = (base64) => Uint8Array.from(atob(base64.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

/** Read Base45 (RFC 9285); null for what is none. */
export function base45(text) {
  const values = Array.from(text, (one) => ALPHABET.indexOf(one));
  if (values.includes(-1)) return null;
  const made = [];
  for (let at = 0; at < values.length; at += 3) {
    const group = values.slice(at, at + 3);
    const number = group.reduce((sum, value, place) => sum + value * 45 ** place, 0);
    if (group.length === 1 || number >= 256 ** (group.length - 1)) return null;
    if (group.length === 3) made.push(number >> 8);
    made.push(number & 255);
  }
  return Uint8Array.from(made);
}

/** Take a code apart; null for what is no code of ours. Nothing is verified yet. */
export function readCode(text) {
  if (!text.startsWith(HEAD) || text.length !== CODE_LENGTH) return null;
  const raw = base45(text.slice(HEAD.length));
  if (raw === null || raw[0] !== 1) return null;
  const said = raw.slice(0, SIGNED);
  return {
    key: hex(said.slice(1, 5)), tag: hex(said.slice(5, 13)), ticket: hex(said.slice(13, 29)),
    seat: new DataView(said.buffer).getUint32(29), said, signature: raw.slice(SIGNED),
  };
}

/** Make the keys of a list ready: by id. */
export async function openKeys(rows) {
  const found = new Map();
  for (const { id, key } of rows) {
    found.set(id, await crypto.subtle.importKey("raw", octets(key), { name: "Ed25519" }, false, ["verify"]));
  }
  return found;
}

/** Tell what a code says, if a trusted key has signed it for this event: {ticket, seat} or {fault}. */
export async function verifyCode(text, tag, keys) {
  const code = readCode(text);
  if (code === null) return { fault: "unknown" };
  const key = keys.get(code.key);
  if (key === undefined) return { fault: "forged" };
  const signed = new Uint8Array(DOMAIN.length + code.said.length);
  signed.set(DOMAIN);
  signed.set(code.said, DOMAIN.length);
  if (!await crypto.subtle.verify({ name: "Ed25519" }, key, code.signature, signed)) return { fault: "forged" };
  return code.tag === tag ? { ticket: code.ticket, seat: code.seat } : { fault: "other-event" };
}

/** Read a number as people type it: `K7QM4-T2P9X`; null for what is none. */
export function readNumber(text) {
  const plain = text.trim().toUpperCase().replace(/[- ]/g, "").replace(/[IL]/g, "1").replace(/O/g, "0");
  if (plain.length !== 10 || Array.from(plain).some((one) => !NUMBERED.includes(one))) return null;
  return `${plain.slice(0, 5)}-${plain.slice(5)}`;
}

/** Shorten a ticket's id, or the beginning of one, to its number. */
export function numberOf(ticket) {
  // The first 52 bits, which a number has exactly, less two.
  let bits = Math.floor(parseInt(ticket.slice(0, 13), 16) / 4), digits = "";
  for (let at = 0; at < 10; at += 1) {
    digits = NUMBERED[bits % 32] + digits;
    bits = Math.floor(bits / 32);
  }
  return `${digits.slice(0, 5)}-${digits.slice(5)}`;
}

/** Shorten a ticket's id to what lists know it by. */
export const prefixOf = (ticket) => ticket.slice(0, 16);

/** Read the rows of a list into `rows`, a Map by prefix. */
export function readRows(bytes, rows) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + ROW <= bytes.length; at += ROW) {
    rows.set(hex(bytes.subarray(at, at + 8)), {
      version: view.getUint16(at + 8), seat: (view.getUint8(at + 10) << 16) | view.getUint16(at + 11),
      worth: view.getUint8(at + 13), used_ms: view.getUint32(at + 14) * 1000, gate: view.getUint8(at + 18),
    });
  }
  return rows;
}

export const packedRows = octets;

/** Whether rows are all that the server has: nothing that was committed late is missing. */
export function isWhole(rows, count, versions) {
  let sum = 0;
  for (const { version } of rows.values()) sum += version;
  return rows.size === count && sum === versions;
}

/**
 * Say by ourselves what a ticket is worth, as well as we know. `row`: as the last list has it, or undefined; `mine`: when
 * this device has let its holder in, or undefined. A signed ticket that no list has is one that was made since.
 */
export function judge(row, mine, isBlocked, isSigned, gates, own, now_ms) {
  if (mine !== undefined) {
    const isAgain = Math.abs(now_ms - mine) < AGAIN_MS;
    return { outcome: isAgain ? "again" : "used", gate: own, gate_ms: mine };
  }
  if (row === undefined) return { outcome: isSigned ? "admitted" : "unknown" };
  if (row.worth === USED) return { outcome: "used", gate: row.gate === NOBODY ? "" : gates[row.gate] ?? "", gate_ms: row.used_ms };
  if (row.worth !== VALID) return { outcome: "revoked", why: WHY[row.worth] ?? "" };
  return { outcome: isBlocked ? "blocked" : "admitted" };
}
