/**
 * Pay: card fields of the provider on the page of an order; what is entered there goes to the provider and not here.
 *
 * The page says without a script that one is needed; here it says instead how far the fields are. The form's button shows
 * as soon as the fields can be used. Sending asks the provider for a token, puts it into the form and sends the form as
 * it would be sent without a script. Every text comes with the form, in the page's language.
 */

const form = document.getElementById("fields"), said = document.getElementById("fields-said");
const wrong = document.getElementById("fields-wrong"), frame = document.getElementById("card");
const button = form.querySelector("button");

/** Script and frame that have not come by then do not come: blocked without a word, or a line that is too bad. */
const PATIENCE_MS = 20_000;

const show = (node, text) => {
  node.textContent = text;
  node.hidden = !text;
};

function giveUp() {
  clearTimeout(patience);
  button.hidden = true;
  frame.hidden = true;
  show(said, "");
  show(wrong, form.dataset.blocked);
}

/** The page's own colours and size, which the frame does not inherit. */
function look() {
  const { color, fontSize } = getComputedStyle(frame), soft = getComputedStyle(said).color;
  return { base: { color, fontSize, iconColor: soft, "::placeholder": { color: soft } }, invalid: { color } };
}

function open() {
  const stripe = globalThis.Stripe(form.dataset.key, { locale: document.documentElement.lang });
  const card = stripe.elements().create("card", { style: look(), disableLink: true });
  card.on("ready", () => {
    clearTimeout(patience);
    show(said, "");
    show(wrong, "");
    frame.hidden = false;
    button.hidden = false;
  });
  card.on("change", ({ error }) => show(wrong, error?.message ?? ""));
  card.mount(frame);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    show(wrong, "");
    show(said, form.dataset.sending);
    let answer = {};
    try {
      answer = await stripe.createPaymentMethod({ type: "card", card });
    } catch {
      // What the provider's script cannot do is told as what did not work.
    }
    const token = answer.paymentMethod?.id;
    if (token) {
      form.elements.method.value = token;
      form.submit();
      return;
    }
    button.disabled = false;
    show(said, "");
    show(wrong, answer.error?.message || form.dataset.failed);
    card.focus();
  });
  // Back by the browser's button: the form may be sent again.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    button.disabled = false;
    show(said, "");
  });
}

show(said, form.dataset.loading);
const patience = setTimeout(giveUp, PATIENCE_MS);
const script = document.createElement("script");
script.src = form.dataset.script;
script.addEventListener("error", giveUp);
script.addEventListener("load", () => {
  try {
    open();
  } catch {
    giveUp();
  }
});
document.head.append(script);
