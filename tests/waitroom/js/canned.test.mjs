// Canned messages: the page asks for them beside its words, once, and a room's own text lies over them.

import assert from "node:assert/strict";
import test from "node:test";

import { evicted, say } from "../../../waitroom/static/canned.js";

test("the texts are asked for beside the words, until they are there, and then never again", async () => {
  const asked = [];
  let away = true;
  globalThis.document = {
    documentElement: {
      dataset: { words: "/.waitroom/static/words.ar.js?v=0123456789ab", texts: '{"canned.pause":"own"}' },
    },
  };
  globalThis.fetch = async (address) => {
    asked.push(address);
    if (away) throw new TypeError("away");
    return { json: async () => ({ "canned.delay": "later", "canned.pause": "wait", "refused.place-evicted": "out" }) };
  };

  await assert.rejects(say("delay"));
  away = false;
  assert.equal(await say("delay"), "later");
  assert.equal(await say("pause"), "own");
  assert.equal(await say("unheard"), "");
  const words = { text: (key, { n } = {}) => (n === undefined ? key : `${key}=${n}`) };
  assert.equal(await evicted(words, { number: 41 }), "out facts.arrived: facts.arrived-value=42");
  assert.deepEqual(asked, Array(2).fill("/.waitroom/static/canned.ar.json?v=0123456789ab"));
});
