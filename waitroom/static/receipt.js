/**
 * Receipt: saves a place's receipt where a link cannot, because only a header says whose it is. Loaded when pressed.
 */

/** Fetch the receipt and hand it to the browser as a file. */
export async function save(wire, headers, room) {
  const { ok, text } = await wire.get("receipt", headers);
  if (!ok) return;
  const href = URL.createObjectURL(new Blob([text], { type: "application/jwt" }));
  Object.assign(document.createElement("a"), { href, download: `${room}.jwt` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
