// The radiographs: window, zoom, pan and invert, with the attention or the boxes of one sentence over them.
const tones = { width: 1, level: .5, invert: false, drag: false };
const picture = { values: null, model: "", sentence: -1, overlay: true, alone: -1 };
let panes = [];
const peakOf = (weights) => weights && weights.length ? weights.reduce((a, b) => Math.max(a, b)) : 0;
const meanOf = (rows) => rows.length ? rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length) : null;

// Show the radiographs of one answer; those that are shown already stay as they are.
async function showImages(values, model) {
  const same = picture.values && picture.values.images.map((i) => i.data).join() === values.images.map((i) => i.data).join();
  Object.assign(picture, { values, model, sentence: -1 });
  if (same) { draw(); return; }
  panes = values.images.map((image, v) => {
    const canvas = make("canvas", { width: image.width, height: image.height, role: "img" });
    const box = make("figure", { class: "view" }, canvas, make("figcaption", {}, image.name));
    return { image, v, canvas, box, grey: null, zoom: zoomable([box], drag) };
  });
  picture.alone = -1;
  Object.assign(tones, { width: 1, level: .5, invert: false });
  byId("views").replaceChildren(...panes.map((pane) => pane.box));
  tools.V.hidden = panes.length < 2;
  const own = panes;
  await Promise.all(own.map(readPixels));
  if (own === panes) draw();
}

async function readPixels(pane) {
  const img = new Image();
  img.src = pane.image.data;
  await img.decode();
  const canvas = make("canvas", { width: pane.image.width, height: pane.image.height }), context = canvas.getContext("2d");
  context.drawImage(img, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  pane.grey = Uint8Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i]);
}

// Grey values: (value - level) / width + 1/2, as windows of radiographs are; width 1 and level 1/2 show all.
function greyTable() {
  return Uint8ClampedArray.from({ length: 256 }, (_, i) => {
    const grey = 255 * ((i / 255 - tones.level) / tones.width + .5);
    return tones.invert ? 255 - grey : grey;
  });
}

function weightsNow() {
  const values = picture.values, sentence = values && values.sentences[picture.sentence];
  if (!sentence || !values.regions || !sentence.rows.length) return null;
  return meanOf(sentence.rows.map((row) => values.regions[row]));
}

function paint(pane, cells, greys) {
  const { width, height } = pane.canvas, context = pane.canvas.getContext("2d");
  const out = context.createImageData(width, height), to = out.data, [, rows, columns] = picture.values.grid || [0, 0, 0];
  const weights = cells && picture.overlay ? enlarge(cells, rows, columns, height, width) : null, top = picture.values.top;
  for (let i = 0; i < pane.grey.length; i++) {
    const grey = greys[pane.grey[i]];
    let red = grey, green = grey, blue = grey;
    if (weights && weights[i] > 1) {
      const strength = Math.min(1, (weights[i] - 1) / (top - 1)), share = picture.values.opacity * Math.sqrt(strength), over = table[Math.round(255 * strength)];
      red = grey * (1 - share) + over[0] * share; green = grey * (1 - share) + over[1] * share; blue = grey * (1 - share) + over[2] * share;
    }
    to[4 * i] = red; to[4 * i + 1] = green; to[4 * i + 2] = blue; to[4 * i + 3] = 255;
  }
  context.putImageData(out, 0, 0);
}

function draw() {
  if (!picture.values) return;
  const weights = weightsNow(), most = peakOf(weights), pointed = most >= picture.values.pointed, greys = greyTable();
  const sentence = picture.values.sentences[picture.sentence], boxes = sentence ? sentence.boxes : [];
  const size = picture.values.grid ? picture.values.grid[1] * picture.values.grid[2] : 0;
  for (const pane of panes) {
    if (!pane.grey) continue;
    pane.box.hidden = picture.alone >= 0 && picture.alone !== pane.v;
    const cells = pointed && weights ? weights.slice(pane.v * size, (pane.v + 1) * size) : null, own = boxes.filter((box) => box.view === pane.v);
    const drawn = cells && cells.length === size && picture.overlay;
    paint(pane, drawn ? cells : null, greys);
    if (picture.overlay) outline(pane.canvas, own);
    pane.canvas.setAttribute("aria-label", `Radiograph ${pane.image.name}` + (own.length ? `, boxes: ${own.length}` : "") + (drawn ? `, attention up to ${peakOf(cells).toFixed(1)} times uniform` : ""));
  }
  byId("shown").textContent = describe(sentence, weights, most, pointed, boxes);
  byId("legend").hidden = !picture.values.regions;
  byId("top").textContent = `${picture.values.top.toFixed(1)} ×`;
  tools.I.setAttribute("aria-pressed", String(tones.invert));
  tools.W.setAttribute("aria-pressed", String(tones.drag));
  tools.O.setAttribute("aria-pressed", String(picture.overlay));
  tools.O.hidden = !picture.values.regions && !picture.values.sentences.some((s) => s.boxes.length);
  byId("views").classList.toggle("level", tones.drag);
}

function describe(sentence, weights, most, pointed, boxes) {
  if (!sentence) return "Choose a sentence to see where the model looked. Attention is not proof.";
  const parts = [];
  if (weights) parts.push(pointed ? `attention up to ${most.toFixed(1)} × uniform` : `no preferred place, at most ${most.toFixed(1)} × uniform; nothing is coloured`);
  if (boxes.length) parts.push(`${boxes.length} box${boxes.length > 1 ? "es" : ""} of the model`);
  return `${picture.model}, sentence ${picture.sentence + 1}: ${parts.join(", ") || "this model gives no attention"}.`;
}

function changeWindow(dx, dy) {
  tones.width = Math.min(4, Math.max(.05, tones.width * Math.exp(dx / 250)));
  tones.level = Math.min(1, Math.max(0, tones.level + dy / 400));
  draw();
}
function drag(dx, dy, event) {
  if (!tones.drag && !event.shiftKey && !(event.buttons & 2)) return false;
  changeWindow(dx, dy);
  return true;
}

const tools = {};
function tool(key, name, act, pressed = false) {
  const button = make("button", { type: "button", "aria-pressed": pressed ? "false" : null, "aria-keyshortcuts": key }, name, make("kbd", { "aria-hidden": "true" }, key));
  button.onclick = act;
  tools[key] = button;
  byId("tools").append(button);
}
const allPanes = (act) => () => panes.forEach((pane) => act(pane.zoom));
tool("O", "Overlay", () => { picture.overlay = !picture.overlay; draw(); }, true);
tool("W", "Window", () => { tones.drag = !tones.drag; draw(); announce(tones.drag ? "Arrow keys and dragging change the window" : "Arrow keys and dragging move the radiograph"); }, true);
tool("I", "Invert", () => { tones.invert = !tones.invert; draw(); }, true);
tool("+", "Zoom", allPanes((zoom) => zoom.zoom(1.4)));
tool("-", "Smaller", allPanes((zoom) => zoom.zoom(1 / 1.4)));
tool("R", "Whole", () => { panes.forEach((pane) => pane.zoom.reset()); Object.assign(tones, { width: 1, level: .5 }); draw(); });
tool("V", "Views", () => {
  picture.alone = picture.alone + 1 < panes.length ? picture.alone + 1 : -1;
  announce(picture.alone < 0 ? "All views" : "View " + panes[picture.alone].image.name);
  draw();
});
byId("legend").append(make("span", { class: "aside" }, "Colours: attention, from even to the strongest"), make("canvas", { id: "scale", class: "bar", width: 256, height: 8, "aria-hidden": "true" }), make("div", { class: "ends" }, make("span", {}, "1 × even"), make("span", { id: "top" })));
{
  const canvas = byId("scale"), context = canvas.getContext("2d");
  canvas.style.width = "100%";
  for (let i = 0; i < 256; i++) { context.fillStyle = `rgb(${table[i].join(",")})`; context.globalAlpha = .62 * Math.sqrt(i / 255); context.fillRect(i, 0, 1, 8); }
}
byId("views").addEventListener("contextmenu", (event) => event.preventDefault());

function viewerKey(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (moves && document.activeElement === byId("views")) {
    if (tones.drag) changeWindow(25 * moves[0], 20 * moves[1]);
    else panes.forEach((pane) => pane.zoom.move(-.08 * moves[0], -.08 * moves[1]));
    return true;
  }
  const button = tools[event.key === "=" ? "+" : event.key.length === 1 ? event.key.toUpperCase() : ""];
  if (!button || button.hidden || byId("room").hidden) return false;
  button.click();
  return true;
}
