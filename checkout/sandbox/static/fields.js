/**
 * Fields: the part of Stripe.js that a shop's page uses, for the sandbox. A classic script, as Stripe's is.
 *
 * The page gets a frame of the sandbox's own address; what is chosen there never comes here, only the token that was
 * made of it, or why there is none. Messages are taken from that frame and that address alone.
 */
(() => {
  const home = new URL(document.currentScript.src).origin;
  const HEIGHT_PX = 48;

  function makeCard(key, locale) {
    const heard = new Map(), waiting = new Map();
    let frame = null, serial = 0;

    addEventListener("message", ({ source, origin, data }) => {
      if (!frame || source !== frame.contentWindow || origin !== home) return;
      if (data.kind === "answer") {
        waiting.get(data.id)?.(data.answer);
        waiting.delete(data.id);
        return;
      }
      if (data.kind === "ready") frame.title = data.title;
      for (const hear of heard.get(data.kind) ?? []) hear({ elementType: "card", ...data });
    });

    return {
      mount(where) {
        const node = typeof where === "string" ? document.querySelector(where) : where;
        frame = document.createElement("iframe");
        frame.name = "sandbox-card";
        frame.src = `${home}/fields?${new URLSearchParams({ key, locale })}`;
        frame.height = String(HEIGHT_PX);
        frame.setAttribute("frameborder", "0");
        node.replaceChildren(frame);
      },
      on(kind, hear) {
        heard.set(kind, [...(heard.get(kind) ?? []), hear]);
        return this;
      },
      focus: () => frame?.focus(),
      /** Ask the frame for a token. */
      ask() {
        serial += 1;
        const id = serial;
        return new Promise((resolve) => {
          waiting.set(id, resolve);
          frame.contentWindow.postMessage({ kind: "create", id }, home);
        });
      },
    };
  }

  globalThis.Stripe = (key, { locale = "auto" } = {}) => ({
    elements: () => ({
      create(kind) {
        if (kind !== "card") throw new Error(`the sandbox has no element ${kind}`);
        return makeCard(key, locale);
      },
    }),
    async createPaymentMethod({ type, card }) {
      if (type !== "card") throw new Error(`the sandbox has no method ${type}`);
      return card.ask();
    },
  });
})();
