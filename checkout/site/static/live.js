/**
 * Live: a copy of the seat map that follows the server's: one snapshot, then a stream of changes.
 *
 * The stream goes on where it stopped (Last-Event-ID, or `after`), a copy that is lost is fetched again, and a page
 * that nobody looks at lets go of its connection. Under overload the server tells counts by section instead of
 * seats; then the map is asked for again from time to time, never sooner than ten seconds.
 */

import { openCopy } from "./deltas.js";

const HIDDEN_FOR_MS = 30_000, QUIET_MS = 60_000, COUNTS_MS = 12_000;

/**
 * `on` hears: map(bytes, version), before(first, count, byte) for a run that is about to change, changed(runs),
 * counts(sections) and link("live" | "away").
 */
export function followMap(base, on) {
  let copy = null, source = null, timer = 0, quiet = 0, failures = 0, stopped = true, asking = false, hiddenAt = 0;

  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(snapshot, ms);
  };
  const close = () => {
    source?.close();
    source = null;
    clearTimeout(quiet);
  };
  const failed = () => {
    failures += 1;
    on.link("away");
    later(Math.min(15_000, 700 * 2 ** failures) * (0.7 + Math.random() * 0.6));
  };

  async function snapshot() {
    clearTimeout(timer);
    if (stopped || asking) return;
    asking = true;
    try {
      const answer = await fetch(`${base}/map`, { cache: "no-cache", credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      if (answer.headers.get("Content-Type")?.startsWith("application/json")) {
        const json = await answer.json();
        copy = null;
        tellCounts(json);
        if (!source) stream(json.version);
      } else {
        const bytes = new Uint8Array(await answer.arrayBuffer()), version = answer.headers.get("Map-Version");
        if (version === copy?.version && !copy.lost) {
          on.link("live");
        } else {
          runs = [];
          copy = openCopy(bytes, version, noted);
          on.map(bytes, version);
          close();
        }
        if (!source) stream(version);
      }
      failures = 0;
      if (stopped) close();
    } catch {
      failed();
    } finally {
      asking = false;
    }
  }

  function tellCounts(json) {
    on.counts(Array.isArray(json) ? json : json.sections ?? []);
    later(COUNTS_MS * (0.8 + Math.random() * 0.5));
  }

  let runs = [];
  const noted = (first, count, byte) => {
    on.before(first, count, byte);
    runs.push([first, count]);
  };

  function heard() {
    clearTimeout(quiet);
    // A stream may be dead without telling; a question that is answered "not modified" costs next to nothing.
    quiet = setTimeout(snapshot, QUIET_MS);
  }

  function stream(version) {
    close();
    if (stopped) return;
    source = new EventSource(`${base}/deltas?after=${encodeURIComponent(version ?? "")}`);
    heard();
    const judged = (step) => {
      if (step === "lost") {
        close();
        later(0);
      }
    };
    source.onopen = () => {
      failures = 0;
      on.link("live");
    };
    source.onmessage = ({ data, lastEventId }) => {
      heard();
      if (!copy) return;
      runs = [];
      const step = copy.take(lastEventId, data);
      if (runs.length) on.changed(runs);
      judged(step);
    };
    source.addEventListener("check", ({ data, lastEventId }) => {
      heard();
      if (copy) judged(copy.check(lastEventId, data));
    });
    source.addEventListener("reset", () => judged(copy ? copy.lose() : "lost"));
    source.addEventListener("counts", ({ data }) => {
      heard();
      copy = null;
      tellCounts(JSON.parse(data));
    });
    source.onerror = () => {
      on.link("away");
      // The browser connects again by itself after a lost connection, but never after a refusal.
      if (source?.readyState === EventSource.CLOSED) {
        close();
        failed();
      }
    };
  }

  function start() {
    stopped = false;
    failures = 0;
    if (source?.readyState === EventSource.OPEN) return;
    close();
    if (copy && !copy.lost) stream(copy.version);
    else snapshot();
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    close();
  }

  addEventListener("pagehide", stop);
  addEventListener("pageshow", ({ persisted }) => persisted && start());
  addEventListener("online", () => {
    close();
    start();
  });
  addEventListener("offline", () => on.link("away"));
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenAt);
    if (!document.hidden) start();
    else hiddenAt = setTimeout(stop, HIDDEN_FOR_MS);
  });

  return {
    start, stop,
    get bytes() { return copy?.bytes; },
    /** Write what an answer has told about seats; the stream will say the same. */
    write(seat, byte) {
      if (!copy || copy.bytes[seat] === byte) return;
      runs = [];
      noted(seat, 1, byte);
      copy.bytes[seat] = byte;
      on.changed(runs);
    },
  };
}
