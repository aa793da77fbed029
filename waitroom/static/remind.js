/**
 * Remind: the offer to be told of the turn, by mail or in this browser, also when the page is closed.
 *
 * Loaded when the fan asks for it. Nothing is kept anywhere before the fan has said so; then this browser remembers the
 * choice until the turn (`memory.asked`), so that the page can ask again when the line had to be put back and what the
 * server kept is lost.
 */

const octets = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

/** The browser's push subscription under our key; made anew where it has one of an older key. */
async function subscribed(key) {
  const here = new URL(import.meta.url);
  await navigator.serviceWorker.register(new URL(`worker.js${here.search}`, here));
  const registration = await navigator.serviceWorker.getRegistration(here);
  await active(registration);
  const old = await registration.pushManager.getSubscription();
  const known = old && btoa(String.fromCharCode(...new Uint8Array(old.options.applicationServerKey ?? [])))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  if (old && known === key) return old;
  await old?.unsubscribe();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: octets(key) });
}

/** A worker that is just being installed takes no subscription yet. */
async function active({ active: now, installing, waiting }) {
  const coming = installing ?? waiting;
  if (now || !coming) return;
  await new Promise((resolve) => {
    coming.addEventListener("statechange", () => ["activated", "redundant"].includes(coming.state) && resolve());
  });
}

const plain = (subscription) => {
  const { endpoint, expirationTime, keys } = subscription.toJSON();
  return { endpoint, expirationTime: expirationTime ?? null, keys: { p256dh: keys.p256dh, auth: keys.auth } };
};

/** Ask again, after the line was put back, for what the fan has asked for and not taken back; `anew` also where it is kept. */
export async function askAgain({ wire, words, memory, headers, anew = false }) {
  const { asked } = memory;
  const { json } = await wire.get("remind", headers());
  if ((json.way && !anew) || !(asked.way in (json.offers ?? {}))) return;
  const to = asked.way === "push" ? plain(await subscribed(json.offers.push)) : asked.to;
  const answer = await wire.post("remind", { way: asked.way, to, consent: true, lang: words.tag }, headers());
  if (answer.ok) memory.asked = { ...asked, epoch: answer.json.epoch };
  else if (answer.status < 500 && answer.status !== 429) memory.asked = null;
}

/** Ask anew for a place that has changed its lane, in the stead of what is kept for it. */
export const askAnew = (wire, memory, ticket) =>
  askAgain({
    wire, memory, words: { tag: document.documentElement.lang }, headers: () => ({ "Waitroom-Ticket": ticket }), anew: true,
  });

/** Build the dialog. Its texts come with the answer that says what is offered: most visits never need them. */
export async function openRemind({ wire, words, memory, view, headers, run }) {
  const ask = () => wire.get(`remind?lang=${words.tag}`, headers());
  const { ok, json: { texts } } = await ask();
  if (!ok) throw new Error("the offer cannot be read");
  const say = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const make = (tag, given = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), given);
    node.append(...inside);
    return node;
  };
  const maySubscribe = globalThis.isSecureContext && "PushManager" in globalThis && "serviceWorker" in navigator;
  const title = make("h2", { id: "remind-title", textContent: say("action.remind") });
  const text = make("p"), told = make("p", { className: "small" });
  const fault = make("p", { id: "remind-fault", className: "wrong", hidden: true });
  fault.setAttribute("role", "alert");
  const button = (key, className, given = {}) =>
    make("button", { className, textContent: key in texts ? say(key) : words.text(key), ...given });

  const address = make("input", { id: "remind-to", className: "address", type: "email", required: true, autocomplete: "email", maxLength: 254 });
  const consent = make("input", { id: "remind-consent", type: "checkbox", required: true });
  const label = (id, key) => make("label", { htmlFor: id, textContent: key in texts ? say(key) : words.text(key) });
  const mail = make("form", { className: "asking" },
    make("p", {}, label(address.id, "remind.email"), address),
    make("p", { className: "tick" }, consent, label(consent.id, "remind.consent-mail")),
    make("p", { className: "actions" }, button("remind.send-mail", "button")));
  const sentence = make("p", { id: "remind-push", className: "small", textContent: say("remind.consent-push") });
  const toPush = button("remind.send-push", "button", { type: "button" });
  toPush.setAttribute("aria-describedby", sentence.id);
  const push = make("div", { className: "asking" }, sentence, make("p", { className: "actions" }, toPush));
  const back = button("remind.take-back", "quiet", { type: "button" });
  const remembers = make("p", { className: "small", textContent: say("remind.browser") });
  const close = button("action.close", "quiet", { type: "button" });
  const dialog = make("dialog", { id: "reminding" },
    title, text, fault, push, mail, remembers, told, make("p", { className: "actions" }, back, close));
  dialog.setAttribute("aria-labelledby", title.id);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());

  let state = { offers: {} };

  function wrong(message) {
    fault.hidden = !message;
    fault.textContent = message;
    for (const field of [address, consent]) {
      if (message) field.setAttribute("aria-describedby", fault.id);
      else field.removeAttribute("aria-describedby");
    }
  }

  function show(way, said = "") {
    const offered = !way && Object.keys(state.offers).length > 0;
    text.textContent = way ? say(`remind.on-${way}`)
      : offered ? say("remind.text", { span: words.span((state.minutes ?? 1) * 60_000) }) : "";
    push.hidden = !offered || !("push" in state.offers) || !maySubscribe;
    mail.hidden = !offered || !("mail" in state.offers);
    remembers.hidden = push.hidden && mail.hidden;
    back.hidden = !way;
    told.hidden = !said;
    told.textContent = said;
    view.part.remind.setAttribute("aria-pressed", String(Boolean(way)));
    if (said) view.say(said);
  }

  const reason = ({ json }) =>
    `refused.${json.code}` in texts ? say(`refused.${json.code}`) : say("remind.failed");

  async function wish(way, to) {
    wrong("");
    const answer = await wire.post("remind", { way, to, consent: true, lang: words.tag }, headers())
      .catch(() => ({ json: {} }));
    if (!answer.ok) return wrong(reason(answer));
    memory.asked = { way, run: run(), epoch: answer.json.epoch, ...(way === "mail" ? { to } : {}) };
    address.value = "";
    consent.checked = false;
    show(way);
    view.say(text.textContent);
    return back.focus();
  }

  mail.addEventListener("submit", (event) => {
    event.preventDefault();
    wish("mail", address.value.trim());
  });
  toPush.addEventListener("click", async () => {
    wrong("");
    try {
      if (await Notification.requestPermission() !== "granted") return wrong(say("remind.push-denied"));
      return await wish("push", plain(await subscribed(state.offers.push)));
    } catch (problem) {
      console.error(problem);
      return wrong(say("remind.push-denied"));
    }
  });
  back.addEventListener("click", async () => {
    wrong("");
    memory.asked = null;
    const answer = await wire.post("remind/forget", {}, headers()).catch(() => ({ json: {} }));
    if (!answer.ok) return wrong(reason(answer));
    show("", say("remind.taken-back"));
    return close.focus();
  });

  return {
    async open() {
      wrong("");
      const answer = await ask().catch(() => ({ json: {} }));
      state = { offers: {}, ...(answer.ok ? answer.json : {}) };
      if (answer.ok && !state.way) memory.asked = null;
      show(state.way ?? "");
      if (!answer.ok) wrong(reason(answer));
      else if (!Object.keys(state.offers).length) wrong(say("refused.reminder-not-offered"));
      if (!dialog.open) dialog.showModal();
      title.tabIndex = -1;
      title.focus();
    },
  };
}
