/**
 * Model: what the page shows of a state, in words, ready to be put on it. Pure: all it needs is given.
 *
 * `told` is what is known: {state, rank, ahead, doc, place, now, name} and, where a state has them, wait (an
 * interval), claimUntilMs, opensMs, reason, href, heldBack, near.
 */

const FIGURED = new Set(["drawn", "lined", "waiting", "almost"]);
const TURN = new Set(["called", "next", "recall", "admitted"]);
const OVER = new Set(["used", "left", "carried", "ended", "moved", "refused", "cookies", "open", "admitted"]);
/** States whose last plan stays in sight although nothing new is heard. */
const KEPT = new Set(["offline", "away", "paused", "next", "recall", ...FIGURED]);

/** The label of the one button that a state offers, or "". */
const AGAIN = {
  used: "action.new-place", left: "action.new-place", carried: "action.new-place",
  refused: "action.again", cookies: "action.again", recall: "action.come-in", called: "action.come-in",
};

/** Tell whether a state is the fan's turn. */
export const isTurn = (state) => TURN.has(state);
/** Tell whether nothing is asked for any more in a state, so that no news of the connection matters. */
export const isOver = (state) => OVER.has(state);

function sentences(words, told, wait) {
  const { state, doc, place, now } = told;
  const key = (part) => `state.${state}.${part}`;
  const text = (part, values) => words.text(key(part), values);
  const result = { stage: text("stage"), headline: text("headline"), detail: text("detail", { wait }) };
  switch (state) {
    case "before":
      if (told.opensMs) result.detail = text("detail-opens", { time: words.moment(told.opensMs) });
      break;
    case "gathering":
      if (doc.starts_ms > now) result.detail = text("detail-starts", { time: words.moment(doc.starts_ms) });
      break;
    case "drawn":
    case "lined":
    case "waiting":
    case "almost":
      if (told.ahead) result.headline = "";
      if (!wait) result.detail = text("detail-unknown");
      break;
    case "called":
      if (told.heldBack) {
        result.headline = "";
        result.detail = words.text("turn.kept");
      }
      break;
    case "recall":
      if (!told.heldBack) result.detail = text("detail-waiting");
      break;
    case "paused":
      if (told.ahead) result.headline = "";
      break;
    case "soldout":
      if (place) result.detail = text("detail-returns");
      break;
    case "moved":
      if (told.href) result.detail = text("detail-link");
      break;
    case "offline":
      if (!place) Object.assign(result, { headline: result.stage, detail: text("detail-no-place") });
      break;
    case "away":
      if (!place) result.detail = text("detail-no-place");
      break;
    case "refused":
      if (told.reason) result.detail = told.reason;
      break;
    default:
  }
  return result;
}

function rows(words, told, now) {
  const { state, doc, place, rank, ahead } = told;
  if (!doc || !place || OVER.has(state)) return [];
  const found = [];
  const add = (name, value) => found.push([words.text(`facts.${name}`), value]);
  if (doc.phase === "gathering" && doc.starts_ms > now && !["gathering", "drawing"].includes(state)) {
    add("starts", words.clock(doc.starts_ms - now));
  }
  if (rank !== null && doc.draw.seed && place.number < doc.draw.frozen) {
    add("drawn", words.text("facts.drawn-value", { n: rank + 1, all: doc.draw.frozen }));
  }
  add("arrived", words.text("facts.arrived-value", { n: place.number + 1 }));
  const speed = doc.speed_per_minute[place.lane] ?? 0;
  if ((state === "waiting" || state === "almost") && speed > 0) {
    add("speed", words.text("facts.speed-value", { n: speed }));
  }
  if (ahead && place.from > ahead && !TURN.has(state) && state !== "soldout") add("gone", words.text("facts.gone-value", { n: place.from - ahead }));
  if (place.lane === "verified") add("lane", words.text("lane.verified"));
  return found;
}

/** What else deserves a sentence: how sure the estimate is, what is left to buy, why a lane is slow. */
function notes(words, told, wait) {
  const { doc, place, state } = told;
  const found = [];
  if (!doc || OVER.has(state)) return found;
  if (wait && doc.wait && state !== "soldout") {
    found.push(doc.wait.of
      ? words.text("held.text", { percent: words.percent(doc.wait.held) })
      : words.text("held.unknown"));
  }
  if (Number.isInteger(doc.stock?.left)) found.push(words.text("stock.left", { n: doc.stock.left }));
  else if (doc.stock?.state === "last") found.push(words.text("stock.last"));
  if (place?.lane === "suspect") {
    found.push(words.text(told.check === "everybody" ? "lane.why-all" : "lane.why-suspect"));
    if (told.check) found.push(words.text("lane.way-out"));
  }
  return found;
}

function countdown(told) {
  const { state, doc, now } = told;
  if (state === "before" && told.opensMs) return { untilMs: told.opensMs, unit: "unit.opens" };
  if ((state === "gathering" || state === "drawing") && doc.starts_ms > now) {
    return { untilMs: doc.starts_ms, unit: "unit.starts" };
  }
  if (state === "called" && told.heldBack && told.claimUntilMs > now) {
    return { untilMs: told.claimUntilMs, unit: "turn.left-label" };
  }
  return null;
}

function spoken(words, told, said, wait) {
  const { state, ahead: n } = told;
  const left = told.claimUntilMs - told.now;
  if (state === "called") {
    return left > 0 && told.heldBack ? words.text("said.turn-left", { span: words.span(left) }) : words.text("said.turn");
  }
  if (state === "offline" && told.place) return words.text("said.offline");
  if (state === "almost" && wait) return words.text("said.almost", { wait });
  const place = told.rank !== null && state === "drawn" && told.doc.draw.frozen
    ? words.text("said.place", { n: told.rank + 1, all: told.doc.draw.frozen }) : "";
  if (n && FIGURED.has(state)) {
    return [place, wait ? words.text("said.ahead", { n, wait }) : words.text("said.ahead-unknown", { n })]
      .filter(Boolean).join(". ");
  }
  if (state === "paused") return words.text("said.paused");
  return [said.stage, said.headline, said.detail].filter(Boolean).join(". ");
}

/** Say everything that the page shows of what is known. */
export function describe(words, told) {
  const { state, doc, place, name } = told;
  const wait = told.wait ? words.wait(told.wait) : "";
  const said = sentences(words, told, wait);
  const ahead = KEPT.has(state) ? told.ahead || 0 : 0;
  const counted = ahead ? words.text("ahead.text", { n: ahead }) : "";
  const clock = countdown(told), message = (!OVER.has(state) && doc?.message) || "";
  const keeps = Boolean(place) && !OVER.has(state);
  const onTrack = keeps && (KEPT.has(state) || ["gathering", "drawing", "called", "next", "recall"].includes(state));
  let title = words.text("title.text", { text: said.stage, name });
  if (isTurn(state)) title = words.text("title.turn", { name });
  else if (ahead) title = words.text("title.ahead", { n: ahead, name });
  const offers = AGAIN[state] && (!["recall", "called"].includes(state) || told.heldBack) ? words.text(AGAIN[state]) : "";
  return {
    state, ahead, clock, title,
    stage: said.stage,
    headline: said.headline || counted || said.stage,
    bare: !said.headline,
    detail: said.detail,
    unit: ahead ? words.text("unit.ahead", { n: ahead }) : "",
    rows: (now) => rows(words, told, now),
    notes: notes(words, told, wait),
    message,
    way: !onTrack ? undefined : isTurn(state) ? 1 : place.way ?? 0,
    wayText: place?.from ? words.text("track.value", { gone: place.from - ahead, from: place.from }) : "",
    keeps,
    again: told.mayEnter ? words.text("action.come-in") : state === "cookies" && told.href ? "" : offers,
    more: told.near,
    prove: keeps && place.lane === "suspect" && Boolean(told.check),
    href: told.href ?? "",
    draw: doc?.draw.commitment && !OVER.has(state) ? doc.draw : null,
    number: place?.number,
    rank: told.rank,
    spoken: [spoken(words, told, said, wait), message].filter(Boolean).join(". "),
    tenth: Math.floor((place?.way ?? 0) * 10),
  };
}
