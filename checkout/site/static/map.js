/**
 * Map: the hall on a canvas. Moves a camera by gestures and keys, draws what is in view, tells which seat is meant.
 *
 * From afar sections are areas, coloured by their price and by how much of them is free; nearer by, seats (painter.js).
 * What is one's own is drawn over it in every frame, with a check mark. A frame is drawn when something has
 * changed, never for itself. Not here: what a pick does (visit.js), the same in words (list.js).
 */

import * as cam from "./camera.js";
import { FREE, statusOf } from "./deltas.js";
import { watchGestures } from "./gestures.js";
import { readPalette } from "./palette.js";
import { openPainter } from "./painter.js";
import { drawHall, drawMarks } from "./scenery.js";

const STILL_AFTER_MS = 140, GLIDE_MS = 320, REACH = 0.75;
/** What the legend and the buttons cover at the bottom. */
const COVERED = 58;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * `look` tells what to draw: bytes(), tally(), counts(), wanted(tier), chosen(), mine(), label(section).
 * `on` hears: pick(seat), standing(section), section(section), where(section or null), cursor(seat), hover(seat, x, y).
 */
export function openMap(node, canvas, plan, look, on) {
  const pen = canvas.getContext("2d", { alpha: false });
  const painter = openPainter(plan, look);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const paths = plan.sections.map(({ outline }) => {
    const path = new Path2D();
    outline.forEach(([x, y], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
    return path;
  });
  const view = { width: 1, height: 1 };
  let camera = cam.fit(plan.hall, view), palette, ratio = 1, frame = 0, movedAt = -1e9, touched = false;
  let glide = null, cursor = -1, hovered = -1, lastTap = { time: -1e9 }, over = null;

  /** A box in all of the view that nothing covers. */
  function whole(box, margin) {
    const camera = cam.fit(box, { width: view.width, height: Math.max(120, view.height - COVERED) }, margin);
    return { ...camera, y: camera.y + COVERED / 2 / camera.scale };
  }

  function restyle() {
    palette = readPalette(node);
    painter.repaint(palette, ratio);
    ask();
  }

  function resize() {
    const box = node.getBoundingClientRect();
    if (!box.width || !box.height) return;
    Object.assign(view, { width: box.width, height: box.height });
    // Two device pixels to one are sharp enough; three would be more than twice the work.
    ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    camera = touched ? cam.within(camera, plan.hall, view) : whole(plan.hall);
    restyle();
  }

  function ask() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  function draw(now) {
    frame = 0;
    if (!palette) return;
    if (glide) {
      const share = Math.min(1, (now - glide.since) / GLIDE_MS);
      camera = cam.between(glide.from, glide.to, 1 - (1 - share) ** 3);
      movedAt = now;
      if (share >= 1) glide = null;
    }
    if (over) {
      // What was pushed goes on a little, ever slower.
      const ms = Math.min(40, now - over.at);
      move(over.x * ms, over.y * ms);
      Object.assign(over, { at: now, x: over.x * 0.994 ** ms, y: over.y * 0.994 ** ms });
      if (Math.hypot(over.x, over.y) < 0.02) over = null;
    }
    const still = now - movedAt > STILL_AFTER_MS && !glide && !over;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    const near = cam.pitch(camera) >= cam.SEATS_FROM && !look.counts();
    drawHall({ pen, plan, paths, palette, camera, view, ratio, look, near });
    const missing = near && painter.draw(pen, camera, view, still, still ? 8 : 3);
    drawMarks({ pen, plan, palette, camera, view, ratio, near, chosen: look.chosen(), mine: look.mine(), cursor, hovered });
    if (missing || !still) ask();
    else settled();
  }

  const middle = () => (cam.pitch(camera) >= cam.TAP_FROM.mouse ? plan.sectionAt(camera.x, camera.y) : null);
  let told;
  function settled() {
    const section = middle();
    if (section !== told) on.where((told = section));
  }

  function move(dx, dy) {
    camera = cam.within({ ...camera, x: camera.x - dx / camera.scale, y: camera.y - dy / camera.scale }, plan.hall, view);
    movedAt = performance.now();
    touched = true;
    ask();
  }

  function zoom(factor, x = view.width / 2, y = view.height / 2) {
    camera = cam.within(cam.zoomAt(camera, view, factor, x, y, plan.hall), plan.hall, view);
    movedAt = performance.now();
    touched = true;
    ask();
  }

  function go(to) {
    over = null;
    touched = true;
    const goal = cam.within(to, plan.hall, view);
    if (calm.matches) [camera, movedAt] = [goal, performance.now()];
    else glide = { from: camera, to: goal, since: performance.now() };
    ask();
  }

  const free = (seat) => statusOf(look.bytes()[seat]) === FREE && look.wanted(look.bytes()[seat] >> 4);
  const own = (seat) => look.chosen().has(seat) || look.mine().has(seat);

  function seatAt(x, y, may) {
    const [hx, hy] = cam.toHall(camera, view, x, y);
    return plan.nearest(hx, hy, Math.max(cam.SEAT * REACH, 12 / camera.scale), may);
  }

  /** A tap means the seat under it; between seats the nearest free one in reach; from afar it means "closer". */
  function tap(x, y, kind) {
    const [hx, hy] = cam.toHall(camera, view, x, y);
    const section = plan.sectionAt(hx, hy);
    const twice = performance.now() - lastTap.time < 320 && Math.hypot(x - lastTap.x, y - lastTap.y) < 30;
    lastTap = { time: performance.now(), x, y };
    node.focus({ preventScroll: true, focusVisible: false });
    if (section?.kind === "standing") return on.standing(section);
    if (look.counts()) return section && on.section(section);
    if (cam.pitch(camera) >= cam.TAP_FROM[kind]) {
      const seat = seatAt(x, y, (one) => free(one) || own(one));
      if (seat >= 0) {
        lastTap.time = -1e9;
        cursor = -1;
        return on.pick(seat);
      }
      // A taken seat is told to be so; one that is only filtered out is left alone.
      const taken = seatAt(x, y, (one) => statusOf(look.bytes()[one]) !== FREE);
      if (taken >= 0) return on.pick(taken);
    } else if (section || seatAt(x, y, () => true) >= 0) {
      if (cam.pitch(camera) >= cam.SEATS_FROM) return go({ x: hx, y: hy, scale: cam.READING / cam.SEAT });
      return closer(section, hx, hy);
    }
    if (twice) go({ x: hx, y: hy, scale: camera.scale * 2 });
    return undefined;
  }

  /** Go from afar to a section: all of it if its seats are then large enough to be told apart, else where was tapped. */
  function closer(section, x, y) {
    const all = section ? whole(section, 30) : { scale: 0 };
    if (cam.pitch(all) >= cam.TAP_FROM.touch) return go(all);
    return go({ x, y, scale: Math.max(cam.TAP_FROM.touch + 2, cam.pitch(all)) / cam.SEAT });
  }

  function key(event) {
    const arrow = ARROWS[event.key], step = 60;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (arrow && cam.pitch(camera) >= cam.TAP_FROM.mouse && !look.counts()) {
      const begun = cursor >= 0;
      cursor = begun ? plan.beside(cursor, ...arrow) : plan.nearest(camera.x, camera.y, 4000);
      if (cursor >= 0) follow();
    } else if (arrow) move(-arrow[0] * step, -arrow[1] * step);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0" || event.key === "Home") api.fit();
    else if (event.key === "Enter" || event.key === " ") enter();
    else return;
    event.preventDefault();
  }

  function enter() {
    if (cursor >= 0 && cam.pitch(camera) >= cam.TAP_FROM.mouse) return on.pick(cursor);
    const section = plan.sectionAt(camera.x, camera.y);
    if (section?.kind === "standing") return on.standing(section);
    if (look.counts()) return section && on.section(section);
    const seat = plan.nearest(camera.x, camera.y, 1e6);
    if (seat < 0) return undefined;
    cursor = seat;
    go({ x: plan.xs[seat], y: plan.ys[seat], scale: cam.READING / cam.SEAT });
    return on.cursor(seat);
  }

  /** Keep the seat that the keys have come to in view. */
  function follow() {
    const [x, y] = cam.toScreen(camera, view, plan.xs[cursor], plan.ys[cursor]), edge = 60;
    const dx = Math.max(0, edge - x) - Math.max(0, x - view.width + edge);
    const dy = Math.max(0, edge - y) - Math.max(0, y - view.height + edge);
    if (dx || dy) move(dx, dy);
    on.cursor(cursor);
    ask();
  }

  watchGestures(canvas, {
    grip: () => { glide = over = null; },
    pan: move,
    zoom,
    tap,
    fling(x, y) {
      if (!calm.matches && Math.hypot(x, y) > 0.15) over = { x, y, at: performance.now() };
      ask();
    },
    hover(x, y) {
      const before = hovered;
      hovered = x === null || look.counts() || cam.pitch(camera) < cam.TAP_FROM.mouse ? -1 : seatAt(x, y, () => true);
      if (hovered >= 0 || before >= 0) on.hover(hovered, x, y);
      canvas.style.cursor = hovered >= 0 && (free(hovered) || own(hovered)) ? "pointer" : "";
      if (hovered !== before) ask();
    },
  });
  node.addEventListener("keydown", key);
  node.addEventListener("blur", () => {
    cursor = -1;
    ask();
  });
  new ResizeObserver(resize).observe(node);
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"]) {
    matchMedia(query).addEventListener("change", restyle);
  }

  const api = {
    /** Draw again what is one's own. */
    refresh: ask,
    /** Everything about the seats may have changed. */
    renew() {
      if (palette) painter.repaint(palette, ratio);
      ask();
    },
    /** A run of seats has changed; its bytes are written. */
    change(first, count) {
      painter.change(first, count);
      ask();
    },
    fit() {
      go(whole(plan.hall));
      touched = false;
    },
    zoom: (factor) => go(cam.zoomAt(camera, view, factor, view.width / 2, view.height / 2, plan.hall)),
    /** Bring seats into view, large enough to be told apart. */
    show(seats) {
      const at = seats.filter((seat) => !Number.isNaN(plan.xs[seat]));
      if (!at.length) return;
      const box = {
        left: Math.min(...at.map((seat) => plan.xs[seat])) - 300, right: Math.max(...at.map((seat) => plan.xs[seat])) + 300,
        top: Math.min(...at.map((seat) => plan.ys[seat])) - 300, bottom: Math.max(...at.map((seat) => plan.ys[seat])) + 300,
      };
      const to = whole(box, 20);
      go({ ...to, scale: Math.max(to.scale, cam.TAP_FROM.mouse / cam.SEAT) });
    },
    showSection: (section) => go(whole(section, 30)),
    /** Where a seat is on the screen; for tests and for what floats above the map. */
    place: (seat) => cam.toScreen(camera, view, plan.xs[seat], plan.ys[seat]),
    get pitch() { return cam.pitch(camera); },
    get moving() { return Boolean(glide || over || frame); },
  };
  resize();
  return api;
}
