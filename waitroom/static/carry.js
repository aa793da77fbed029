/**
 * Carry: takes a place to another device, or out of an app's browser, by a link that works once.
 *
 * Loaded when the dialog opens, with the code's drawing (qr.js). The link is put together here, because only the
 * browser knows by which address this page is reached; the code stands behind its number sign, which no server sees.
 */

import { encode } from "./qr.js";

const ASK_MS = 3000;
/** A clock that lags a second behind the server's must not promise more. */
const LASTS_MS = 300_000;
const SVG = "http://www.w3.org/2000/svg";

/** The address that brings a place along. */
export const carryLink = (origin, base, target, code) =>
  `${origin}${base}?${new URLSearchParams({ target })}#carry=${code}`;

/** The path of a code's dark modules, one unit each, with a quiet zone of four. */
export function codePath(text) {
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  let path = "";
  data.forEach((row, y) => row.forEach((dark, x) => { if (dark) path += `M${x} ${y}h1v1h-1z`; }));
  return { path, size };
}

function picture(text, label) {
  const { path, size } = codePath(text);
  const svg = document.createElementNS(SVG, "svg"), dark = document.createElementNS(SVG, "path");
  for (const [name, value] of Object.entries({
    class: "code", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges",
  })) svg.setAttribute(name, value);
  dark.setAttribute("d", path);
  svg.append(dark);
  return svg;
}

/** Build the dialog. `taken` runs when the other device has the place. */
export function openCarry({ wire, words, clock, view, target, headers, taken }) {
  const make = (tag, given = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), given);
    node.append(...inside);
    return node;
  };
  let code = null, watch = "", untilMs = 0, timer = 0;

  const left = make("p", { className: "small" });
  const spot = make("div", { className: "spot" });
  const field = make("input", { readOnly: true, className: "address", dir: "ltr" });
  field.setAttribute("aria-label", words.text("carry.link"));
  const copy = make("button", { className: "button", type: "button", autofocus: true });
  const share = make("button", { className: "quiet", type: "button", textContent: words.text("action.share") });
  const close = make("button", { className: "quiet", value: "close", textContent: words.text("action.close") });
  share.hidden = !navigator.share;
  const title = make("h2", { id: "carry-title", textContent: words.text("carry.title") });
  const dialog = make("dialog", { id: "carrying" }, make("form", { method: "dialog" },
    title,
    make("p", { textContent: words.text("carry.text") }),
    spot, field,
    make("p", { className: "small", textContent: words.text("carry.care") }),
    left,
    make("p", { className: "actions" }, copy, share, close),
  ));
  dialog.setAttribute("aria-labelledby", title.id);
  document.body.append(dialog);

  copy.addEventListener("click", async () => {
    field.select();
    try {
      // Plain HTTP has no clipboard: the old command still copies what is selected.
      if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
      else if (!document.execCommand("copy")) return;
      copy.textContent = words.text("carry.copied");
      view.say(words.text("said.copied"));
    } catch {
      // The link stands there, selected.
    }
  });
  share.addEventListener("click", () => navigator.share({ url: field.value }).catch(() => {}));
  dialog.addEventListener("close", () => clearInterval(timer));

  /** Ask what became of the link; the old device is told even when its dialog is closed. */
  async function check() {
    if (!code) return;
    const { json } = await wire.get(`carry/${watch}`).catch(() => ({ json: {} }));
    if (json.state === "taken") {
      code = null;
      dialog.close();
      taken();
    } else if (json.state === "gone" || clock.now() > untilMs + 10_000) code = null;
  }

  function tick(at) {
    const leftMs = Math.min(untilMs - clock.now(), LASTS_MS);
    left.textContent = leftMs > 0 && code
      ? words.text("carry.left", { clock: words.clock(leftMs) }) : words.text("carry.gone");
    spot.hidden = field.hidden = copy.hidden = leftMs <= 0 || !code;
    if (at % ASK_MS === 0) check();
  }

  async function open() {
    copy.textContent = words.text("action.copy");
    if (!dialog.open) dialog.showModal();
    const answer = await wire.post("carry", { target }, headers()).catch(() => ({ ok: false }));
    if (!answer.ok) {
      left.textContent = words.text("carry.failed");
      spot.hidden = field.hidden = copy.hidden = share.hidden = true;
      return;
    }
    ({ code, watch, expires_ms: untilMs } = answer.json);
    field.value = carryLink(location.origin, wire.base, target, code);
    spot.replaceChildren(picture(field.value, words.text("carry.code")));
    let at = 0;
    tick(1);
    clearInterval(timer);
    timer = setInterval(() => tick((at += 1000)), 1000);
  }

  return { open, check };
}
