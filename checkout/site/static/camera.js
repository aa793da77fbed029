/**
 * Camera: which part of the hall is seen, and how large. Pure: a camera is {x, y, scale}, the hall's point in the
 * middle of the view and pixels per unit of the hall; a view is {width, height} in CSS pixels. 100 units are a seat.
 */

export const SEAT = 100;
/** From so many pixels a seat on, seats are drawn one by one; below, sections are. */
export const SEATS_FROM = 5;
/** From so many on, a tap means a seat; below, it means "closer". Fingers need more than a mouse. */
export const TAP_FROM = { touch: 24, mouse: 13 };
/** Where a tap from afar leads to, and as near as it gets. */
export const READING = 34, NEAREST = 64;

export const pitch = (camera) => camera.scale * SEAT;
export const toScreen = (camera, view, x, y) =>
  [(x - camera.x) * camera.scale + view.width / 2, (y - camera.y) * camera.scale + view.height / 2];
export const toHall = (camera, view, sx, sy) =>
  [(sx - view.width / 2) / camera.scale + camera.x, (sy - view.height / 2) / camera.scale + camera.y];

/** The camera that sees all of a box {left, top, right, bottom}, with a margin in pixels. */
export function fit(box, view, margin = 14, most = READING / SEAT) {
  const [wide, high] = [Math.max(1, box.right - box.left), Math.max(1, box.bottom - box.top)];
  const scale = Math.min((view.width - 2 * margin) / wide, (view.height - 2 * margin) / high, most);
  return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, scale: Math.max(scale, 1e-4) };
}

/** Keep the camera within the hall: never smaller than the whole of it, never nearer than a large seat. */
export function within(camera, hall, view) {
  const least = Math.min(fit(hall, view, 40).scale, NEAREST / SEAT);
  const scale = Math.min(Math.max(camera.scale, least), NEAREST / SEAT);
  const clamp = (value, low, high, half) => {
    // What is smaller than the view stands in its middle; what is larger may be moved until its edge is in the middle third.
    const slack = Math.max(0, (high - low) / 2 - half / 3);
    const middle = (low + high) / 2;
    return Math.min(Math.max(value, middle - slack), middle + slack);
  };
  return {
    scale,
    x: clamp(camera.x, hall.left, hall.right, view.width / scale / 2),
    y: clamp(camera.y, hall.top, hall.bottom, view.height / scale / 2),
  };
}

/** Zoom so that the point under (sx, sy) stays where it is. */
export function zoomAt(camera, view, factor, sx, sy, hall) {
  const [x, y] = toHall(camera, view, sx, sy);
  const { scale } = within({ ...camera, scale: camera.scale * factor }, hall, view);
  return { scale, x: x - (sx - view.width / 2) / scale, y: y - (sy - view.height / 2) / scale };
}

/** A camera between two, `share` of the way; zooms evenly for the eye. */
export function between(from, to, share) {
  if (share >= 1) return to;
  const scale = from.scale * (to.scale / from.scale) ** share;
  const same = Math.abs(to.scale - from.scale) < from.scale * 1e-3;
  // While the scale changes, the way over the hall must shrink with it, or the goal swings out of view.
  const way = same ? share : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
  return { scale, x: from.x + (to.x - from.x) * way, y: from.y + (to.y - from.y) * way };
}
