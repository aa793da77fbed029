// The office: a key where a code could be typed, and one press of each button. Everything works without.

import { Told, prove } from "./keys.js";

const fault = document.getElementById("fault");
const { touch, failed } = document.body.dataset;

/* A form that is on its way is not sent again; who comes back to the page may. */
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) return event.preventDefault();
  event.target.dataset.sent = "yes";
  for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  }
});

if (window.PublicKeyCredential) {
  for (const button of document.querySelectorAll("[data-key]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      if (!button.form.reportValidity()) return;
      button.disabled = true;
      fault.textContent = touch;
      try {
        button.form.elements.code.value = await prove();
        fault.textContent = "";
        button.form.requestSubmit();
      } catch (error) {
        fault.textContent = error instanceof Told ? error.message : failed;
      }
      button.disabled = false;
    });
  }
}

/* Where a picture is wider than the window, its newest end is seen first. */
for (const drawn of document.querySelectorAll(".chart .drawn")) drawn.scrollLeft = drawn.scrollWidth;

/* On a phone the lists of pages are wider than the window: where one is, is seen. */
for (const here of document.querySelectorAll("nav [aria-current]")) {
  here.closest("ul").scrollLeft = here.offsetLeft - here.closest("ul").offsetLeft - 16;
}
