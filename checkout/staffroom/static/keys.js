// Keys of staff: what one is asked, and what it answered, as the server writes them (WebAuthn, JSON).

const paper = document.querySelector("meta[name=staff-csrf]")?.content;

const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (list) => (list ?? []).map((one) => ({ ...one, id: octets(one.id) }));

export class Told extends Error {}

export async function call(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "staff-csrf": paper },
    body: JSON.stringify(body),
  });
  const plain = await answer.json();
  if (!answer.ok) throw new Told(plain.detail);
  return plain;
}

export async function made(options) {
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

export async function prove() {
  const answer = await answered(await call("/staff/proof/options", {}));
  return (await call("/staff/proof", { answer })).code;
}
