/**
 * Turn: how the page makes itself heard when it is somebody's turn and nobody looks.
 *
 * Title and badge always; sound, vibration and a notification only for who asked for them by a press, which is also
 * when the browser allows them. The screen may be kept on. Where a browser lacks one of these, its button is not there.
 */

const AGAIN_MS = 30_000;

/** Three soft tones; null where the browser plays none. */
function makeChime() {
  const Sound = globalThis.AudioContext ?? globalThis.webkitAudioContext;
  let context = null;
  return {
    ready: Boolean(Sound),
    /** Must run in the handler of a press once, or browsers keep silent. */
    unlock() {
      context ??= Sound ? new Sound() : null;
      context?.resume().catch(() => {});
    },
    play() {
      if (context?.state !== "running") return;
      [523.25, 659.25, 783.99].forEach((frequency, at) => {
        const tone = context.createOscillator(), loud = context.createGain();
        const since = context.currentTime + at * 0.22;
        tone.frequency.value = frequency;
        loud.gain.setValueAtTime(0, since);
        loud.gain.linearRampToValueAtTime(0.25, since + 0.03);
        loud.gain.exponentialRampToValueAtTime(0.001, since + 0.9);
        tone.connect(loud).connect(context.destination);
        tone.start(since);
        tone.stop(since + 0.95);
      });
    },
  };
}

/** Offer the alerts on the page and sound them. */
export function openTurn(view, words, memory, name) {
  const { notify, awake, aid, icon } = view.part;
  const chime = makeChime();
  const mayNotify = () => globalThis.isSecureContext && "Notification" in globalThis;
  const quiet = icon?.getAttribute("href");
  let timer = 0, notices = null, lock = null, wanted = false;

  const tell = (key) => {
    aid.textContent = words.text(key);
    aid.hidden = false;
  };
  const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

  /** What shows notifications is loaded for who said yes, and for nobody else. */
  async function loadNotices() {
    if (!mayNotify() || Notification.permission !== "granted") return;
    const { openNotices } = await import("./notice.js");
    notices ??= openNotices(words, memory.room, name, icon);
  }

  async function ask() {
    chime.unlock();
    if (memory.wishes.sound) {
      memory.wishes = {};
      pressed(notify, false);
      aid.hidden = true;
      return;
    }
    memory.wishes = { sound: true };
    pressed(notify, true);
    chime.play();
    const allowed = mayNotify() ? await Notification.requestPermission() : "";
    await loadNotices().catch(() => {});
    tell(allowed === "granted" ? "notify.on" : allowed === "denied" ? "notify.denied" : "sound.on");
  }

  async function keepAwake() {
    try {
      lock = await navigator.wakeLock.request("screen");
      tell("awake.on");
    } catch {
      wanted = false;
      tell("awake.failed");
    }
    pressed(awake, wanted);
  }

  notify.hidden = !chime.ready && !mayNotify();
  awake.hidden = !navigator.wakeLock;
  pressed(notify, Boolean(memory.wishes.sound));
  pressed(awake, false);
  notify.addEventListener("click", ask);
  awake.addEventListener("click", () => {
    wanted = !wanted;
    if (wanted) return keepAwake();
    lock?.release();
    aid.hidden = true;
    return pressed(awake, false);
  });
  // A reload forgets that sound was allowed; the next touch of anything brings it back.
  if (memory.wishes.sound) {
    loadNotices().catch(() => {});
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, chime.unlock, { once: true });
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && wanted) keepAwake();
  });

  function sound() {
    chime.play();
    navigator.vibrate?.([200, 100, 200]);
  }

  return {
    /** It is the turn and nobody looks; `leftMs` is how long it is kept. Repeated calls sound it once. */
    alarm(leftMs) {
      if (timer) return;
      if (icon) icon.href = icon.dataset.turn;
      timer = setInterval(() => memory.wishes.sound && sound(), AGAIN_MS);
      if (!memory.wishes.sound) return;
      sound();
      notices?.show(leftMs);
    },
    /** The time to come in is nearly over. */
    warn(leftMs) {
      if (!memory.wishes.sound) return;
      sound();
      notices?.show(leftMs, true);
    },
    /** Somebody looks, or the turn is over. */
    calm() {
      clearInterval(timer);
      timer = 0;
      notices?.close();
      if (icon) icon.href = quiet;
    },
  };
}
