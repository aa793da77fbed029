/**
 * Notice: tells the turn outside of the page, by the browser's own notification.
 *
 * A service worker shows it (worker.js): phones allow it to nobody else, it can carry a button, and a press finds the
 * page again, also one that was closed. Where there is none yet, the page shows it itself. Loaded for who said yes.
 */

/** Open the notices of a room. A press on "more time" there is a press on the page's own button. */
export function openNotices(words, room, name, icon) {
  const here = new URL(import.meta.url), tag = `waitroom-${room}`;
  const workers = navigator.serviceWorker;
  let registration = null, own = null, wanted = false;

  // Its scope is the folder of our files: it stands between no page and the network.
  workers?.register(new URL(`worker.js${here.search}`, here)).then((found) => { registration = found; }, () => {});
  workers?.addEventListener("message", ({ data }) => {
    if (data?.more === room) document.getElementById("more").click();
  });

  async function close() {
    wanted = false;
    own?.close();
    own = null;
    for (const one of (await registration?.getNotifications({ tag }).catch(() => [])) ?? []) one.close();
  }

  return {
    close,
    /** Show it, or another in its place; `leftMs` is how long the turn is kept, `more` offers more time. */
    async show(leftMs, more = false) {
      wanted = true;
      const title = `${words.text("notify.title")} · ${name}`;
      const body = leftMs > 0 ? words.text("notify.body", { span: words.span(leftMs) }) : "";
      const options = { body, tag, renotify: more, icon: icon?.href, requireInteraction: true };
      try {
        await registration.showNotification(title, {
          ...options, data: { page: location.href, room },
          actions: more ? [{ action: "more", title: words.text("action.more-time") }] : [],
        });
      } catch {
        try {
          own = new Notification(title, options);
          own.onclick = () => {
            globalThis.focus();
            close();
          };
        } catch {
          // Neither is allowed: sound and title are all there is.
        }
      }
      if (!wanted) close();
    },
  };
}
