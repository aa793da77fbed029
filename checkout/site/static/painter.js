/**
 * Painter: pictures of the seats, in tiles, each painted once for a scale and then only moved.
 *
 * A frame costs as many pictures as tiles are in view, however many seats there are; painting is done a few
 * milliseconds at a time, and until a tile is there the one of the scale before stands in. A seat that changes is painted
 * over in its tile. Shape tells what colour tells: free is a filled seat, taken a dot, a wheelchair place round.
 */

import { FREE, statusOf, tierOf } from "./deltas.js";
import { SEAT } from "./camera.js";
import { ACCESSIBLE, RESTRICTED } from "./plan.js";

const TILE = 128, KEPT = 260;
const SPRITES_FROM = 9, NUMBERS_FROM = 25, LETTERS_FROM = 14;
const FADED = 16, TAKEN = 17, STYLES = 18;

export function openPainter(plan, look) {
  let generations = [], palette = {}, ratio = 1;

  const styleOf = (seat) => {
    const byte = look.bytes()[seat];
    if (statusOf(byte) !== FREE) return TAKEN;
    return look.wanted(tierOf(byte)) ? tierOf(byte) : FADED;
  };
  const variantOf = (seat) => {
    const flags = plan.flags[seat];
    return flags & ACCESSIBLE ? 1 : flags & RESTRICTED ? 2 : 0;
  };

  function sheet(width, height) {
    if (globalThis.OffscreenCanvas) return new OffscreenCanvas(width, height);
    return Object.assign(document.createElement("canvas"), { width, height });
  }

  /** A seat of one style, `size` device pixels wide. */
  function sprite(generation, key) {
    if (generation.sprites[key]) return generation.sprites[key];
    const size = generation.size, style = key % STYLES, variant = Math.floor(key / STYLES);
    const canvas = sheet(size, size), pen = canvas.getContext("2d");
    const shape = (inset, round) => {
      pen.beginPath();
      if (variant === 1) pen.arc(size / 2, size / 2, size / 2 - inset, 0, 7);
      else pen.roundRect(inset, inset, size - 2 * inset, size - 2 * inset, round);
    };
    if (style === TAKEN) {
      pen.fillStyle = palette.taken;
      pen.beginPath();
      pen.arc(size / 2, size / 2, Math.max(1.2, size * 0.2), 0, 7);
      pen.fill();
    } else if (style === FADED) {
      pen.strokeStyle = palette.faded;
      pen.lineWidth = Math.max(1, size * 0.06);
      shape(pen.lineWidth / 2 + size * 0.06, size * 0.24);
      pen.stroke();
    } else {
      pen.fillStyle = palette.tiers[style];
      shape(0, [size * 0.3, size * 0.3, size * 0.18, size * 0.18]);
      pen.fill();
      if (variant === 1) {
        pen.strokeStyle = palette.ontier;
        pen.lineWidth = Math.max(1, size * 0.07);
        pen.beginPath();
        pen.arc(size / 2, size / 2, size * 0.38, 0, 7);
        pen.stroke();
      }
      if (variant === 2) {
        pen.globalCompositeOperation = "destination-out";
        pen.beginPath();
        pen.moveTo(size * 0.55, 0);
        pen.lineTo(size, 0);
        pen.lineTo(size, size * 0.45);
        pen.fill();
      }
    }
    generation.sprites[key] = canvas;
    return canvas;
  }

  function begin(scale) {
    const pitch = scale * SEAT;
    // Whole device pixels: a seat is as sharp as its neighbour.
    const size = Math.max(1, Math.round(pitch * 0.78 * ratio));
    generations = [{ scale, pitch, size, unit: TILE / scale, tiles: new Map(), sprites: [] }, ...generations.slice(0, 1)];
    return generations[0];
  }

  function paintSeat(generation, tile, seat) {
    const { pen, left, top } = tile, { size, scale } = generation;
    const x = Math.round((plan.xs[seat] - left) * scale * ratio - size / 2);
    const y = Math.round((plan.ys[seat] - top) * scale * ratio - size / 2);
    const style = styleOf(seat);
    if (generation.pitch < SPRITES_FROM) {
      const part = style === TAKEN ? Math.max(1, Math.round(size * 0.4)) : size;
      const pull = (size - part) >> 1;
      pen.fillStyle = style === TAKEN ? palette.taken : style === FADED ? palette.faded : palette.tiers[style];
      pen.fillRect(x + pull, y + pull, part, part);
      return;
    }
    pen.drawImage(sprite(generation, style + STYLES * variantOf(seat)), x, y);
    if (generation.pitch >= NUMBERS_FROM && style !== TAKEN) {
      pen.fillStyle = style === FADED ? palette.soft : palette.ontier;
      pen.font = `600 ${Math.round(size * 0.4)}px ${palette.font}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(plan.number(seat), x + size / 2, y + size * 0.54, size * 0.86);
    }
  }

  function paint(generation, column, line) {
    const { unit, scale, pitch } = generation;
    const canvas = sheet(TILE * ratio, TILE * ratio), pen = canvas.getContext("2d");
    const tile = { canvas, pen, left: column * unit, top: line * unit, used: 0 };
    const margin = SEAT / 2;
    plan.inBox(tile.left - margin, tile.top - margin, tile.left + unit + margin, tile.top + unit + margin,
      (seat) => paintSeat(generation, tile, seat));
    if (pitch >= LETTERS_FROM) letters(generation, tile);
    return tile;
  }

  const shared = new Map();
  /** Whether a row goes on beyond its end in the next section: then its name stands there already. */
  function goesOn(row, x, y) {
    if (!shared.has(row.index)) {
      const next = plan.nearest(x, y, 1.3 * SEAT, (seat) => plan.sectionOf[seat] !== row.section);
      shared.set(row.index, next >= 0 && plan.rowAt(next).name === row.name);
    }
    return shared.get(row.index);
  }

  /** The rows' names at both ends. */
  function letters({ unit, scale, pitch }, { pen, left, top }) {
    pen.fillStyle = palette.soft;
    pen.font = `600 ${Math.round(Math.min(15, pitch * 0.42) * ratio)}px ${palette.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const section of plan.sections) {
      if (section.right < left - 200 || section.left > left + unit + 200 || section.bottom < top - 200
        || section.top > top + unit + 200) continue;
      for (const row of section.rows) {
        const ends = [[row.first, row.first + 1], [row.first + row.count - 1, row.first + row.count - 2]];
        for (const [end, next] of ends) {
          const alone = row.count === 1, away = alone ? SEAT * (end === ends[0][0] ? -1 : 1) : 0;
          const x = alone ? plan.xs[end] + away : 1.95 * plan.xs[end] - 0.95 * plan.xs[next];
          const y = alone ? plan.ys[end] : 1.95 * plan.ys[end] - 0.95 * plan.ys[next];
          if (x < left - SEAT || x > left + unit + SEAT || y < top - SEAT || y > top + unit + SEAT) continue;
          if (end !== row.first && goesOn(row, x, y)) continue;
          pen.fillText(row.name, (x - left) * scale * ratio, (y - top) * scale * ratio, pitch * ratio * 1.1);
        }
      }
    }
  }

  return {
    /** New colours, filter or pixel ratio: everything is painted anew, the old stands in until then. */
    repaint(colours, pixels) {
      palette = colours;
      ratio = pixels;
      generations = generations.slice(0, 1).map((one) => ({ ...one, stale: true }));
    },
    /** Paint a run of seats over where they are in a picture. */
    change(first, count) {
      for (const generation of generations) {
        if (generation.stale) continue;
        const { unit, scale, size } = generation, half = SEAT / 2;
        for (let seat = first; seat < first + count; seat += 1) {
          const x = plan.xs[seat], y = plan.ys[seat];
          if (Number.isNaN(x)) continue;
          for (let line = Math.floor((y - half) / unit); line <= Math.floor((y + half) / unit); line += 1) {
            for (let column = Math.floor((x - half) / unit); column <= Math.floor((x + half) / unit); column += 1) {
              const tile = generation.tiles.get(`${column},${line}`);
              if (!tile) continue;
              tile.pen.clearRect(Math.round((x - tile.left) * scale * ratio - size / 2),
                Math.round((y - tile.top) * scale * ratio - size / 2), size, size);
              paintSeat(generation, tile, seat);
            }
          }
        }
      }
    },
    /**
     * Put the seats in view on a canvas whose units are device pixels; paint what is missing for at most `budgetMs`.
     * `still` asks for pictures of exactly this scale. Returns whether something is still missing.
     */
    draw(pen, camera, view, still, budgetMs) {
      let generation = generations[0];
      const apart = generation ? camera.scale / generation.scale : 0;
      if (!generation || generation.stale || (still ? apart !== 1 : apart < 0.5 || apart > 2.1)) {
        generation = begin(camera.scale);
      }
      pen.setTransform(1, 0, 0, 1, 0, 0);
      const until = performance.now() + budgetMs;
      const box = {
        left: camera.x - view.width / camera.scale / 2, right: camera.x + view.width / camera.scale / 2,
        top: camera.y - view.height / camera.scale / 2, bottom: camera.y + view.height / camera.scale / 2,
      };
      const inView = (one) => ({
        from: Math.floor(box.left / one.unit), to: Math.floor(box.right / one.unit),
        first: Math.floor(box.top / one.unit), last: Math.floor(box.bottom / one.unit),
      });
      const missing = [];
      const area = inView(generation);
      for (let line = area.first; line <= area.last; line += 1) {
        for (let column = area.from; column <= area.to; column += 1) {
          const [x, y] = [column * generation.unit, line * generation.unit];
          if (x > plan.hall.right + SEAT || x + generation.unit < plan.hall.left - SEAT || y > plan.hall.bottom + SEAT
            || y + generation.unit < plan.hall.top - SEAT) continue;
          if (!generation.tiles.has(`${column},${line}`)) missing.push([column, line]);
        }
      }
      // The middle first: that is where one looks.
      const middle = [(area.from + area.to) / 2, (area.first + area.last) / 2];
      missing.sort((a, b) => Math.hypot(a[0] - middle[0], a[1] - middle[1]) - Math.hypot(b[0] - middle[0], b[1] - middle[1]));
      let next = 0;
      // The next one is only begun if it is likely to be done in time.
      for (let at = performance.now(), last = 0; next < missing.length && at + last < until; next += 1) {
        const [column, line] = missing[next];
        generation.tiles.set(`${column},${line}`, paint(generation, column, line));
        last = performance.now() - at;
        at += last;
      }
      missing.splice(0, next);
      const now = performance.now();
      const put = (one, over) => {
        const { from, to, first, last } = inView(one), step = TILE * (camera.scale / one.scale) * ratio;
        for (let line = first; line <= last; line += 1) {
          for (let column = from; column <= to; column += 1) {
            const tile = one.tiles.get(`${column},${line}`);
            if (!tile || (over && !over(tile, one.unit))) continue;
            tile.used = now;
            const x = Math.round((tile.left - box.left) * camera.scale * ratio);
            const y = Math.round((tile.top - box.top) * camera.scale * ratio);
            pen.drawImage(tile.canvas, x, y, Math.ceil(step), Math.ceil(step));
          }
        }
      };
      const before = generations[1];
      if (!missing.length) generations = [generation];
      else if (before) {
        // Clip to what is missing, so that no seat shows through twice.
        pen.save();
        pen.beginPath();
        for (const [column, line] of missing) {
          const step = TILE * (camera.scale / generation.scale) * ratio;
          pen.rect((column * generation.unit - box.left) * camera.scale * ratio,
            (line * generation.unit - box.top) * camera.scale * ratio, step, step);
        }
        pen.clip();
        put(before);
        pen.restore();
      }
      put(generation);
      if (generation.tiles.size > KEPT) {
        const old = [...generation.tiles].sort((a, b) => a[1].used - b[1].used).slice(0, generation.tiles.size - KEPT);
        for (const [key, tile] of old) if (tile.used < now) generation.tiles.delete(key);
      }
      return missing.length > 0;
    },
  };
}
