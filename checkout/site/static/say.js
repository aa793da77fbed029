/**
 * Say: announcements for who listens. Polite ones wait until the last has been heard, and a newer one of the same kind
 * takes the place of one that still waits; what cannot wait is an alert.
 */

const BREATH_MS = 1500;

export function openVoice(polite, urgent) {
  const waiting = new Map();
  let timer = 0, spokeAt = -Infinity;

  function put(node, text) {
    // The same words again are only heard again when the node was empty between.
    node.textContent = "";
    requestAnimationFrame(() => { node.textContent = text; });
  }

  function next() {
    timer = 0;
    const [kind] = waiting.keys();
    if (kind === undefined) return;
    put(polite, waiting.get(kind));
    waiting.delete(kind);
    spokeAt = performance.now();
    if (waiting.size) timer = setTimeout(next, BREATH_MS);
  }

  return {
    say(text, kind = "") {
      waiting.delete(kind);
      waiting.set(kind, text);
      if (!timer) timer = setTimeout(next, Math.max(0, spokeAt + BREATH_MS - performance.now()));
    },
    alert: (text) => put(urgent, text),
  };
}
