/**
 * Rhythm: how this page is handled, as sums that grow with each event. The trace is thrown away, keys have no names.
 * The twin of botguard/rhythm, operation by operation: + − × / √ only, so both say the same.
 */

export const VERSION = 1;
const REST_MS = 250;
const GRIDS_MS = [20, 50, 100];
const FEWEST_STEPS = 6;
const TURN_COSINES = [0.9986, 0.978, 0.866, 0.5, 0.0];
const SPEED_RATIOS = [1.02, 1.1, 1.3, 1.7, 2.5, 5.0];
const GAP_RATIOS = [1.02, 1.1, 1.3, 1.7, 2.5];
const RESTS_MS = [500, 1000, 2500];
const { abs, sqrt } = Math;
const words = (text) => text.split(/\s+/);
const COUNTS = words(`moves steps still same level whole single mouse touch pen untrusted presses keys key_pairs
  scrolls wheels blurs`);
const LEVEL = words(`pairs change change2 gain gain2 gain_echo gain_turns gains triples jerk jerk2 turns cosine
  cosine2 sine sine2 sine_echo sine_turns sine_pairs`);
const STROKE = words(`strokes straight straight2 bow bow2 peak_at peak_at2 flat flat2 begin end late late2`);

const zeros = (many) => Array(many).fill(0);
const more = (sums, at, ...parts) => parts.forEach((part, i) => (sums[at + i] += part));
const apart = (one, other) => (one > other ? one / other : other / one);
const bin = (ratio, edges) => edges.filter((edge) => ratio >= edge).length;

class Grid {
  sums = zeros(LEVEL.length);

  begin(tick, x, y) {
    Object.assign(this, { tick, x, y, had: 0, vx: 0, vy: 0, wx: 0, wy: 0, echo: null, tilt: null });
  }

  look(x, y) {
    const ux = x - this.x, uy = y - this.y, { vx, vy, wx, wy, sums } = this;
    this.x = x;
    this.y = y;
    if (this.had) {
      const u = sqrt(ux * ux + uy * uy), v = sqrt(vx * vx + vy * vy), both = u + v;
      if (both > 0) {
        const ax = ux - vx, ay = uy - vy;
        const change = sqrt(ax * ax + ay * ay) / both, gain = (u - v) / both;
        more(sums, 0, 1, change, change * change, gain, gain * gain);
        if (this.echo !== null) {
          sums[5] += gain * this.echo;
          sums[7] += 1;
          if (gain * this.echo < 0) sums[6] += 1;
        }
        this.echo = gain;
        if (this.had > 1) {
          const jx = ux - 2 * vx + wx, jy = uy - 2 * vy + wy;
          const jerk = sqrt(jx * jx + jy * jy) / (u + 2 * v + sqrt(wx * wx + wy * wy));
          more(sums, 8, 1, jerk, jerk * jerk);
        }
      }
      if (u > 0 && v > 0) {
        const length = u * v, cosine = (ux * vx + uy * vy) / length, sine = (vx * uy - vy * ux) / length;
        more(sums, 11, 1, cosine, cosine * cosine, sine, sine * sine);
        if (this.tilt !== null) {
          sums[16] += sine * this.tilt;
          sums[18] += 1;
          if (sine * this.tilt < 0) sums[17] += 1;
        }
        this.tilt = sine;
      }
    }
    this.had += 1;
    Object.assign(this, { wx: vx, wy: vy, vx: ux, vy: uy });
  }
}

const EVERY_MS = 100, WAYS = 16, STEP = 4, BITS = 64, MOST_WORDS = 48, LEAST_PX = 8;
const PLANES = (() => {
  let state = 2463534242;
  return Array.from({ length: BITS }, () => Array.from({ length: 2 * WAYS }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0x8000 ? 1 : -1;
  }));
})();

/** Words by which a movement is known again, not drawn again. */
class Sketching {
  words = [];
  ways = [];

  begin(tick, x, y) {
    Object.assign(this, { tick, x, y, had: 0 });
  }

  look(x, y) {
    this.ways.push(x - this.x, y - this.y);
    this.ways = this.ways.slice(-2 * WAYS);
    this.x = x;
    this.y = y;
    this.had += 1;
    if (this.had % STEP === 0 && this.ways.length === 2 * WAYS && this.words.length < MOST_WORDS) this.#word();
  }

  #word() {
    const mean = [0, 0], sum = (terms) => terms.reduce((total, term) => total + term, 0);
    this.ways.forEach((way, at) => (mean[at % 2] += way / WAYS));
    const rest = this.ways.map((way, at) => way - mean[at % 2]);
    if (sqrt(sum(rest.map((part) => part * part)) / WAYS) < LEAST_PX) return;
    const bits = PLANES.map((plane) => (sum(rest.map((part, at) => plane[at] * part)) > 0 ? "1" : "0")).join("");
    this.words.push(bits.replace(/..../g, (four) => parseInt(four, 2).toString(16)));
  }
}

export class Rhythm {
  counts = Object.fromEntries(COUNTS.map((name) => [name, 0]));
  turns = zeros(TURN_COSINES.length + 1);
  ratios = zeros(SPEED_RATIOS.length + 1);
  gaps = zeros(GAP_RATIOS.length + 1);
  rests = zeros(RESTS_MS.length + 1);
  strokes = zeros(STROKE.length);
  grids = GRIDS_MS.map(() => new Grid());
  sketching = new Sketching();
  looks = [...this.grids.map((grid, at) => [grid, GRIDS_MS[at]]), [this.sketching, EVERY_MS]];
  at = null;
  keyMs = NaN;
  taken = 0;

  move(t, x, y, coalesced = 1, kind = "mouse", trusted = true) {
    const counts = this.counts;
    counts.moves += 1;
    counts[/^(touch|pen)$/.test(kind) ? kind : "mouse"] += 1;
    if (coalesced <= 1) counts.single += 1;
    if (!trusted) counts.untrusted += 1;
    if (x % 1 === 0 && y % 1 === 0) counts.whole += 1;
    if (!this.at) return this.#begin(t, x, y);
    const [t0, x0, y0] = this.at, gap = t - t0;
    if (gap < 0) return;
    if (gap > REST_MS) {
      this.rests[bin(gap, RESTS_MS)] += 1;
      return this.#begin(t, x, y);
    }
    const [t1, x1, y1] = this.begun;
    this.since = t0 - t1;
    this.area += (x0 - x1) * (y - y1) - (y0 - y1) * (x - x1);
    this.#step(gap, x - x0, y - y0);
    if (gap > 0) {
      for (const [grid, every] of this.looks) {
        for (; grid.tick <= t; grid.tick += every) {
          const part = (grid.tick - t0) / gap;
          grid.look(x0 + part * (x - x0), y0 + part * (y - y0));
        }
      }
    }
    this.at = [t, x, y];
  }

  press() {
    this.counts.presses += 1;
  }

  key(t) {
    this.counts.keys += 1;
    const gap = t - this.keyMs;
    if (gap >= 0 && gap <= 4 * REST_MS) this.counts.key_pairs += 1;
    this.keyMs = t;
  }

  scroll(wheel = false) {
    this.counts[wheel ? "wheels" : "scrolls"] += 1;
  }

  blur() {
    this.counts.blurs += 1;
  }

  get words() {
    return this.sketching.words;
  }

  summary() {
    this.#end();
    this.at = null;
    const all = { ...this.counts };
    for (const name of words("turn ratio gap rest")) this[`${name}s`].forEach((many, at) => (all[`${name}_${at}`] = many));
    this.grids.forEach((grid, at) => LEVEL.forEach((name, i) => (all[`g${GRIDS_MS[at]}_${name}`] = grid.sums[i])));
    STROKE.forEach((name, i) => (all[name] = this.strokes[i]));
    return all;
  }

  #begin(t, x, y) {
    this.#end();
    this.at = this.begun = [t, x, y];
    for (const [grid, every] of this.looks) grid.begin(t + every, x, y);
    for (const name of words("dx dy speed gap owed length area peak peakMs weight first taken")) this[name] = 0;
  }

  #end() {
    if (!this.at || this.taken < FEWEST_STEPS) return;
    const [t0, x0, y0] = this.begun, [t, x, y] = this.at, { length, peak } = this, lasted = t - t0;
    const straight = sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) / length;
    const bow = abs(this.area) / (2 * length * length);
    const peakAt = this.peakMs / lasted, flat = length / lasted / peak, late = this.weight / (length * lasted);
    more(this.strokes, 0, 1, straight, straight * straight, bow, bow * bow, peakAt, peakAt * peakAt, flat, flat * flat,
      this.first / peak, this.speed / peak, late, late * late);
    this.taken = 0;
  }

  #step(gap, dx, dy) {
    const counts = this.counts;
    counts.steps += 1;
    if (gap > 0) {
      if (this.gap > 0) this.gaps[bin(apart(gap, this.gap), GAP_RATIOS)] += 1;
      this.gap = gap;
    }
    const square = dx * dx + dy * dy;
    if (square === 0) {
      counts.still += 1;
      return;
    }
    if (dx === 0 || dy === 0) counts.level += 1;
    if (dx === this.dx && dy === this.dy) counts.same += 1;
    const distance = sqrt(square), before = sqrt(this.dx * this.dx + this.dy * this.dy);
    if (before > 0) {
      const cosine = (dx * this.dx + dy * this.dy) / (distance * before);
      this.turns[TURN_COSINES.filter((edge) => cosine < edge).length] += 1;
    }
    this.dx = dx;
    this.dy = dy;
    this.owed += distance;
    if (gap > 0) this.#pace(gap);
  }

  #pace(gap) {
    const distance = this.owed, speed = distance / gap, at = this.since + gap / 2;
    this.owed = 0;
    if (this.speed > 0) this.ratios[bin(apart(speed, this.speed), SPEED_RATIOS)] += 1;
    else this.first = speed;
    this.speed = speed;
    this.taken += 1;
    this.length += distance;
    this.weight += distance * at;
    if (speed > this.peak) {
      this.peak = speed;
      this.peakMs = at;
    }
  }
}

/** Listens to a page until `stop`; what it heard is `rhythm.summary()`. Nothing is sent from here. */
export function listen(page = document) {
  const rhythm = new Rhythm(), ended = new AbortController();
  const on = (name, hear) => page.addEventListener(name, hear, { passive: true, capture: true, signal: ended.signal });
  on("pointermove", (event) => {
    const put = event.getCoalescedEvents ? event.getCoalescedEvents().length : 1;
    rhythm.move(event.timeStamp, event.clientX, event.clientY, put, event.pointerType, event.isTrusted);
  });
  on("pointerdown", () => rhythm.press());
  on("keydown", (event) => rhythm.key(event.timeStamp));
  on("scroll", () => rhythm.scroll());
  on("wheel", () => rhythm.scroll(true));
  on("visibilitychange", () => page.hidden && rhythm.blur());
  return { rhythm, stop: () => ended.abort() };
}
