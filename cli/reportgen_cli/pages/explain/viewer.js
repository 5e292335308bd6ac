"use strict";
const data = JSON.parse(byId("data").textContent);
const [, gridRows, gridColumns] = data.grid || [0, 0, 0];
const strengthOf = (times, top = data.top) => Math.min(1, Math.max(0, (times - 1) / (top - 1)));
const mean = (rows) => rows.length ? rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length) : null;
const peakOf = (weights) => weights && weights.length ? Math.max(...weights) : 0;
const times = (value) => value.toFixed(1) + " ×";

// A telephone is too narrow for two views: it shows one, that of the chosen sentence, until the reader chooses a view.
const narrow = matchMedia("(max-width: 699px) and (orientation: portrait)").matches && data.images.length > 1;
const picture = { follows: narrow, overlay: true, original: false, contour: false, invert: false, alone: -1, opacity: data.opacity, threshold: 1, weights: null, boxes: [] };

// Each view has a box with its attention and a box without; both move together.
const panes = data.images.map((image, v) => {
  const pane = { image, v, grey: null, canvases: [], boxes: [] };
  for (const alone of [false, true]) {
    const canvas = make("canvas", { width: image.width, height: image.height, role: "img" });
    const box = make("figure", { class: "view", hidden: alone }, canvas, make("figcaption", {}, image.name + (alone ? ", original" : "")));
    pane.canvases.push(canvas);
    pane.boxes.push(box);
    byId("views").append(box);
  }
  pane.zoom = zoomable(pane.boxes);
  return pane;
});

async function readPixels(pane) {
  const img = new Image();
  img.src = pane.image.data;
  await img.decode();
  const canvas = make("canvas", { width: pane.image.width, height: pane.image.height }), context = canvas.getContext("2d");
  context.drawImage(img, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  pane.grey = Uint8Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i]);
}

const line = () => Math.max(picture.threshold, data.pointed);  // where the contour runs

function paint(canvas, pane, cells) {
  const { width, height } = canvas, context = canvas.getContext("2d"), out = context.createImageData(width, height), to = out.data;
  const weights = cells && enlarge(cells, gridRows, gridColumns, height, width), edge = line();
  for (let i = 0; i < pane.grey.length; i++) {
    const grey = picture.invert ? 255 - pane.grey[i] : pane.grey[i];
    let rgb = [grey, grey, grey];
    if (weights && picture.overlay && weights[i] > picture.threshold) {
      const strength = strengthOf(weights[i]), share = picture.opacity * Math.sqrt(strength), over = table[Math.round(255 * strength)];
      rgb = over.map((v) => grey * (1 - share) + v * share);
    }
    if (weights && picture.contour) {
      const inside = weights[i] >= edge, x = i % width;
      if ((x + 2 < width && weights[i + 2] >= edge !== inside) || (i + 2 * width < weights.length && weights[i + 2 * width] >= edge !== inside)) rgb = [53, 224, 255];
    }
    to[4 * i] = rgb[0]; to[4 * i + 1] = rgb[1]; to[4 * i + 2] = rgb[2]; to[4 * i + 3] = 255;
  }
  context.putImageData(out, 0, 0);
}

// One view alone, or all side by side (-1).
function showView(number) {
  picture.alone = number;
  tools.v.firstChild.textContent = number < 0 ? "All views" : `View ${number + 1} of ${panes.length}`;
}

// Show the view that the chosen sentence or word has most of its attention in, or the first of its boxes.
function follow() {
  if (!picture.follows) return;
  const size = gridRows * gridColumns, weights = picture.weights || [];
  const most = panes.map((pane) => peakOf(weights.slice(pane.v * size, (pane.v + 1) * size)));
  if (picture.boxes.length) showView(picture.boxes[0].view);
  else if (peakOf(most) >= data.pointed) showView(most.indexOf(peakOf(most)));
}

// Draw all views. Weights without a preferred place are not drawn.
function draw() {
  const size = gridRows * gridColumns, shown = peakOf(picture.weights) >= data.pointed ? picture.weights : null;
  for (const pane of panes) {
    if (!pane.grey) continue;
    const cells = shown && shown.slice(pane.v * size, (pane.v + 1) * size), hidden = picture.alone >= 0 && picture.alone !== pane.v;
    const drawn = cells && cells.length === size ? cells : null;
    pane.boxes[0].hidden = hidden;
    pane.boxes[1].hidden = hidden || !picture.original;
    const boxes = picture.boxes.filter((box) => box.view === pane.v);
    paint(pane.canvases[0], pane, drawn);
    outline(pane.canvases[0], boxes);
    pane.canvases[0].setAttribute("aria-label", `Radiograph ${pane.image.name}` + (boxes.length ? `, boxes: ${boxes.length}` : "") + (drawn ? `, attention up to ${times(peakOf(drawn))} uniform` : ", nothing coloured"));
    if (picture.original) paint(pane.canvases[1], pane, null);
    pane.canvases[1].setAttribute("aria-label", `Radiograph ${pane.image.name}, original`);
  }
}

function ticksOf(top) {
  const step = Math.max(1, Math.ceil((top - 1) / 10));
  return Array.from({ length: Math.floor((Math.floor(top) - 1) / step) + 1 }, (_, i) => 1 + i * step);
}

function drawLegend() {
  const box = byId("legend");
  box.replaceChildren();
  if (!data.regions) {
    const boxed = data.sentences.some((sentence) => sentence.boxes.length);
    box.append(make("p", {}, boxed ? "Boxes: where the model places what a sentence says." : "This model gives no attention over the radiograph."));
    return;
  }
  const bar = make("div", { class: "bar", "aria-hidden": "true" }), ticks = make("div", { class: "ticks" });
  const shades = Array.from({ length: 25 }, (_, i) => {
    const at = 1 + i / 24 * (data.top - 1), share = at > picture.threshold ? picture.opacity * Math.sqrt(i / 24) : 0;
    return `rgba(${table[Math.round(255 * i / 24)].join(",")},${share.toFixed(3)})`;
  });
  bar.style.background = `linear-gradient(90deg, ${shades.join(",")}), #737373`;
  if (picture.contour) { const mark = make("i"); mark.style.left = `${100 * strengthOf(line())}%`; bar.append(mark); }
  for (const tick of ticksOf(data.top)) {
    const label = make("span", {}, tick === 1 ? "1 × even" : `${tick} ×`);
    label.style.left = `${100 * strengthOf(tick)}%`;
    if (tick === 1 || strengthOf(tick) > .2) ticks.append(label);
  }
  box.append(make("div", { class: "aside" }, "Colours: attention, times uniform"), bar, ticks);
}

function redraw() { drawLegend(); draw(); }

const tools = {};
function tool(key, name, act, pressed = null) {
  const button = make("button", { type: "button", "aria-pressed": pressed === null ? null : String(pressed), "aria-keyshortcuts": key }, name, make("kbd", { "aria-hidden": "true" }, key.toUpperCase()));
  button.onclick = () => act(button);
  tools[key] = button;
  byId("tools").append(button);
  return button;
}
function toggle(key, name, field) {
  return tool(key, name, (button) => {
    picture[field] = !picture[field];
    button.setAttribute("aria-pressed", String(picture[field]));
    redraw();
  }, picture[field]);
}
function slider(name, field, min, max, step, words) {
  const id = "slider-" + field, value = make("output", { for: id }, words(picture[field]));
  const input = make("input", { id, type: "range", min, max, step, value: picture[field] });
  input.oninput = () => { picture[field] = +input.value; value.textContent = words(picture[field]); redraw(); };
  byId("sliders").append(make("label", { for: id }, name, input, value));
}

function showTools() {
  if (data.regions) {
    toggle("o", "Overlay", "overlay");
    toggle("c", "Contour", "contour");
  }
  if (data.regions) toggle("b", "Original", "original").title = "Original next to overlay";
  toggle("i", "Invert", "invert");
  if (panes.length > 1) {
    tool("v", "All views", () => {
      picture.follows = false;
      showView(picture.alone + 1 < panes.length ? picture.alone + 1 : -1);
      announce(picture.alone < 0 ? "All views" : "View " + panes[picture.alone].image.name);
      draw();
    }).title = "Next view, or all views";
    if (picture.follows) showView(0);
  }
  tool("+", "Zoom", () => panes.forEach((pane) => pane.zoom.zoom(1.4))).title = "Enlarge";
  tool("r", "Whole", () => panes.forEach((pane) => pane.zoom.reset())).title = "Whole radiograph";
  if (!data.regions) return;
  slider("Opacity", "opacity", 0, 1, .05, (v) => Math.round(100 * v) + " %");
  slider("Threshold", "threshold", 1, data.top.toFixed(1), .1, times);
  const adjust = make("button", { type: "button", id: "adjust", "aria-expanded": "false", "aria-controls": "sliders" }, "Adjust");
  adjust.onclick = () => adjust.setAttribute("aria-expanded", String(byId("sliders").classList.toggle("open")));
  byId("tools").append(adjust);
}
