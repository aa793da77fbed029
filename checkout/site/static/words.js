/**
 * Words: the shop's texts in the visitor's language, with the browser's own numbers, money, plurals and clocks.
 *
 * The texts come from a module that the server makes of checkout/site/languages/{tag}.json; none stand in code. Money is whole
 * minor units and a currency; how the sign stands beside the amount is told by the server, because browsers disagree on it.
 */

/** `money` is {currency, form: "{n} €", digits}, the page's own currency. */
export function openWords(texts, tag, money) {
  const western = (options) => new Intl.NumberFormat(`${tag}-u-nu-latn`, options);
  const plural = new Intl.PluralRules(tag), numbers = western();
  const number = (n) => numbers.format(n);
  const moneys = new Map();

  function text(key, values = {}) {
    let found = texts[key];
    if (found === undefined) throw new Error(`no words for ${key}`);
    if (typeof found === "object") found = found[plural.select(values.n)] ?? found.other;
    return found.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? number(value) : value ?? "";
    });
  }

  return {
    text, number,
    has: (key) => key in texts,
    money(minor, currency) {
      if (!moneys.has(currency)) {
        const own = currency === money.currency;
        const format = western(own
          ? { minimumFractionDigits: money.digits, maximumFractionDigits: money.digits } : { style: "currency", currency });
        moneys.set(currency, [format, 10 ** format.resolvedOptions().maximumFractionDigits, own ? money.form : "{n}"]);
      }
      const [format, unit, form] = moneys.get(currency);
      return form.replace("{n}", format.format(minor / unit));
    },
    /** A span as a clock: 2:05, and with hours 1:02:05; whole days from two days on. */
    clock(ms) {
      const seconds = Math.max(0, Math.ceil(ms / 1000));
      if (seconds >= 172_800) return text("span.days", { n: Math.floor(seconds / 86_400) });
      const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
      const two = (n) => String(n).padStart(2, "0");
      return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
    },
    /** A span in words, rounded: for reading aloud. */
    span(ms) {
      const seconds = Math.max(0, Math.round(ms / 1000));
      if (seconds < 90) return text("span.seconds", { n: seconds });
      return text("span.minutes", { n: Math.round(seconds / 60) });
    },
    list: (items) => new Intl.ListFormat(tag, { type: "conjunction" }).format(items),
  };
}
