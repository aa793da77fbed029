/**
 * Memory: what this browser keeps of one room.
 *
 * In localStorage, shared by all tabs; where storage is forbidden, in this page alone (`lasting` is false), and the
 * ticket moves behind the number sign of the address, so that a reload keeps it and no server ever sees it there.
 */

const SETTLE_MS = 300;

/** Open the memory of a room. */
export function openMemory(room) {
  const own = new Map();
  const name = (what) => `waitroom:${room}:${what}`;
  const read = (store, what) => {
    try {
      return globalThis[store].getItem(name(what));
    } catch {
      return own.get(what) ?? null;
    }
  };
  const write = (store, what, text) => {
    own.set(what, text);
    try {
      if (text === null) globalThis[store].removeItem(name(what));
      else globalThis[store].setItem(name(what), text);
      return true;
    } catch {
      // Storage is full or forbidden: the copy in memory serves this page.
      return false;
    }
  };
  const json = (store, what) => {
    try {
      return JSON.parse(read(store, what));
    } catch {
      return null;
    }
  };
  const probe = write("localStorage", "probe", "1") && write("localStorage", "probe", null);

  return {
    room,
    lasting: probe,
    name,
    get place() {
      const place = json("localStorage", "place");
      return place && Number.isSafeInteger(place.number) && typeof place.run === "string" ? place : null;
    },
    set place(place) { write("localStorage", "place", place && JSON.stringify(place)); },
    /** The run that this browser left on purpose: a reload does not join it again. */
    get left() { return read("localStorage", "left"); },
    set left(run) { write("localStorage", "left", run); },
    /** What the fan has asked to be told by, until it is the turn: {way, to, run, epoch}; null for nothing. */
    get asked() { return json("localStorage", "asked"); },
    set asked(asked) { write("localStorage", "asked", asked && JSON.stringify(asked)); },
    /** What the fan wants of this page: {sound, notify}. */
    get wishes() { return json("localStorage", "wishes") ?? {}; },
    set wishes(wishes) { write("localStorage", "wishes", JSON.stringify(wishes)); },
    /** The lease of the tab that leads, for browsers without locks. */
    get lease() { return json("localStorage", "lease"); },
    set lease(lease) { write("localStorage", "lease", lease && JSON.stringify(lease)); },
    /** What the leading tab last heard, for browsers without channels. */
    set heard(text) { write("localStorage", "heard", text); },
    /** The key of a join that was not answered yet; shared by all tabs, so that they get one place. */
    async joinKey() {
      const key = read("localStorage", "join");
      if (/^[\w-]{22}$/.test(key ?? "")) return key;
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const made = btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
      write("localStorage", "join", made);
      // Without locks two tabs may make one each in the same moment: a little later both read the one that stayed.
      if (!navigator.locks && probe) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      return read("localStorage", "join") ?? made;
    },
    joined() { write("localStorage", "join", null); },
    /** Do something in one tab at a time; where a browser has no locks, or denies them to a frame, just do it. */
    async alone(work) {
      let begun = false;
      const once = () => {
        begun = true;
        return work();
      };
      try {
        return await (navigator.locks ? navigator.locks.request(name("place"), once) : once());
      } catch (fault) {
        if (begun) throw fault;
        return once();
      }
    },
    /** How often this tab was let in within the last minute: more than twice means that no cookie is kept. */
    entries(nowMs) {
      const kept = json("sessionStorage", "entries");
      const times = [...(Array.isArray(kept) ? kept : []).filter((ms) => ms > nowMs - 60_000), nowMs];
      write("sessionStorage", "entries", JSON.stringify(times));
      return times.length;
    },
    forgetEntries() { write("sessionStorage", "entries", null); },
  };
}
