/**
 * Steps: what the page does next, one thing at a time, each when its time has come.
 *
 * A step that throws is trouble and changes nothing else; a wish of the fan's hand comes right after the step under way.
 */

/** Make an empty plan. `slowly(step)` tells that a step may wait, because another tab leads; `trouble` handles faults. */
export function makeSteps(slowly, trouble) {
  let timer = 0, dueAt = Infinity, step = null, busy = false, over = false, wish = null;

  function later(ms, next) {
    clearTimeout(timer);
    step = next;
    const pause = slowly(next) ? 2 * ms + 15_000 : ms;
    dueAt = performance.now() + pause;
    timer = setTimeout(run, pause);
  }
  function stop() {
    clearTimeout(timer);
    dueAt = Infinity;
  }
  async function run() {
    if (busy || over) return;
    busy = true;
    clearTimeout(timer);
    try {
      await step();
    } catch (fault) {
      // Nothing came back (TypeError, AbortError), or a fault of ours: the place is safe either way.
      const silence = fault instanceof TypeError || fault?.name === "AbortError";
      if (!silence) console.error(fault);
      trouble({ silence });
    } finally {
      busy = false;
      if (wish) later(0, wish);
      wish = null;
    }
  }

  return {
    later, stop, run,
    /** As soon as the step under way is done. */
    soon(next) {
      if (busy) wish = next;
      else if (!over) later(0, next);
    },
    get due() { return performance.now() >= dueAt; },
    /** Whether the page is being left; it may be taken up again by the back button. */
    get over() { return over; },
    set over(now) {
      over = now;
      if (now) stop();
    },
  };
}
