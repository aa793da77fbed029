/**
 * Scenery: what is drawn around the seats: stage, sections with their names, and over them what is one's own.
 */

import { SEAT } from "./camera.js";

const LABEL_FROM_PX = 20;

const transform = (pen, { x, y, scale }, view, ratio) =>
  pen.setTransform(scale * ratio, 0, 0, scale * ratio, (view.width / 2 - x * scale) * ratio, (view.height / 2 - y * scale) * ratio);

function heart(section) {
  if (section.heart) return section.heart;
  // The middle of the area, not of the box: a curved section's name stands in the section.
  let area = 0, x = 0, y = 0;
  const points = section.outline;
  for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
    const cross = points[j][0] * points[i][1] - points[i][0] * points[j][1];
    area += cross;
    x += (points[j][0] + points[i][0]) * cross;
    y += (points[j][1] + points[i][1]) * cross;
  }
  section.heart = area
    ? [x / (3 * area), y / (3 * area)] : [(section.left + section.right) / 2, (section.top + section.bottom) / 2];
  return section.heart;
}

/** How wide the area is at its heart: what a text there may be. */
function chord(section) {
  section.chord ??= chordAt(section, heart(section)[1]);
  return section.chord;
}

/** The same in another height: an area that tapers has less room there. */
function chordAt(section, y) {
  const [x] = heart(section), points = section.outline;
  let left = section.left, right = section.right;
  for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
    const [ax, ay] = points[i], [bx, by] = points[j];
    if (ay > y === by > y) continue;
    const at = ax + ((bx - ax) * (y - ay)) / (by - ay);
    if (at <= x) left = Math.max(left, at);
    else right = Math.min(right, at);
  }
  return 2 * Math.min(x - left, right - x);
}

const widths = new Map();

/** How wide a text is at one pixel of letter size; measured once. */
function widthOf(pen, text, size) {
  if (!widths.has(text)) widths.set(text, pen.measureText(text).width / size);
  return widths.get(text) * size;
}

/** A name in one line, or in two where that reads better in little room. */
function linesOf(pen, name, size, wide) {
  const at = name.lastIndexOf(" ");
  return at < 0 || widthOf(pen, name, size) <= wide ? [name] : [name.slice(0, at), name.slice(at + 1)];
}

export function drawHall({ pen, plan, paths, palette, camera, view, ratio, look, near }) {
  pen.fillStyle = palette.floor;
  pen.fillRect(0, 0, view.width * ratio, view.height * ratio);
  transform(pen, camera, view, ratio);
  const half = { x: view.width / camera.scale / 2, y: view.height / camera.scale / 2 };
  const seen = (box) => box.right > camera.x - half.x && box.left < camera.x + half.x
    && box.bottom > camera.y - half.y && box.top < camera.y + half.y;
  const stage = plan.stage;
  if (stage && seen(stage)) {
    pen.fillStyle = palette.stage;
    pen.beginPath();
    pen.roundRect(stage.x, stage.y, stage.width, stage.height, Math.min(stage.height, stage.width) * 0.12);
    pen.fill();
  }
  const labels = [];
  pen.lineWidth = 1.25 / camera.scale;
  pen.strokeStyle = palette.edge;
  for (const section of plan.sections) {
    if (!seen(section)) continue;
    const { tier, share, text } = look.label(section);
    const plain = near && section.kind !== "standing";
    pen.fillStyle = plain ? palette.section : share > 0 ? palette.area(tier, share) : palette.empty;
    pen.fill(paths[section.index]);
    pen.stroke(paths[section.index]);
    if (!plain) labels.push({ section, text });
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const put = (text, x, y, size, weight, colour, most) => {
    pen.font = `${weight} ${size}px ${palette.font}`;
    pen.fillStyle = colour;
    pen.fillText(text, x, y, most);
  };
  const at = (x, y) => [(x - camera.x) * camera.scale + view.width / 2, (y - camera.y) * camera.scale + view.height / 2];
  if (stage && seen(stage)) {
    const [x, y] = at(stage.x + stage.width / 2, stage.y + stage.height / 2);
    const wide = stage.width * camera.scale;
    if (wide > 40) put(stage.label, x, y, Math.round(Math.min(22, Math.max(12, wide / 9))), 600, palette.floor, wide * 0.9);
  }
  for (const { section, text } of labels) {
    const wide = chord(section) * camera.scale * 0.9, high = (section.bottom - section.top) * camera.scale;
    if (wide < LABEL_FROM_PX || high < 12) continue;
    const [x, y] = at(...heart(section));
    // Whole pixels: a size of its own for each frame would be a font of its own for each frame.
    let size = Math.round(Math.min(16, Math.max(10, wide / 6)));
    pen.font = `650 ${size}px ${palette.font}`;
    let lines = linesOf(pen, section.name, size, wide);
    if (lines.length * size * 1.16 > high * 0.62) {
      // A flat area: smaller letters in one line.
      size = Math.min(size, Math.floor(wide / widthOf(pen, section.name, 1)));
      lines = [section.name];
      if (size < 10) continue;
    }
    // A name that had to be squeezed to less than two thirds helps nobody.
    if (Math.max(...lines.map((line) => widthOf(pen, line, size))) * 0.66 > wide) continue;
    if (lines.length * size * 1.16 > high * 0.62) continue;
    const step = size * 1.16, small = Math.round(size * 0.9);
    const below = chordAt(section, heart(section)[1] + (lines.length * step) / 2 / camera.scale) * camera.scale;
    const told = high >= size * (lines.length + 2.2) && wide >= 44 && widthOf(pen, text, small) <= below;
    const top = y - ((lines.length + (told ? 1 : 0) - 1) * step) / 2;
    lines.forEach((line, n) => put(line, x, top + n * step, size, 650, palette.ink, wide));
    if (told) put(text, x, top + lines.length * step, small, 450, palette.ink, wide);
  }
}

/** One's own seats, and the seat under the keys or the mouse. */
export function drawMarks({ pen, plan, palette, camera, view, ratio, near, chosen, mine, cursor, hovered }) {
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const pitch = camera.scale * SEAT, size = near ? Math.max(7, pitch * 0.9) : 11;
  const at = (seat) => [
    (plan.xs[seat] - camera.x) * camera.scale + view.width / 2, (plan.ys[seat] - camera.y) * camera.scale + view.height / 2,
  ];
  const inView = (x, y) => x > -size && y > -size && x < view.width + size && y < view.height + size;
  for (const seat of [...chosen, ...mine]) {
    const [x, y] = at(seat);
    if (Number.isNaN(x) || !inView(x, y)) continue;
    pen.fillStyle = palette.own;
    pen.strokeStyle = palette.section;
    pen.lineWidth = Math.max(1.5, size * 0.07);
    pen.beginPath();
    pen.roundRect(x - size / 2, y - size / 2, size, size, size * 0.28);
    pen.fill();
    pen.stroke();
    pen.strokeStyle = palette.onown;
    pen.lineWidth = Math.max(1.4, size * 0.12);
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(x - size * 0.22, y + size * 0.02);
    pen.lineTo(x - size * 0.05, y + size * 0.19);
    pen.lineTo(x + size * 0.24, y - size * 0.17);
    pen.stroke();
  }
  for (const [seat, width] of [[hovered, 2], [cursor, 3]]) {
    if (seat < 0 || !near) continue;
    const [x, y] = at(seat), round = Math.max(10, pitch);
    pen.strokeStyle = palette.section;
    pen.lineWidth = width + 3;
    pen.beginPath();
    pen.roundRect(x - round / 2, y - round / 2, round, round, round * 0.3);
    pen.stroke();
    pen.strokeStyle = palette.ring;
    pen.lineWidth = width;
    pen.stroke();
  }
}
