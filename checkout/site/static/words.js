/**
 * Words: the shop's texts in the visitor's language, with the browser's own numbers, money, plurals and clocks.
 *
 * The texts come from a module that the server makes of checkout/site/languages/{tag}.json; none stand in code. Money is whole
 * minor units and a currency; how the sign stands beside the amount is told by the server, because browsers disagree on it,
 * and so is how many decimals there are: a browser may know them otherwise than whoever counts.
 */

const USUAL_DECIMALS = 2;

/**
 * `money` is what stands beside an amount by currency, {EUR: {form: "{n} €", digits, least}}; with `least` decimals an
 * amount is written that has none but noughts behind them. `decimals` are those of every currency where they are not two.
 */
export function openWords(texts, tag, money, decimals = {}) {
  const western = (options) => new Intl.NumberFormat(`${tag}-u-nu-latn`, { useGrouping: "always", ...options });
  const plural = new Intl.PluralRules(tag), numbers = western();
  const number = (n) => numbers.format(n);
  const amounts = new Map();
  const amount = (n, decimals) => {
    if (!amounts.has(decimals)) amounts.set(decimals, western({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
    return amounts.get(decimals).format(n);
  };
  // Where a language runs from right to left, what is put into a sentence keeps its own order.
  const isolated = texts["language.direction"] === "rtl" ? (text) => `\u2068${text}\u2069` : (text) => text;

  function text(key, values = {}) {
    let found = texts[key];
    if (found === undefined) throw new Error(`no words for ${key}`);
    if (typeof found === "object") found = found[plural.select(values.n)] ?? found.other;
    return found.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? number(value) : isolated(value ?? "");
    });
  }

  return {
    text, number,
    has: (key) => key in texts,
    money(minor, currency) {
      const usual = decimals[currency] ?? USUAL_DECIMALS;
      const { form, digits, least } = money[currency] ?? { form: `{n} ${currency}`, digits: usual, least: usual };
      const shown = minor % 10 ** (digits - least) ? digits : least;
      return form.replace("{n}", amount(minor / 10 ** digits, shown));
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
