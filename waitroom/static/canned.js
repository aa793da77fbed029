/**
 * Canned: what operators say most often, in the page's language. Loaded when the first of it is said.
 *
 * The document names a situation only; its text comes from a file beside the words, and a room's own text (theme) lies
 * over it. A failure costs the sentence, never the line: the caller shows nothing and asks again with the next news.
 */

let texts = null;

/** Say a situation. */
export async function say(situation) {
  const { words, texts: own } = document.documentElement.dataset;
  if (!texts) {
    const answer = await fetch(words.replace(/words(.+)js/, "canned$1json"));
    texts = { ...(await answer.json()), ...JSON.parse(own || "{}") };
  }
  return texts[`canned.${situation}`] ?? "";
}
