"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const make = (name, text, parent) => { const e = document.createElement(name); if (text) e.textContent = text; if (parent) parent.append(e); return e; };
// Yellow to red above an even look, as in the pictures: strength 0..1 to red, green, blue, opacity.
const stops = [[254, 217, 118], [254, 178, 76], [253, 141, 60], [252, 78, 42], [227, 26, 28], [177, 0, 38], [128, 0, 38]];
function colour(strength) {
  const x = Math.min(1, Math.max(0, strength)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(x));
  return [...stops[i].map((v, c) => Math.round(v + (stops[i + 1][c] - v) * (x - i))), 0.62 * Math.sqrt(Math.min(1, Math.max(0, strength)))];
}
const css = c => `rgba(${c[0]},${c[1]},${c[2]},${c[3].toFixed(3)})`;
const strength = times => (times - 1) / (data.top - 1);

// The views, each with a canvas over it.
const canvases = data.images.map((image, v) => {
  const figure = make("figure", "", at("views")), box = make("div", "", figure);
  box.className = "view";
  const img = make("img", "", box);
  img.src = image.data; img.alt = "radiograph " + image.name;
  make("figcaption", image.name, figure);
  return make("canvas", "", box);
});
function enlarge(cells, rows, columns, height, width) {  // bilinear between the centres of the cells
  const out = new Float32Array(height * width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const r = Math.min(rows - 1, Math.max(0, (y + .5) * rows / height - .5)), c = Math.min(columns - 1, Math.max(0, (x + .5) * columns / width - .5));
    const r0 = Math.floor(r), c0 = Math.floor(c), r1 = Math.min(rows - 1, r0 + 1), c1 = Math.min(columns - 1, c0 + 1), a = r - r0, b = c - c0;
    out[y * width + x] = (cells[r0 * columns + c0] * (1 - b) + cells[r0 * columns + c1] * b) * (1 - a) + (cells[r1 * columns + c0] * (1 - b) + cells[r1 * columns + c1] * b) * a;
  }
  return out;
}
function draw(look) {  // look: times of an even look, view after view, or null
  canvases.forEach((canvas, v) => {
    const side = 96, context = canvas.getContext("2d");
    canvas.width = canvas.height = side;
    if (!look) return;
    const [, rows, columns] = data.grid, size = rows * columns, picture = context.createImageData(side, side);
    enlarge(look.slice(v * size, (v + 1) * size), rows, columns, side, side).forEach((times, i) => {
      const c = colour(strength(times));
      picture.data.set([c[0], c[1], c[2], Math.round(255 * c[3])], 4 * i);
    });
    context.putImageData(picture, 0, 0);
  });
}
const mean = rows => rows.length ? rows[0].map((_, i) => rows.reduce((sum, r) => sum + r[i], 0) / rows.length) : null;

// The report: each sentence, and each word where the model looked word by word, can be chosen.
let chosen = null;
function choose(button, rows, text) {
  if (chosen) chosen.classList.remove("on");
  chosen = button === chosen ? null : button;
  const now = chosen ? rows : [];
  if (chosen) chosen.classList.add("on");
  draw(data.regions && now.length ? mean(now.map(r => data.regions[r])) : null);
  at("said").textContent = chosen ? "looked at for: " + text : (data.regions || data.tags ? "Choose a sentence" + (data.byword ? " by its number, or a word," : "") + " to see where the model looked." : "This model says of no sentence where it looked.");
  const tags = data.tags && now.length ? mean(now.map(r => data.tags[r])) : null;
  at("now").hidden = !tags;
  if (tags) shares(at("tags-now"), data.tagnames.map((name, i) => [name, tags[i]]).sort((a, b) => b[1] - a[1]));
}
function shares(table, pairs) {
  table.replaceChildren();
  for (const [name, share] of pairs) {
    const row = table.insertRow();
    row.insertCell().textContent = name;
    const bar = make("div", "", row.insertCell());
    bar.className = "bar"; bar.style.width = (100 * share).toFixed(1) + "%";
    row.insertCell().textContent = share.toFixed(2);
  }
}
const buttons = [];
at("report").classList.toggle("words", data.byword);
for (const sentence of data.sentences) {
  const item = make("li", "", at("report"));
  if (data.byword) {
    const whole = make("button", String(data.sentences.indexOf(sentence) + 1), item);
    whole.className = "whole";
    whole.title = "the whole sentence";
    whole.setAttribute("aria-label", "the whole sentence: " + sentence.text);
    whole.onclick = () => choose(whole, sentence.rows, sentence.text);
    for (const w of sentence.words) {
      item.append(" ");
      const button = make("button", data.words[w], item);
      button.dataset.word = w;
      button.onclick = () => choose(button, [w], "“" + data.words[w] + "”");
      buttons.push(button);
    }
  } else if (sentence.rows.length) {
    const button = make("button", sentence.text, item);
    button.onclick = () => choose(button, sentence.rows, sentence.text);
  } else make("span", sentence.text, item);
  item.append(" ");
}
// Where the model read its words again: shaded by the largest look, or by one of its rows.
if (data.reads) {
  const shade = weights => buttons.forEach(b => { b.style.background = css(colour(strength(weights[+b.dataset.word] ?? 0))); });
  const largest = data.reads[0].map((_, i) => Math.max(...data.reads.map(r => r[i])));
  const box = at("reads");
  make("h2", "Words it looked at", box);
  [["largest of all rows", largest], ...data.reads.map((r, i) => ["row " + (i + 1), r])].forEach(([name, weights], i, all) => {
    if (i && all.length === 2) return;
    const button = make("button", name, box);
    button.onclick = () => { box.querySelectorAll("button").forEach(b => b.classList.toggle("on", b === button)); shade(weights); };
    if (!i) { button.classList.add("on"); shade(weights); }
    box.append(" ");
  });
}
for (const [title, pairs] of [["Findings", data.findings], ["Tags it predicts", data.likely]]) if (pairs.length) {
  make("h2", title, at("likely"));
  const table = make("table", "", at("likely"));
  table.className = "shares";
  shares(table, pairs);
}
if (data.tags) {
  at("all").hidden = false;
  const head = at("strip").createTHead().insertRow();
  make("th", "", head);
  data.tagnames.forEach(name => make("th", name, head));
  const body = at("strip").createTBody(), top = Math.max(...data.tags.flat());
  data.tags.forEach((row, i) => {
    const line = body.insertRow();
    make("th", data.rownames[i], line).title = data.rownames[i];
    row.forEach((share, k) => { const cell = line.insertCell(); cell.style.background = `rgba(31,95,168,${(share / top).toFixed(3)})`; cell.title = data.tagnames[k] + " " + share.toFixed(3); });
  });
}
const even = Array.from({ length: 25 }, (_, i) => css(colour(i / 24)));
at("scale").style.background = `linear-gradient(90deg, ${even.join(",")}), linear-gradient(#777, #777)`;
at("top").textContent = data.top.toFixed(1) + " times an even look";
at("legend").hidden = !data.regions && !data.reads;
choose(null, [], "");
const first = document.querySelector("#report button");
if (first && (data.regions || data.tags) && !data.byword) first.click();
