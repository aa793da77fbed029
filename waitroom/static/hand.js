/**
 * Hand: what the fan's hand may ask for: leave, try again, carry the place away, save the receipt.
 *
 * Every one of them is a press; nothing here happens by itself. What follows is decided elsewhere (visit.js).
 */

import { insideApp } from "./rules.js";

/** Put life into the buttons. `on` is what happens then: {leave(code), again(state), more(), carried()}. */
export function openHand({ trip, view, words, clock, memory, wire, headers }, on) {
  const { leave, leaving, again, more, prove, carry, remind, receipt, keeping, hint, headline } = view.part;
  let carrying = null, reminding = null, given = null;

  if (prove) {
    prove.href = `${wire.base}/challenge?${new URLSearchParams({ target: trip.target, lang: document.documentElement.lang })}`;
    prove.addEventListener("click", () => {
      // Behind the number sign no server sees it; where nothing is kept, the page of the check needs it.
      if (trip.place?.ticket && (!memory.lasting || trip.byHeader)) prove.hash = `ticket=${trip.place.ticket}`;
    });
  }
  if (!memory.lasting) keeping.textContent = words.text("back.no-storage");
  hint.hidden = !insideApp(navigator.userAgent);

  function askToLeave(code = null) {
    given = code;
    leaving.returnValue = "";
    leaving.showModal();
  }
  leave.addEventListener("click", () => askToLeave());
  leaving.addEventListener("close", () => {
    if (leaving.returnValue === "leave") on.leave(given);
  });
  again.addEventListener("click", () => {
    const { state } = view;
    headline.focus();
    on.again(state);
  });
  more.addEventListener("click", on.more);
  carry.addEventListener("click", async () => {
    try {
      const { openCarry } = await import("./carry.js");
      carrying ??= openCarry({ wire, words, clock, view, target: trip.target, headers, taken: on.carried });
      await carrying.open();
    } catch (fault) {
      console.error(fault);
      view.link(words.text("carry.failed"), true);
    }
  });
  // It is there where the room offers it, and a way has been set up.
  remind?.setAttribute("aria-pressed", String(Boolean(memory.asked)));
  remind?.addEventListener("click", async () => {
    try {
      const { openRemind } = await import("./remind.js");
      reminding ??= await openRemind({ wire, words, memory, view, headers, run: () => trip.place?.run });
      await reminding.open();
    } catch (fault) {
      console.error(fault);
      view.link(words.text("link.away"), true);
    }
  });
  receipt.addEventListener("click", (event) => {
    // A link carries cookies but no header: without cookies the page fetches the receipt itself.
    if (!trip.byHeader) return;
    event.preventDefault();
    import("./receipt.js").then(({ save }) => save(wire, headers(), memory.room)).catch(() => {});
  });

  return {
    askToLeave,
    /** Ask what became of a link that was made here. */
    check() { carrying?.check(); },
  };
}
