/**
 * Door: what one gate knows and does: it asks the server while there is one, decides by itself while there is none, and
 * says later what it has told people. No part of the page; `changed` is called whenever something is to be shown anew.
 *
 * The server's word is last (docs/scanning.md). A scan is on disk before it is sent and until it is answered.
 */

import { openBook } from "./book.js";
import { isWhole, judge, numberOf, openKeys, packedRows, prefixOf, readNumber, readRows, verifyCode } from "./ticket.js";

const PATIENCE_MS = 2500, LIST_PATIENCE_MS = 20_000, SYNC_MS = 15_000, FIRST_MS = 1000, MOST_MS = 15_000;
const BATCH = 50, KEPT_BYTES = 400_000, WHOLE_AGAIN_MS = 30_000;
const NOTHING = { at: 0, tag: "", keys: [], gates: {}, blocked: [], skew: 0, more: [] };

/** The server knows this scanner no more. */
export class Ended extends Error {}

export async function openDoor(event, changed) {
  const book = await openBook(event), root = `/scan/${event}`;
  const device = Array.from(crypto.getRandomValues(new Uint8Array(8)), (one) => one.toString(16).padStart(2, "0")).join("");
  let scans = 0, about = await book.get("about"), hall = await book.get("hall"), list = await book.get("list") ?? NOTHING;
  let rows = new Map(), numbers = new Map(), keys = new Map(), blocked = new Set(), wait_ms = FIRST_MS, timer = 0, wholeAt = -Infinity;
  let offlineSince = null, going = null, numbered = -1;
  const mine = new Map(await book.mine()), queue = new Map(), conflicts = new Map(await book.conflicts());
  for (const [id, scan] of await book.queue()) {
    // Asked, and the page was closed before anything was told: nobody was let in by it.
    if (scan.told === "") await book.forget(id);
    else queue.set(id, scan);
  }

  const now = () => Date.now() + list.skew;

  async function useList(base) {
    if (base) {
      rows = readRows(base, new Map());
      numbered = -1;
      for (const part of list.more) readRows(part, rows);
    }
    blocked = new Set(list.blocked);
    keys = crypto.subtle ? await openKeys(list.keys) : new Map();
    if (rows.size === numbered) return;
    numbers = new Map();
    // Of two with one number nobody can tell which is meant.
    for (const prefix of rows.keys()) numbers.set(numberOf(prefix), numbers.has(numberOf(prefix)) ? "" : prefix);
    numbered = rows.size;
  }
  await useList(await book.get("base"));

  // ------------------------------------------------------------------------------------------------ talking

  async function talk(path, patience_ms, body) {
    let answer;
    const more = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    try {
      answer = await fetch(root + path, { ...more, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(patience_ms) });
      if (answer.status === 401) throw new Ended();
      if (answer.status >= 500) throw new TypeError(String(answer.status));
      const plain = answer.ok ? await answer.json() : null;
      offlineSince = null;
      wait_ms = FIRST_MS;
      return { status: answer.status, plain };
    } catch (fault) {
      if (!(fault instanceof Ended)) offlineSince ??= now();
      throw fault;
    }
  }

  async function learn() {
    about = (await talk("/event", LIST_PATIENCE_MS)).plain;
    await book.put("about", about);
    if (hall === undefined) {
      hall = (await talk("/hall", LIST_PATIENCE_MS)).plain ?? undefined;
      if (hall !== undefined) await book.put("hall", hall);
    }
  }

  /** Keep of the rows that have come those that say something new. */
  function fresh(bytes) {
    const found = [];
    for (let at = 0; at < bytes.length; at += 19) {
      const row = bytes.subarray(at, at + 19), [[prefix, { version }]] = readRows(row, new Map());
      if (rows.get(prefix)?.version !== version) found.push(...row);
    }
    return Uint8Array.from(found);
  }

  async function refresh() {
    const isCrowded = list.more.reduce((sum, part) => sum + part.length, 0) > KEPT_BYTES;
    const since = isCrowded ? 0 : list.at, began = Date.now();
    const { plain } = await talk(since ? `/list?since=${since}` : "/list", LIST_PATIENCE_MS);
    const bytes = packedRows(plain.tickets), isAll = plain.since === 0;
    const { at, tag, gates, blocked: stopped } = plain;
    const skew = plain.now_ms - Math.round((began + Date.now()) / 2), more = [...(isAll ? [] : list.more)];
    let base;
    if (isAll) base = bytes;
    else {
      const part = fresh(bytes);
      if (part.length) more.push(part);
      readRows(part, rows);
    }
    list = { at, tag, keys: plain.keys, gates, blocked: stopped, skew, more };
    if (base) await book.put("base", base);
    await useList(base);
    await book.put("list", list);
    if (!isWhole(rows, plain.count, plain.versions) && Date.now() - wholeAt > WHOLE_AGAIN_MS) {
      // Something was committed so late that no overlap had it.
      wholeAt = Date.now();
      list = { ...list, at: 0 };
      await refresh();
    }
  }

  // --------------------------------------------------------------------------------------------- what waits

  async function answered(scan, paper) {
    let conflict = null;
    if (scan.told === "admitted" && paper.outcome !== "admitted") {
      conflict = {
        number: paper.number ?? scan.number ?? "", at_ms: scan.at_ms, outcome: paper.outcome, why: paper.why ?? "",
        gate: paper.gate ?? "", gate_ms: paper.gate_ms ?? 0,
      };
      conflicts.set(scan.id, conflict);
    }
    const entered = paper.outcome === "admitted" && paper.ticket ? [paper.ticket, scan.at_ms] : null;
    if (entered) mine.set(...entered);
    await book.settle(scan.id, entered, conflict);
    queue.delete(scan.id);
  }

  async function send() {
    while (queue.size) {
      const part = [...queue.values()].slice(0, BATCH);
      const { status, plain } = await talk("/scans", LIST_PATIENCE_MS, { scans: part });
      const papers = new Map((plain?.scans ?? []).map((paper) => [paper.id, paper]));
      for (const scan of part) {
        if (papers.has(scan.id)) await answered(scan, papers.get(scan.id));
      }
      if (status !== 200) break;
      changed();
    }
  }

  async function sync() {
    clearTimeout(timer);
    try {
      await send();
      if (about === undefined || hall === undefined) await learn();
      await refresh();
    } catch (fault) {
      if (fault instanceof Ended) {
        changed(fault);
        return;
      }
      wait_ms = Math.min(MOST_MS, wait_ms * 2);
    }
    changed();
    timer = setTimeout(again, offlineSince === null ? SYNC_MS : wait_ms * (0.75 + Math.random() / 2));
  }

  /** Bring everything up to date; whoever asks meanwhile waits for the same. */
  function again() {
    going ??= sync().finally(() => { going = null; });
    return going;
  }

  // -------------------------------------------------------------------------------------------------- scans

  async function bySelf(scan) {
    let prefix, seat, isSigned = false;
    if (scan.code) {
      if (!crypto.subtle || !keys.size) return { outcome: "unchecked" };
      const found = await verifyCode(scan.code, list.tag, keys);
      if (found.fault) return { outcome: found.fault };
      prefix = prefixOf(found.ticket);
      seat = found.seat;
      isSigned = true;
    } else prefix = numbers.get(scan.number) ?? "";
    const row = rows.get(prefix);
    const told = judge(row, mine.get(prefix), blocked.has(prefix), isSigned, list.gates, about?.gate ?? "", scan.at_ms);
    const number = prefix ? numberOf(prefix) : scan.number;
    return { ...told, prefix, number, place: seatName(seat ?? row?.seat) };
  }

  function seatName(seat) {
    const section = hall?.sections.find((one) => seat >= one.first && seat < one.first + one.count);
    const row = section?.rows?.find((one) => seat >= one.first && seat < one.first + one.count);
    if (!section) return null;
    if (!row) return [section.name, "", ""];
    const at = seat - row.first;
    return [section.name, row.name, Array.isArray(row.numbers) ? row.numbers[at] : String(row.numbers.from + at * row.numbers.step)];
  }

  async function ask(scan) {
    try {
      await book.keep(scan);
      const { plain } = await talk("/scans", PATIENCE_MS, { scans: [scan] });
      if (plain === null) return null;
      const [paper] = plain.scans;
      await answered(scan, paper);
      return { outcome: paper.outcome, why: paper.why, number: paper.number ?? scan.number, place: paper.seat ?? null, gate: paper.gate, gate_ms: paper.gate_ms ?? paper.used_ms };
    } catch (fault) {
      if (fault instanceof Ended) throw fault;
      return null;
    }
  }

  /** Scan a code, or a number that was typed in. Raises `Ended`. */
  async function check(text) {
    if (about && now() >= about.until_ms) throw new Ended();
    const isCode = text.startsWith("WT1:"), number = isCode ? null : readNumber(text);
    // Whatever else somebody holds before the camera is nobody's business: it is not sent.
    if (!isCode && number === null) return { outcome: "unknown" };
    const scan = { id: `${device}-${scans += 1}`, at_ms: now(), told: "", ...(isCode ? { code: text.slice(0, 512) } : { number }) };
    if (offlineSince === null && navigator.onLine) {
      const word = await ask(scan);
      if (word !== null) return word;
    }
    offlineSince ??= now();
    const told = await bySelf(scan);
    scan.told = told.outcome === "unchecked" ? "unknown" : told.outcome;
    const entered = told.outcome === "admitted" ? [told.prefix, scan.at_ms] : null;
    await book.keep(scan, entered);
    queue.set(scan.id, scan);
    if (entered) mine.set(...entered);
    again();
    return { ...told, alone: true };
  }

  addEventListener("online", () => {
    wait_ms = FIRST_MS;
    // What is under way may be failing just now.
    Promise.resolve(going).then(again);
  });
  addEventListener("offline", () => { offlineSince ??= now(); changed(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

  return {
    check, sync: again, learn,
    get about() { return about; },
    get entered() { return mine.size; },
    get waiting() { return queue.size; },
    get conflicts() { return [...conflicts.values()]; },
    get offlineSince() { return offlineSince; },
    get knownAt() { return list.at; },
  };
}
