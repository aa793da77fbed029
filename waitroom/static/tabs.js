/**
 * Tabs: several tabs are one place. One leads and asks the server, the others listen to it.
 *
 * Whoever is looked at leads. Web Locks choose where there are any (not on plain HTTP): the lock dies with its tab,
 * also with a crashed one. Elsewhere a lease in localStorage does. What the leader hears it tells by a channel, or
 * through localStorage. Where neither can be had, every tab leads, which costs requests but nobody's place.
 */

const LEASE_MS = 20_000;

/** Join the tabs of a room. `on.lead()` runs when this tab begins to lead, `on.heard(news)` for the leader's news. */
export function openTabs(memory, on) {
  const name = memory.name("tabs");
  let locks = navigator.locks;
  const alone = () => !locks && !memory.lasting;
  const id = Math.random().toString(36).slice(2);
  let leads = false, channel = null, release = null, pending = null, beat = 0;

  function lead() {
    if (leads) return;
    leads = true;
    on.lead();
  }
  function follow() {
    leads = false;
    release = null;
  }

  async function queue(steal) {
    pending = steal ? null : new AbortController();
    const options = steal ? { steal } : { signal: pending.signal };
    try {
      await locks.request(name, options, () => {
        lead();
        return new Promise((resolve) => { release = resolve; });
      });
    } catch (fault) {
      if (fault?.name === "SecurityError") {
        // A frame of another site is denied locks: the lease does.
        locks = null;
        return elect();
      }
      // Another tab took over, or this one is being put to sleep.
      if (!leads) return;
      follow();
      if (channel) queue(false);
    }
  }

  function renew(takeOver) {
    const lease = memory.lease, now = Date.now();
    if (takeOver || !lease || lease.id === id || lease.untilMs < now) {
      memory.lease = { id, untilMs: now + LEASE_MS };
      lead();
    } else follow();
  }

  function listen() {
    if ("BroadcastChannel" in globalThis) {
      channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }) => on.heard(data);
    } else {
      channel = {
        postMessage: (news) => { memory.heard = JSON.stringify({ ...news, at: Date.now() }); },
        close() {},
      };
    }
  }
  addEventListener("storage", (event) => {
    if (event.key === memory.name("heard") && event.newValue && channel) on.heard(JSON.parse(event.newValue));
    if (event.key === memory.name("lease") && !locks && channel) renew(false);
  });

  function elect() {
    if (alone()) lead();
    else if (locks) queue(!document.hidden);
    else {
      renew(!document.hidden);
      beat = setInterval(() => renew(false), LEASE_MS / 4);
    }
  }
  /** Take part; also after a sleep. */
  function wake() {
    if (channel) return;
    listen();
    elect();
  }
  /** Let another lead; without this a browser neither keeps the page for its back button nor freezes it. */
  function rest() {
    clearInterval(beat);
    pending?.abort();
    release?.();
    if (leads && !locks && !alone() && memory.lease?.id === id) memory.lease = null;
    follow();
    channel?.close();
    channel = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || leads || !channel) return;
    if (locks) {
      pending?.abort();
      queue(true);
    } else if (!alone()) renew(true);
  });
  document.addEventListener("freeze", rest);
  document.addEventListener("resume", wake);
  addEventListener("pagehide", rest);
  addEventListener("pageshow", wake);
  wake();

  return {
    get leads() { return leads; },
    /** Tell the others: {text, date} of a document, or {admitted: true}. */
    share(news) { if (leads) channel?.postMessage(news); },
  };
}
