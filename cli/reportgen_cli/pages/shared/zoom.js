// Enlarge and move the first child of boxes by pinch, wheel, drag and double click, all boxes alike. `drag(dx, dy, event)`
// may take a drag by one finger or the mouse and return true; then nothing moves. Return what buttons and keys call.
function zoomable(boxes, drag = null) {
  const look = { scale: 1, x: 0, y: 0 };  // the shift is in shares of a box
  const fingers = new Map();
  const clamp = (value, most) => Math.min(most, Math.max(-most, value));
  function place() {
    look.x = clamp(look.x, (look.scale - 1) / 2);
    look.y = clamp(look.y, (look.scale - 1) / 2);
    for (const box of boxes) box.firstElementChild.style.transform = `translate(${100 * look.x}%, ${100 * look.y}%) scale(${look.scale})`;
  }
  function zoom(by, x = 0, y = 0) {  // about a point, in shares from the middle
    const scale = Math.min(8, Math.max(1, look.scale * by));
    look.x = x - (x - look.x) * scale / look.scale;
    look.y = y - (y - look.y) * scale / look.scale;
    look.scale = scale;
    place();
  }
  function move(dx, dy) { look.x += dx; look.y += dy; place(); }
  function reset() { look.scale = 1; look.x = look.y = 0; place(); }
  function share(box, x, y) {
    const r = box.getBoundingClientRect();
    return [(x - r.left) / r.width - .5, (y - r.top) / r.height - .5];
  }
  const middle = (points) => [0, 1].map((i) => points.reduce((sum, p) => sum + p[i], 0) / points.length);
  const apart = (points) => Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
  for (const box of boxes) {
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...share(box, event.clientX, event.clientY));
    }, { passive: false });
    box.addEventListener("dblclick", (event) => look.scale > 1 ? reset() : zoom(2.5, ...share(box, event.clientX, event.clientY)));
    box.addEventListener("pointerdown", (event) => {
      box.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    box.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = [...fingers.values()].slice(0, 2);
      const [x, y] = fingers.get(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      const after = [...fingers.values()].slice(0, 2);
      const r = box.getBoundingClientRect();
      if (after.length === 1) {
        const dx = event.clientX - x, dy = event.clientY - y;
        if (!drag || !drag(dx, dy, event)) move(dx / r.width, dy / r.height);
        return;
      }
      const [from, to] = [middle(before), middle(after)];
      look.x += (to[0] - from[0]) / r.width;  // not clamped before it is enlarged: the place under the fingers stays there
      look.y += (to[1] - from[1]) / r.height;
      zoom(apart(before) > 0 ? apart(after) / apart(before) : 1, ...share(box, ...to));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) box.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  return { look, zoom, move, reset, place };
}
