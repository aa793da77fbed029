// Keeps the page and its files, so that a door goes on without a network. VERSION and FILES are written before this.
// Answers of the server are never kept here: what a scanner knows of tickets stands in its own database.

const CACHE = `scan-${VERSION}`;
const PATIENCE_MS = 3000;

const isPage = (url) => /^\/scan\/[a-z0-9][a-z0-9-]*$/.test(url.pathname);

async function keepPages(cache) {
  const open = await self.clients.matchAll({ includeUncontrolled: true, type: "window" });
  const pages = new Set(open.map((one) => new URL(one.url)).filter(isPage).map((url) => url.pathname));
  await Promise.all([...pages].map((path) => cache.add(new Request(path, { cache: "reload" }))));
}

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES);
    await keepPages(cache);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("scan-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

async function page(request, url) {
  const cache = await caches.open(CACHE);
  const late = new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS); });
  const kept = await cache.match(url.pathname);
  const fresh = fetch(request).then(async (answer) => {
    if (answer.ok) await cache.put(url.pathname, answer.clone());
    // A server in trouble takes no page away.
    return answer.status >= 500 && kept ? kept : answer;
  });
  if (!kept) return fresh;
  return (await Promise.race([fresh.catch(() => undefined), late])) ?? kept;
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/scan/static/")) {
    event.respondWith(caches.match(event.request).then((kept) => kept ?? fetch(event.request)));
  } else if (event.request.mode === "navigate" && isPage(url)) {
    event.respondWith(page(event.request, url));
  }
});
