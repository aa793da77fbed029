/**
 * Code: the page of a priority code. Takes the code out of the link, and keeps the ticket that comes back.
 *
 * What is refused is told by the server's own page, in the fan's language: the form is then sent as it would be without
 * a script.
 */

import { openMemory } from "./memory.js";
import { openWire } from "./wire.js";

const own = document.documentElement.dataset;
const form = document.getElementById("form"), field = document.getElementById("code");
const memory = openMemory(own.room), wire = openWire(own.prefix, own.room);
const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";

if (/^[\w -]{16,64}$/.test(code)) {
  field.value = code;
  history.replaceState(null, "", location.pathname + location.search);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { place } = memory;
  const headers = navigator.cookieEnabled === false && place?.ticket ? { "Waitroom-Ticket": place.ticket } : {};
  const answer = await wire.post("code", { code: field.value }, headers).catch(() => null);
  if (!answer?.ok) return form.submit();
  const { run, number, lane, ticket } = answer.json;
  if (ticket && place?.run === run && place.number === number) memory.place = { ...place, lane, ticket };
  return location.replace(own.back);
});
