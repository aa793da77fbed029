// Acts: the step before the big button as a dialog, and what three shares are in calls a minute.
// Without this script the button leads to a page of its own, and the shares are shown as they are now.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (!dialog?.showModal) return;
  event.preventDefault();
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("button").focus();
});

/** A message is a ready one or one's own words: choosing the one leaves the other. */
function choose({ target }) {
  const own = document.getElementById("message"), ready = document.getElementById("situation");
  if (target === ready && ready.value) own.value = "";
  if (target === own && own.value) ready.value = "";
}

function tell(field) {
  const share = Number(field.value.replace(",", ".")) / 100;
  const calls = share * Number(field.closest("[data-rate]").dataset.rate);
  const output = document.querySelector(`output[for="${field.id}"]`);
  const digits = calls >= 10 || Number.isInteger(calls) ? 0 : 1;
  output.textContent = Number.isFinite(calls) ? `${calls.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} a minute` : "";
}

document.addEventListener("input", (event) => {
  choose(event);
  if (event.target.matches("[data-share]")) tell(event.target);
});

// Whoever typed before this script was there is told, too.
for (const field of document.querySelectorAll("[data-share]")) if (field.value !== field.defaultValue) tell(field);
