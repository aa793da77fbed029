// The staff room's keys: makes one, and asks one where a code could be typed. Everything else works without.

const paper = document.querySelector("meta[name=staff-csrf]")?.content;
const adding = document.getElementById("add-key");
const fault = document.getElementById("fault");

const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (list) => (list ?? []).map((one) => ({ ...one, id: octets(one.id) }));

class Told extends Error {}

async function call(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "staff-csrf": paper },
    body: JSON.stringify(body),
  });
  const plain = await answer.json();
  if (!answer.ok) throw new Told(plain.detail);
  return plain;
}

/* What a key is asked, and what it answered, as the server writes them (WebAuthn, JSON). */
async function made(options) {
  const own = {
    ...options,
    challenge: octets(options.challenge),
    user: { ...options.user, id: octets(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  };
  const key = await navigator.credentials.create({ publicKey: own });
  return written(key, { attestationObject: text(key.response.attestationObject) });
}

async function answered(options) {
  const own = { ...options, challenge: octets(options.challenge), allowCredentials: named(options.allowCredentials) };
  const key = await navigator.credentials.get({ publicKey: own });
  const { authenticatorData, signature } = key.response;
  return written(key, { authenticatorData: text(authenticatorData), signature: text(signature) });
}

function written(key, more) {
  return {
    id: key.id,
    rawId: text(key.rawId),
    type: key.type,
    response: { clientDataJSON: text(key.response.clientDataJSON), ...more },
  };
}

async function prove() {
  const answer = await answered(await call("/staff/proof/options", {}));
  return (await call("/staff/proof", { answer })).code;
}

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
