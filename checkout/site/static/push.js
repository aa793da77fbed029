/**
 * Push: has this browser told of an order, where somebody wants it and the browser can.
 *
 * The page says nothing of it until this script has seen that it can be done. A browser has one subscription for all
 * orders, made under the page's key; which of them it is told of is remembered here, and kept by the shop. A subscription
 * under a key that does not count any more is made anew. Every text comes with the page, in its language.
 */

const box = document.getElementById("push"), said = document.getElementById("push-said");
const on = document.getElementById("push-on"), off = document.getElementById("push-off");
const { key, keys, path, order, worker, scope } = box.dataset;
const PREFIX = "push:";

const octets = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
const written = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Which orders this browser is told of; a browser that remembers nothing offers it each time. */
const memory = {
  get: () => {
    try { return localStorage.getItem(PREFIX + order); } catch { return null; }
  },
  set: (endpoint) => {
    try { localStorage.setItem(PREFIX + order, endpoint); } catch { /* It is told all the same. */ }
  },
  drop: () => {
    try {
      localStorage.removeItem(PREFIX + order);
      return !Object.keys(localStorage).some((name) => name.startsWith(PREFIX));
    } catch {
      return false;
    }
  },
};

function show(isTold, text = "") {
  on.hidden = isTold;
  off.hidden = !isTold;
  on.disabled = off.disabled = false;
  said.textContent = text || (isTold ? box.dataset.told : "");
  box.hidden = false;
}

const post = (to, plain) =>
  fetch(to, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(plain) });

async function existing() {
  const registration = await navigator.serviceWorker.getRegistration(scope);
  return registration?.pushManager.getSubscription();
}

/** A worker that is being installed cannot subscribe yet. */
function active(registration) {
  const made = registration.installing ?? registration.waiting;
  if (registration.active || !made) return registration;
  return new Promise((resolve, reject) => {
    made.addEventListener("statechange", () => {
      if (made.state === "activated") resolve(registration);
      if (made.state === "redundant") reject(new Error(made.state));
    });
  });
}

async function subscribed() {
  const registration = await active(await navigator.serviceWorker.register(worker, { scope }));
  let own = await registration.pushManager.getSubscription();
  if (own && !keys.split(" ").includes(written(own.options.applicationServerKey))) {
    await own.unsubscribe();
    own = null;
  }
  return own ?? registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: octets(key) });
}

async function begin() {
  if ((await Notification.requestPermission()) !== "granted") {
    show(false, box.dataset.denied);
    on.hidden = Notification.permission === "denied";
    return;
  }
  const own = await subscribed();
  const { endpoint, expirationTime, keys: pair } = own.toJSON();
  const answer = await post(path, {
    subscription: { endpoint, expirationTime, keys: { p256dh: pair.p256dh, auth: pair.auth } },
    key: written(own.options.applicationServerKey),
  });
  if (!answer.ok) throw new Error(answer.status);
  memory.set(endpoint);
  show(true);
}

async function end() {
  const endpoint = memory.get(), answer = await post(`${path}/forget`, { endpoint });
  if (!answer.ok) throw new Error(answer.status);
  if (memory.drop()) await (await existing())?.unsubscribe();
  show(false);
}

function doing(act, isTold) {
  return async () => {
    on.disabled = off.disabled = true;
    said.textContent = "";
    try {
      await act();
    } catch {
      show(isTold, box.dataset.failed);
    }
    (on.hidden ? off : on).focus();
  };
}

if (navigator.serviceWorker && globalThis.PushManager && globalThis.Notification?.permission !== "denied") {
  on.addEventListener("click", doing(begin, false));
  off.addEventListener("click", doing(end, true));
  const own = await existing().catch(() => null);
  show(Boolean(own) && own.endpoint === memory.get());
}
