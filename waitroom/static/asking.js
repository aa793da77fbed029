/**
 * Asking: in a room that asks who comes, leads who has no place yet to the page that asks.
 *
 * The waiting page joins as in any room; where the server refuses because it does not know who asks, the page says
 * "refused", and this module leads on. Loaded in rooms that ask and in no other.
 */

const html = document.documentElement;
const { room, prefix, target: given } = html.dataset;
/** What the server says of somebody who has no place. */
const NO_PLACE = new Set(["ticket-missing", "ticket-invalid", "ticket-foreign-room", "run-over"]);
let looking = false;

async function look() {
  if (html.dataset.state !== "refused" || looking) return;
  looking = true;
  try {
    const answer = await fetch(`${prefix}r/${room}/ticket`, { headers: { Accept: "application/json" }, cache: "no-store" });
    const { code } = await answer.json();
    if (!answer.ok && NO_PLACE.has(code)) {
      const here = new URL(location.href);
      const inside = here.pathname.startsWith(prefix);
      const target = given || (inside ? here.searchParams.get("target") : here.pathname + here.search) || "/";
      location.replace(`${prefix}r/${room}/identity?${new URLSearchParams({ target, lang: html.lang, live: 1 })}`);
    }
  } catch {
    // The page says that something is wrong already, and offers to try again.
  } finally {
    looking = false;
  }
}

new MutationObserver(look).observe(html, { attributes: true, attributeFilter: ["data-state"] });
look();
