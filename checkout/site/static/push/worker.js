// Shows what the shop tells of an order, also while none of its pages is open, and leads to the page that it is about.
// It has no page in its scope and keeps nothing. Every word comes with the message, in the language of who is told.

function read(data) {
  try {
    return data.json();
  } catch {
    // A browser wants something to be shown for each message, also for one that cannot be read.
    return {};
  }
}

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));

self.addEventListener("push", (event) => {
  const { title, body = "", tag = "", lang = "", dir = "auto", path = "/" } = read(event.data);
  event.waitUntil(self.registration.showNotification(title || self.location.host, { body, tag, lang, dir, data: { path } }));
});

async function lead(path) {
  const url = new URL(path, self.location.origin);
  if (url.origin !== self.location.origin) return;
  const open = await self.clients.matchAll({ includeUncontrolled: true, type: "window" });
  const there = open.find((one) => new URL(one.url).pathname === url.pathname);
  await (there ? there.focus() : self.clients.openWindow(url.href));
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(lead(event.notification.data.path));
});
