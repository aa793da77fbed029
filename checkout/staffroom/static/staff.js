// The staff room's keys: makes one, and asks one where a code could be typed. Everything else works without.

import { Told, call, made, prove } from "./keys.js";

const adding = document.getElementById("add-key");
const fault = document.getElementById("fault");

/* One thing at a time, with a word of what is going on. */
async function doing(button, act) {
  button.disabled = true;
  fault.textContent = adding.dataset.touch;
  try {
    await act();
    fault.textContent = "";
  } catch (error) {
    fault.textContent = error instanceof Told ? error.message : adding.dataset.failed;
  }
  button.disabled = false;
}

async function add() {
  const code = adding.elements.code?.value ?? "";
  const answer = await made(await call("/staff/keys/options", { code }));
  const { recovery } = await call("/staff/keys", { answer, label: adding.elements.label.value });
  if (!recovery.length) return location.assign("/staff");
  const list = document.getElementById("codes");
  list.replaceChildren(...recovery.map((code) => Object.assign(document.createElement("li"), { textContent: code })));
  document.getElementById("told").hidden = false;
  adding.hidden = true;
  document.getElementById("told").scrollIntoView();
}

if (adding && window.PublicKeyCredential) {
  adding.hidden = false;
  adding.addEventListener("submit", (event) => {
    event.preventDefault();
    doing(event.submitter ?? adding.querySelector("button:not([type])"), add);
  });
  for (const button of document.querySelectorAll("[data-key]")) {
    button.hidden = false;
    button.addEventListener("click", () =>
      doing(button, async () => {
        button.form.elements.code.value = await prove();
        button.form.requestSubmit();
      }),
    );
  }
} else if (adding) {
  adding.replaceWith(Object.assign(document.createElement("p"), { textContent: adding.dataset.unable, className: "small" }));
}
