/**
 * Canned: what operators say most often, in the page's language, and what one of them did to this place. Loaded when
 * the first of it is said.
 *
 * The document names a situation only; its text comes from a file beside the words, and a room's own text (theme) lies
 * over it. A failure costs the sentence, never the line: the caller shows nothing and asks again with the next news.
 */

let texts = null;

async function text(key) {
  const { words, texts: own } = document.documentElement.dataset;
  if (!texts) {
    const answer = await fetch(words.replace(/words(.+)js/, "canned$1json"));
    texts = { ...(await answer.json()), ...JSON.parse(own || "{}") };
  }
  return texts[key] ?? "";
}

/** Say a situation. */
export const say = (situation) => text(`canned.${situation}`);

/** Say that the place was evicted, and by which number the organiser knows it. */
export async function evicted(words, place) {
  const told = await text("refused.place-evicted");
  return told && `${told} ${words.text("facts.arrived")}: ${words.text("facts.arrived-value", { n: place.number + 1 })}`;
}
