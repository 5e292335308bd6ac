// The report: sentences and, if the model attends word by word, words can be chosen.
const chosen = { sentence: -1, word: -1 };
const sentences = [];  // of each: its button or null, and the buttons of its words
const weightsOf = (rows) => data.regions && rows.length ? mean(rows.map((row) => data.regions[row])) : null;
const peakOfRows = (rows) => peakOf(weightsOf(rows) || (data.tags && rows.length ? mean(rows.map((row) => data.tags[row])) : null));

function mark(rows) {
  const value = peakOfRows(rows), fill = make("i"), even = value < data.pointed;
  fill.style.width = `${even ? 0 : 100 * strengthOf(value, Math.max(data.top, value))}%`;
  return make("span", { class: "mark" },
    make("span", { class: "track", "aria-hidden": "true" }, fill),
    make("b", { "aria-hidden": "true" }, even ? "even" : value.toFixed(1) + "×"),
    make("span", { class: "aside" }, even ? "no preferred place: " : `up to ${value.toFixed(1)} times uniform: `));
}

function wordButton(s, k, w) {
  const button = make("button", { type: "button", class: "word", "aria-pressed": "false", tabindex: -1, "data-word": w }, data.words[w]);
  if (data.regions && data.regions[w] && peakOf(data.regions[w]) >= data.pointed) button.classList.add("pointed");
  button.onclick = () => choose(s, chosen.sentence === s && chosen.word === k ? null : k);
  return button;
}

function showReport() {
  const list = byId("report");
  list.classList.toggle("words", data.byword);
  data.sentences.forEach((sentence, s) => {
    const item = make("li"), entry = { button: null, words: [] };
    if (sentence.rows.length || sentence.boxes.length) {
      const name = data.byword ? make("span", {}, make("span", { class: "aside" }, "Sentence "), String(s + 1)) : make("span", {}, sentence.text);
      const level = sentence.rows.length ? [mark(sentence.rows)] : [], parts = data.byword ? [name, ...level] : [...level, name];
      entry.button = make("button", { type: "button", class: level.length ? "sentence" : "sentence unmarked", "aria-pressed": "false", tabindex: -1 }, ...parts);
      entry.button.onclick = () => chosen.sentence === s && chosen.word < 0 ? choose(-1) : choose(s);
      item.append(entry.button);
      entry.words = sentence.words.map((w, k) => wordButton(s, k, w));
      if (entry.words.length) item.append(make("div", { class: "line" }, ...entry.words));
    } else item.append(make("span", { class: "plain" }, sentence.text));
    sentences.push(entry);
    list.append(item);
  });
  byId("word-keys").hidden = !data.byword;
  const first = sentences.find((entry) => entry.button);
  if (first) first.button.tabIndex = 0;
}

const buttonAt = (s, k) => s < 0 || !sentences[s] ? null : k < 0 ? sentences[s].button : sentences[s].words[k];

// Choose a sentence, or the word `k` of it; null and -1 show the radiograph alone.
function choose(s, k = -1, focus = false) {
  const old = buttonAt(chosen.sentence, chosen.word);
  if (old) old.setAttribute("aria-pressed", "false");
  if (k === null) s = k = -1;
  chosen.sentence = s; chosen.word = k;
  const button = buttonAt(s, k);
  if (button) {
    document.querySelectorAll("#report button[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
    button.setAttribute("aria-pressed", "true");
    button.tabIndex = 0;
    if (focus) { button.focus(); button.scrollIntoView({ block: "nearest" }); }
  }
  const rows = !button ? [] : k < 0 ? data.sentences[s].rows : [data.sentences[s].words[k]];
  picture.weights = weightsOf(rows);
  picture.boxes = button && k < 0 ? data.sentences[s].boxes : [];
  follow();
  draw();
  say(button, s, k, rows);
  showTags(rows);
}

function say(button, s, k, rows) {
  const any = data.regions || data.tags || sentences.some((entry) => entry.button);
  if (!button) {
    byId("said").textContent = any ? `Choose a sentence${data.byword ? " by its number, or a word" : ""}.` : "This model gives no attention for its sentences.";
    return;
  }
  const name = k < 0 ? `Sentence ${s + 1} of ${sentences.length}` : `“${data.words[data.sentences[s].words[k]]}”`;
  const most = peakOf(picture.weights);
  let words = "no attention over the radiograph";
  if (picture.weights) words = most >= data.pointed ? `up to ${times(most)} uniform` : `no preferred place, at most ${times(most)} uniform; nothing is coloured`;
  if (picture.boxes.length) words = (picture.weights ? words + ", " : "") + `${picture.boxes.length} box${picture.boxes.length > 1 ? "es" : ""} of the model`;
  byId("said").textContent = `${name}: ${words}.`;
  announce(byId("said").textContent);
}

function bars(caption, pairs, top, words, uniform) {
  const body = make("tbody");
  for (const [name, value] of pairs) {
    const fill = make("i"), track = make("div", { class: "track", "aria-hidden": "true" }, fill);
    fill.style.width = `${100 * Math.min(1, value / top)}%`;
    if (uniform) { const even = make("u"); even.style.left = `${100 / top}%`; track.append(even); }
    body.append(make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, track), make("td", {}, words(value))));
  }
  return make("table", { class: "shares" }, make("caption", {}, caption), body);
}

function showTags(rows) {
  const box = byId("now");
  box.replaceChildren();
  if (!data.tags || !rows.length) return;
  const weights = mean(rows.map((row) => data.tags[row])), most = peakOf(weights);
  const pairs = data.tagnames.map((name, i) => [name, weights[i]]).sort((a, b) => b[1] - a[1]);
  const caption = most >= data.pointed ? "Times uniform; the line is 1 ×, even attention." : `No preferred tag: at most ${times(most)} uniform. The line is 1 ×, even attention.`;
  box.append(make("h2", {}, "Attention over tags"), bars(caption, pairs, Math.max(2, most), (v) => v.toFixed(1) + "×", true));
}

// Words that the model read again: shaded by the largest weight, or by one row.
const shadeEnd = data.reads ? Math.max(2, ...data.reads.map(peakOf)) : 2;
const shadeOf = (value) => colour(.5 * Math.sqrt(strengthOf(value, shadeEnd)));
function shade(weights) {
  document.querySelectorAll("#report .word").forEach((button) => {
    const value = weights[+button.dataset.word] ?? 0, read = peakOf(weights) >= data.pointed && value > 1;
    button.classList.toggle("read", read);
    button.style.background = read ? `rgb(${shadeOf(value).join(",")})` : "";
    button.title = `${value.toFixed(1)} × uniform`;
  });
  const most = peakOf(weights);
  byId("read-note").textContent = most >= data.pointed ? "" : `No preferred word: at most ${times(most)} uniform; nothing is shaded.`;
}
function showReads() {
  if (!data.reads) return;
  const largest = data.reads[0].map((_, i) => Math.max(...data.reads.map((row) => row[i])));
  const choices = [["largest of all rows", largest], ...data.reads.length > 1 ? data.reads.map((row, i) => ["row " + (i + 1), row]) : []];
  const buttons = choices.map(([name, weights]) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, name);
    button.onclick = () => { buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button))); shade(weights); };
    return button;
  });
  const swatches = ticksOf(shadeEnd).concat(shadeEnd % 1 > .05 ? [shadeEnd] : []).map((value) => {
    const swatch = make("span", {}, value === 1 ? "1 × or less" : times(value).replace(".0", ""));
    if (value > 1) swatch.style.background = `rgb(${shadeOf(value).join(",")})`;
    return swatch;
  });
  byId("reads").append(make("h2", {}, "Attention over the words of the report"),
    make("div", { class: "wordscale" }, make("div", { class: "swatches" }, ...swatches), "How many times uniform the model weighs a word, as shaded above; white is even or less."),
    make("p", { id: "read-note" }), make("div", { class: "reads" }, ...choices.length > 1 ? buttons : []));
  buttons[0].click();
}

function showPredictions() {
  const box = byId("likely");
  if (data.findings.length) box.append(make("h2", {}, "Predicted findings"), bars("Probability of each finding, by the model.", data.findings, 1, (v) => v.toFixed(2), false));
  if (!data.likely.length) return;
  const caption = data.shares ? "The likeliest tags; shares of 1 over all tags, not a probability of each." : "The likeliest tags, with their probabilities.";
  box.append(make("h2", {}, "Predicted tags"), bars(caption, data.likely, 1, (v) => v.toFixed(2), false));
}

// Tags by rows, sentences or words by columns. White is even; orange is more, purple is less, as in tags.png.
function shadeTag(value) {
  const octaves = Math.max(-2, Math.min(2, Math.log2(Math.max(value, 1e-6)))) / 2, end = octaves > 0 ? [179, 88, 6] : [84, 39, 136];
  return { rgb: end.map((v) => Math.round(255 + (v - 255) * Math.abs(octaves))), dark: Math.abs(octaves) > .6 };
}
function showStrip() {
  if (!data.tags) return;
  const head = make("tr", {}, make("th", { scope: "col" }, "tag"));
  data.rownames.forEach((name, i) => {
    head.append(make("th", { scope: "col", title: name }, data.byword ? make("span", { class: "turned" }, name || "–") : `${i + 1}`));
  });
  const body = make("tbody");
  data.tagnames.forEach((tag, k) => {
    const row = make("tr", {}, make("th", { scope: "row" }, tag));
    data.tags.forEach((weights) => {
      const cell = make("td", {}, weights[k].toFixed(1)), { rgb, dark } = shadeTag(weights[k]);
      cell.style.background = `rgb(${rgb.join(",")})`;
      cell.style.color = dark ? "#fff" : "#141414";
      row.append(cell);
    });
    body.append(row);
  });
  const caption = `Times uniform of each tag (1 is 1/${data.tagnames.length}) in each ${data.byword ? "word" : "sentence"}; orange is more than even, purple less.`;
  byId("all").append(make("h2", {}, `Attention over tags, all ${data.byword ? "words" : "sentences"}`),
    make("div", { class: "scroll" }, make("table", { class: "strip" }, make("caption", {}, caption), make("thead", {}, head), body)));
  watchScroll();
}

function step(by) {
  const can = sentences.map((entry, i) => entry.button ? i : -1).filter((i) => i >= 0);
  if (!can.length) return;
  const now = can.indexOf(chosen.sentence);
  choose(can[now < 0 ? 0 : Math.min(can.length - 1, Math.max(0, now + by))], -1, true);
}
function stepWord(by) {
  const order = sentences.flatMap((entry, s) => entry.words.map((_, k) => [s, k]));
  if (!order.length) return;
  const here = order.findIndex(([s, k]) => s === chosen.sentence && k === Math.max(0, chosen.word));
  const next = here < 0 ? 0 : chosen.word < 0 ? here : Math.min(order.length - 1, Math.max(0, here + by));
  choose(...order[next], true);
}
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, summary, .scroll")) return;
  const act = { ArrowDown: () => step(1), ArrowUp: () => step(-1), ArrowRight: () => stepWord(1), ArrowLeft: () => stepWord(-1),
    Escape: () => choose(-1), "-": () => panes.forEach((pane) => pane.zoom.zoom(1 / 1.4)), "=": () => tools["+"].click() }[event.key];
  const button = tools[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act && !button) return;
  if (event.key.startsWith("Arrow") || !event.repeat) (act || (() => button.click()))();
  if (event.key !== "Escape") event.preventDefault();
}

async function main() {
  showTools();
  showReport();
  showReads();
  showPredictions();
  showStrip();
  document.addEventListener("keydown", pressed);
  await Promise.all(panes.map(readPixels));
  drawLegend();
  choose(data.byword ? -1 : sentences.findIndex((entry) => entry.button));
  document.documentElement.dataset.ready = "yes";
}
main();
