/**
 * Door: the turn, from being called to going in.
 *
 * Who looks at the page, or did just now, goes in at once; for anybody else the page makes itself heard and keeps the
 * turn as long as it may. A turn that was missed is a recall: explained, and still claimed.
 */

/** Who is away hears of the end a third of the time before it, and never later than so long before (WCAG 2.2.1). */
const NEAR_LEAST_MS = 20_000;
const NOWHERE = { rank: null, ahead: null };

/** The whole address of a path or a link, or "" for anything that is no page. */
export const webAddress = (where) => {
  const url = new URL(where, location.href);
  return /^https?:$/.test(url.protocol) ? url.href : "";
};

/**
 * Make the door. `trip` is what a visit knows: {place, doc, target, byHeader, claimUntilMs, extensions, entered}; `go` is
 * where else it can go: {poll, keep, anew, refused, rest, trouble, connected}.
 */
export function openDoor(trip, { memory, clock, wire, view, words, turn, tabs, steps, headers, attentive, show }, go) {
  let warned = 0; // the end of the window that was said to be near

  /** The place is called. */
  async function called(seen) {
    if (attentive() && tabs.leads) return claim();
    if (trip.claimUntilMs === null) await learnWindow();
    const untilMs = trip.claimUntilMs, leftMs = untilMs - clock.now();
    const nearMs = Math.max(NEAR_LEAST_MS, (trip.doc.claim_window_s * 1000) / 3);
    const near = leftMs > 0 && leftMs <= nearMs && trip.extensions > 0;
    show({ ...seen, state: leftMs > 0 ? "called" : "recall" }, { heldBack: true, claimUntilMs: untilMs, near });
    if (tabs.leads) turn.alarm(leftMs);
    if (near && warned !== untilMs) {
      warned = untilMs;
      view.say(`${words.text("said.turn-left", { span: words.span(leftMs) })}. ${words.text("turn.offer")}`);
      if (tabs.leads) turn.warn(leftMs);
    }
    const pauses = [leftMs + 500, leftMs > nearMs ? leftMs - nearMs + 100 : Infinity, 30_000];
    return steps.later(leftMs > 0 ? Math.min(...pauses) : 60_000, go.poll);
  }

  /** Make the time to come in longer, as often as the room allows. */
  async function more() {
    if (view.state !== "called") return go.poll();
    const answer = await wire.post("more-time", {}, headers());
    const { ticket, claim_until_ms: untilMs, extensions_left: left, code } = answer.json;
    if (answer.ok) {
      go.keep({ ...trip.place, ticket });
      Object.assign(trip, { claimUntilMs: untilMs, extensions: left });
      const clockText = words.span(untilMs - clock.now());
      view.say(`${words.text("turn.more")} ${words.text("turn.left", { clock: clockText })}`);
    } else if (code === "ticket-missing" && !trip.byHeader && trip.place?.ticket) {
      trip.byHeader = true;
      return more();
    } else if (answer.status >= 500 || answer.status === 429) return go.trouble(answer);
    else trip.claimUntilMs = null;
    return go.poll();
  }

  async function learnWindow() {
    const { json } = await wire.get("ticket", headers());
    trip.extensions = json.extensions_left ?? 0;
    const atMost = () => clock.now() + trip.doc.claim_window_s * 1000;
    trip.claimUntilMs = json.standing === "recall" ? 0 : json.claim_until_ms ?? atMost();
  }

  async function claim() {
    turn.calm();
    const missed = () => trip.claimUntilMs !== null && clock.now() >= trip.claimUntilMs;
    if (view.state !== "next" && view.state !== "recall") {
      show({ state: missed() ? "recall" : "called", rank: null, ahead: 0 });
    }
    const answer = await wire.post("claim", { target: trip.target }, headers());
    const { outcome, code, go: where, retry_after_ms: retryMs, ahead_of_you: before, poll_ms: pollMs } = answer.json;
    if (answer.status < 500 && answer.status !== 429) go.connected();
    switch (outcome ?? code) {
      case "admitted":
        return enter(where, "admitted");
      case "next":
        if (trip.claimUntilMs === null && view.state !== "next") await learnWindow().catch(() => {});
        show({ state: missed() ? "recall" : "next", ...NOWHERE }, { ahead: before ?? 0 });
        return steps.later(retryMs, claim);
      case "paused":
        show({ state: "paused", ...NOWHERE });
        return steps.later(retryMs, claim);
      case "check":
      case "waiting":
        // This worker has not yet seen the threshold that our document shows; or a check is first (settle.js).
        return steps.later(pollMs, go.poll);
      case "ticket-missing":
        if (!trip.byHeader && trip.place?.ticket) {
          trip.byHeader = true;
          return claim();
        }
        return go.anew(trip.place?.run);
      case "ticket-invalid":
      case "ticket-foreign-room":
      case "run-over":
        return go.anew(trip.place?.run);
      case "ticket-used":
        return go.rest("used");
      case "target-not-allowed":
        if (trip.target === "/") return go.refused(answer);
        trip.target = "/";
        return claim();
      case "place-evicted":
        answer.json.detail = await import("./canned.js").then((own) => own.evicted(words, trip.place)).catch(() => 0) || answer.json.detail;
        // falls through
      default:
        return answer.status >= 500 || answer.status === 429 ? go.trouble(answer) : go.refused(answer);
    }
  }

  /** Go through the door; unless this tab just did so and came back, which cookies would have prevented. */
  function enter(where, state) {
    const href = webAddress(where);
    if (!href) return go.refused({ json: {} });
    if (memory.entries(Date.now()) > 3) {
      // An open gate that still sends people here has not heard of it yet.
      if (state === "open") {
        show({ state, ...NOWHERE });
        return steps.later(10_000 + 10_000 * Math.random(), go.poll);
      }
      return noCookies();
    }
    // Where nothing can be kept, the address has to say that this visit has been here.
    const bare = trip.byHeader && !memory.lasting && trip.place?.ticket;
    if (bare && trip.entered) return noCookies();
    steps.over = true;
    show({ state, ...NOWHERE }, { href });
    if (state === "admitted") tabs.share({ admitted: href });
    location.replace(bare ? `${href.split("#")[0]}#ticket=${trip.place.ticket}&entered` : href);
    return undefined;
  }

  /** The admission does not stay. In a frame, the way out is the same place in a page of its own. */
  function noCookies() {
    memory.forgetEntries();
    const ticket = globalThis.top !== globalThis && trip.place?.ticket;
    const own = `${location.origin}${wire.base}?${new URLSearchParams({ target: trip.target })}#ticket=${ticket}`;
    if (ticket) view.part.onward.target = "_blank";
    go.rest("cookies", { href: ticket ? own : "" });
  }

  return { called, claim, enter, more };
}
