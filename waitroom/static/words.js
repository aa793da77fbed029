/**
 * Words: the texts of the page in the visitor's language, with the browser's own numbers, plurals and dates.
 *
 * The texts come from a module that the server makes of waitroom/languages/{tag}.json; none stand in code. The same
 * words as waitroom/words.py, Western digits in every language; tests/vectors/words.json holds both to them.
 */

import { clockParts, roundedWait } from "./rules.js";

const COARSE_MIN = 90;

/** Open a catalogue. `own` is the visitor's flavour of the language (en-GB), for dates. */
export function openWords(texts, tag, own = tag) {
  const plural = new Intl.PluralRules(tag);
  const western = (options) => new Intl.NumberFormat(`${tag}-u-nu-latn`, options);
  const numbers = western({ useGrouping: "always" }), percents = western({ style: "percent" });
  const number = (n) => numbers.format(n);

  function text(key, values = {}, count = values.n) {
    let found = texts[key];
    if (found === undefined) throw new Error(`no words for ${key}`);
    if (typeof found === "object") found = found[plural.select(count)] ?? found.other;
    return found.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? number(value) : value ?? "";
    });
  }

  const figure = (min) => {
    if (min <= COARSE_MIN) return number(min);
    const hours = number(Math.floor(min / 60));
    return min % 60 ? text("wait.half", { hours }) : hours;
  };

  return {
    text, number, tag,
    has: (key) => key in texts,
    percent: (share) => percents.format(share),
    moment: (ms) =>
      new Intl.DateTimeFormat(`${own}-u-nu-latn`, {
        weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
      }).format(ms),
    /** A length of time in its largest fitting unit. */
    span(ms) {
      const s = ms / 1000;
      if (Math.round(s) < 60) return text("span.seconds", { n: Math.round(s) });
      if (s <= COARSE_MIN * 60) return text("span.minutes", { n: Math.round(s / 60) });
      if (s < 172800) return text("span.hours", { n: Math.round(s / 3600) });
      return text("span.days", { n: Math.round(s / 86400) });
    },
    /** A span as a clock; from two days on, whole days. */
    clock(ms) {
      const parts = clockParts(ms);
      return parts.text ?? text("span.days", { n: parts.days });
    },
    /** An interval in words that promise no more than it does. */
    wait(interval) {
      const { kind, low, high } = roundedWait(interval.low, interval.high);
      if (kind === "day") return text("wait.more-than-a-day");
      if (kind === "many") return text("wait.many-hours");
      if (kind === "less" && high <= 1) return text("wait.minute");
      const hours = high > COARSE_MIN;
      let key = hours ? "wait.less-than-hours" : "wait.less-than";
      if (kind === "about") key = hours ? "wait.about-hours" : "wait.about-minutes";
      if (kind === "between") {
        key = !hours ? "wait.between-minutes" : low <= COARSE_MIN ? "wait.between-both" : "wait.between-hours";
      }
      return text(key, { n: figure(high), low: figure(low) }, hours ? high / 60 : high);
    },
  };
}

/** The page's language in the visitor's own flavour, where they have one. */
export const flavour = (tag, wanted) => wanted?.find((one) => one.split("-")[0] === tag.split("-")[0]) ?? tag;
