/**
 * Gestures: fingers, mouse and wheel on the map, told as moves of a camera. Knows nothing of seats.
 *
 * `on` hears: pan(dx, dy), zoom(factor, x, y), tap(x, y, kind), hover(x, y) or hover(null), fling(vx, vy) and grip(),
 * which stops whatever still moves. Points are CSS pixels from the corner of the node.
 */

const SLOP = { touch: 9, mouse: 4 };

export function watchGestures(node, on) {
  const fingers = new Map();
  let moved = false, spread = 0, trail = [];

  const at = (event) => {
    const box = node.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const kind = (event) => (event.pointerType === "mouse" ? "mouse" : "touch");
  const middle = () => {
    const all = [...fingers.values()];
    return { x: all.reduce((sum, { x }) => sum + x, 0) / all.length, y: all.reduce((sum, { y }) => sum + y, 0) / all.length };
  };
  const width = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  node.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    on.grip();
    node.setPointerCapture(event.pointerId);
    const point = at(event);
    fingers.set(event.pointerId, { ...point, startX: point.x, startY: point.y });
    if (fingers.size === 1) [moved, trail] = [false, []];
    if (fingers.size === 2) [moved, spread] = [true, width()];
  });

  node.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId), point = at(event);
    if (!finger) {
      if (event.pointerType === "mouse") on.hover(point.x, point.y);
      return;
    }
    const before = middle();
    if (fingers.size === 1 && !moved) {
      if (Math.hypot(point.x - finger.startX, point.y - finger.startY) < SLOP[kind(event)]) return;
      moved = true;
      on.hover(null);
    }
    Object.assign(finger, point);
    const after = middle();
    on.pan(after.x - before.x, after.y - before.y);
    if (fingers.size === 2) {
      const wide = width();
      if (spread > 0) on.zoom(wide / spread, after.x, after.y);
      spread = wide;
    }
    trail = [...trail.slice(-5), { ...after, time: event.timeStamp }];
  });

  function lift(event) {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    fingers.delete(event.pointerId);
    if (event.type === "pointerup" && !moved) on.tap(finger.startX, finger.startY, kind(event));
    else if (fingers.size === 0 && event.type === "pointerup" && trail.length > 1) {
      const [first, last] = [trail[0], trail.at(-1)];
      const ms = Math.max(1, last.time - first.time);
      if (event.timeStamp - last.time < 60) on.fling((last.x - first.x) / ms, (last.y - first.y) / ms);
    }
    if (fingers.size === 1) trail = [];
  }
  node.addEventListener("pointerup", lift);
  node.addEventListener("pointercancel", lift);
  node.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") on.hover(null);
  });
  node.addEventListener("wheel", (event) => {
    event.preventDefault();
    on.grip();
    const point = at(event);
    // A mouse tells lines, a trackpad pixels; a pinch on a trackpad comes as a wheel with ctrl.
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
    on.zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) * (event.ctrlKey ? 0.01 : 0.0026)), point.x, point.y);
  }, { passive: false });
}
