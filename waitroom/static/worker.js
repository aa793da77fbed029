/**
 * Worker: keeps the notification of a turn, and leads a press on it back to the page. It has no cache and sees no request.
 *
 * `data` of a notification is {page, room}: the address that asked for it, with its fragment, which stays in this browser.
 */

const bare = (address) => address.split("#")[0];

async function answer({ action, notification: { data } }) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => bare(url) === bare(data.page));
  if (action === "more" && page) return page.postMessage({ more: data.room });
  return page ? page.focus() : self.clients.openWindow(data.page);
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(answer(event));
});
