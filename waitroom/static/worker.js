/**
 * Worker: keeps the notification of a turn, and leads a press on it back to the page. It has no cache and sees no request.
 *
 * `data` of a notification is {page, room}: the address that asked for it, with its fragment, which stays in this browser;
 * of one that was pushed, because nobody had the page open, the room's page. Where somebody looks at that page, it tells
 * by itself, and what was pushed is shown in silence: a browser wants to see something for every push.
 */

const bare = (address) => address.split("#")[0];
const within = (url, page) => new URL(url).origin + new URL(url).pathname === page.split(/[?#]/)[0];

/** Show what was pushed: {title, body, page, tag, lang}; a second message of a place stands where the first stood. */
async function pushed(told) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const seen = pages.some(({ url, visibilityState }) => visibilityState === "visible" && within(url, told.page));
  return self.registration.showNotification(told.title, {
    body: told.body, tag: told.tag, lang: told.lang, renotify: !seen, silent: seen, requireInteraction: !seen,
    data: { page: told.page },
  });
}

async function answer({ action, notification: { data } }) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => bare(url) === bare(data.page) || within(url, data.page));
  if (action === "more" && page) return page.postMessage({ more: data.room });
  return page ? page.focus() : self.clients.openWindow(data.page);
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("push", (event) => event.data && event.waitUntil(pushed(event.data.json())));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(answer(event));
});
