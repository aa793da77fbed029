/**
 * Frame: the sandbox's card field: answers the page around it with a token, as the frame of a real provider does.
 */
const field = document.getElementById("outcome");

const tell = (data) => parent.postMessage(data, "*");

addEventListener("message", ({ source, data }) => {
  if (source !== parent || data.kind !== "create") return;
  const answer = field.value
    ? { paymentMethod: { id: field.value, object: "payment_method", type: "card" } }
    : { error: { type: "validation_error", code: "incomplete_number", message: field.dataset.wrong } };
  tell({ kind: "answer", id: data.id, answer });
});
field.addEventListener("change", () => tell({ kind: "change", complete: field.value !== "", empty: field.value === "" }));
tell({ kind: "ready", title: document.title });
