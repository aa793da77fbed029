/**
 * The waiting page: keeps a fan's place, tells it honestly, and claims the turn by itself.
 *
 * ES modules without a build step, nothing loaded from elsewhere; what they need stands in the attributes of <html>:
 * data-room, -prefix, -target, -name, -words (the texts), -texts (a room's own). Each module is one idea:
 *
 *   rules, draw  what follows from the public document (pure)      model  what a state shows, in words (pure)
 *   words        texts, numbers, dates in the visitor's language   view   the page
 *   memory       what this browser keeps                           turn   making oneself heard
 *   wire         the server and its clock                          tabs   one place for several tabs
 *   visit        what happens when                                 carry  to another device (loaded when asked for)
 *   notice       notifications outside of the page, shown by worker (loaded when asked for)
 *   remind       being told by mail or push, also when the page is closed (loaded when asked for)
 *   bind         the key of this browser (loaded before all others in rooms that bind places to it)
 *   preview      every state with made-up figures (loaded on preview pages alone)
 */

import { flavour, openWords } from "./words.js";
import { visit } from "./visit.js";

const html = document.documentElement;

/** Load the texts. A module that failed to load is remembered as failed, so each try has its own address. */
async function texts() {
  for (let tries = 0; ; tries += 1) {
    try {
      return (await import(html.dataset.words + (tries ? `&again=${tries}` : ""))).default;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, Math.min(30, 2 ** tries) * 1000));
    }
  }
}

async function begin() {
  const found = { ...(await texts()), ...JSON.parse(html.dataset.texts || "{}") };
  const words = openWords(found, html.lang, flavour(html.lang, navigator.languages));
  if (html.dataset.preview) (await import("./preview.js")).preview(words);
  else visit(words);
}

begin();
