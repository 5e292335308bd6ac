// The colours of attention, and attention enlarged to the size of a picture.
// Yellow to red above even attention, as in the pictures; strength 0..1 to red, green, blue.
const stops = [[254, 217, 118], [254, 178, 76], [253, 141, 60], [252, 78, 42], [227, 26, 28], [177, 0, 38], [128, 0, 38]];
function colour(strength) {
  const x = Math.min(1, Math.max(0, strength)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(x));
  return stops[i].map((v, c) => Math.round(v + (stops[i + 1][c] - v) * (x - i)));
}
const table = Array.from({ length: 256 }, (_, i) => colour(i / 255));

function enlarge(cells, rows, columns, height, width) {  // bilinear between the middles of the cells
  const out = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const r = Math.min(rows - 1, Math.max(0, (y + .5) * rows / height - .5)), r0 = Math.floor(r), r1 = Math.min(rows - 1, r0 + 1), a = r - r0;
    for (let x = 0; x < width; x++) {
      const c = Math.min(columns - 1, Math.max(0, (x + .5) * columns / width - .5)), c0 = Math.floor(c), c1 = Math.min(columns - 1, c0 + 1), b = c - c0;
      out[y * width + x] = (cells[r0 * columns + c0] * (1 - b) + cells[r0 * columns + c1] * b) * (1 - a)
        + (cells[r1 * columns + c0] * (1 - b) + cells[r1 * columns + c1] * b) * a;
    }
  }
  return out;
}

function outline(canvas, boxes) {  // light lines with a dark edge, so that they show on any grey
  const context = canvas.getContext("2d"), thin = Math.max(1.5, canvas.width / 240);
  for (const [width, style] of [[2.2 * thin, "#000"], [thin, "#35e0ff"]]) {
    context.lineWidth = width; context.strokeStyle = style;
    for (const b of boxes) context.strokeRect(b.left * canvas.width, b.top * canvas.height, b.width * canvas.width, b.height * canvas.height);
  }
}
