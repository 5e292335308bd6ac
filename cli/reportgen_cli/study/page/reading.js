"use strict";
let study, reader = "", now = null, since = 0, busy = false, practice = false, alone = -1, screen = "start";
let looks = [], boxes = [];
const grey = { width: 1, level: .5, invert: false, drag: false };

async function ask(path, body) {
  const sent = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let answer;
  try { answer = await fetch(path, sent); } catch { throw new Error("The program that keeps the answers does not reply."); }
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function say(text, kind = "", undoable = false) {
  byId("said").textContent = text;
  byId("said").className = kind;
  byId("undo-now").hidden = !undoable;
  byId("end-said").textContent = kind === "bad" ? text : "";
}

function go(name) {
  screen = name;
  for (const id of ["start", "reading", "end"]) byId(id).hidden = id !== name;
}

// Show a case. `before` is what was said just before, for a screen reader.
function show(state, before = "") {
  now = state.case;
  if (state.total) { byId("bar").max = state.total; byId("bar").value = state.done; }
  byId("count").textContent = practice ? "Practice" : `${state.done} of ${state.total} read`;
  byId("reader").textContent = reader;
  if (!now) return end(state, before);
  go("reading");
  byId("open-scores").textContent = practice ? "Leave" : "Scores";
  byId("text").textContent = now.text;
  byId("practice-note").hidden = !practice;
  byId("comment").value = state.taken ? state.taken.comment : "";
  for (const b of byId("grades").children) {
    const taken = !!state.taken && +b.dataset.score === state.taken.score;
    b.classList.toggle("before", taken);
    b.setAttribute("aria-pressed", String(taken));
  }
  boxes = now.images.map(view);
  byId("views").replaceChildren(...boxes);
  looks = boxes.map((box) => zoomable([box], drag));
  Object.assign(grey, { width: 1, level: .5, invert: false });
  showView(boxes.length > 1 && narrow.matches ? 0 : -1);
  showGrey();
  tools.v.hidden = boxes.length < 2;
  for (const name of state.upcoming) new Image().src = "image/" + name;
  byId("scroll").scrollTop = 0;
  byId("report-title").focus({ preventScroll: true });
  announce(`${before} ${practice ? "Practice case" : `Case ${Math.min(state.done + 1, state.total)} of ${state.total}`}. Report: ${now.text}`.trim());
  since = performance.now();
}

function view(name, i, all) {
  const img = new Image();
  img.src = "image/" + name; img.alt = `Radiograph ${i + 1} of ${all.length}`; img.draggable = false;
  img.onerror = () => say("An image cannot be shown. Reload the page, or tell whoever runs the study.", "bad");
  return make("div", { class: "view" }, img);
}

// Grey values: (value - level) / width + 1/2, as windows of radiographs are; width 1 and level 1/2 show all.
function showGrey() {
  const slope = 1 / grey.width, intercept = .5 - grey.level / grey.width;
  for (const f of document.querySelectorAll("#window feComponentTransfer > *")) {
    f.setAttribute("slope", grey.invert ? -slope : slope);
    f.setAttribute("intercept", grey.invert ? 1 - intercept : intercept);
  }
  tools.i.setAttribute("aria-pressed", String(grey.invert));
  tools.w.setAttribute("aria-pressed", String(grey.drag));
}
function changeWindow(dx, dy) {
  grey.width = Math.min(4, Math.max(.05, grey.width * Math.exp(dx / 250)));
  grey.level = Math.min(1, Math.max(0, grey.level + dy / 400));
  showGrey();
}
function drag(dx, dy, event) {
  if (!grey.drag && !event.shiftKey && !(event.buttons & 2)) return false;
  changeWindow(dx, dy);
  return true;
}
function arrow(dx, dy) {
  if (grey.drag) changeWindow(25 * dx, 20 * dy);
  else looks.forEach((look) => look.move(-.08 * dx, -.08 * dy));
}

function whole() { looks.forEach((look) => look.reset()); grey.width = 1; grey.level = .5; showGrey(); }
// One view alone, or all side by side (-1). A telephone is too narrow for two, and begins with the first.
const narrow = matchMedia("(max-width: 699px) and (orientation: portrait)");
function showView(number) {
  alone = number;
  boxes.forEach((box, i) => { box.hidden = alone >= 0 && i !== alone; });
  tools.v.firstChild.textContent = alone < 0 ? "All views" : `View ${alone + 1} of ${boxes.length}`;
}
function turn() {
  showView(alone + 1 < boxes.length ? alone + 1 : -1);
  announce(tools.v.firstChild.textContent);
}

async function once(what) {
  if (busy) return;
  busy = true;
  try { await what(); } catch (e) { say(e.message, "bad"); announce(e.message); } finally { busy = false; }
}

function score(value) {
  if (!now || screen !== "reading" || performance.now() - since < 300) return;  // a key pressed twice is not two answers
  if (practice) { leavePractice(`Practice: your ${value} would be saved now. Enter your name to begin.`); return; }
  const answer = { reader, case: now.id, score: value, comment: byId("comment").value.trim(), seconds: (performance.now() - since) / 1000 };
  once(async () => {
    let state;
    try { state = await ask("answer", answer); }
    catch (e) { throw new Error(`Not kept: ${e.message} Press the key again to retry.`); }
    say(`${value} saved.`, "good", true);
    await show(state, `${value} saved.`);
  });
}

function undo() {
  if (practice || !reader) return;
  once(async () => {
    const state = await ask("undo", { reader });
    const words = state.taken ? `Taken back; it was ${state.taken.score}. Score it again.` : "There is nothing to take back.";
    say(words);
    await show(state, words);
  });
}

async function end(state, before) {
  const rows = await ask("scores?reader=" + encodeURIComponent(reader));
  const open = state.done < state.total;
  go("end");
  byId("end-title").textContent = open ? "Your scores" : "All read. Thank you.";
  byId("sum").textContent = `${state.done} of ${state.total} reports scored by ${reader}.`;
  byId("go-on").hidden = !open;
  byId("undo-last").hidden = !rows.length;
  const body = make("tbody");
  for (const row of rows) {
    const again = make("button", { type: "button", "data-case": row.case, onclick: () => back(row.case) }, "Show again", make("span", { class: "aside" }, ` case ${row.number}`));
    body.append(make("tr", {}, make("th", { scope: "row" }, `Case ${row.number}`), make("td", {}, String(row.score)), make("td", {}, row.comment), make("td", { class: "no-print" }, again)));
  }
  const head = ["case", "score", "comment"].map((name) => make("th", { scope: "col" }, name));
  byId("scores").replaceChildren(make("caption", {}, "Your scores, in the order in which you gave them. A new score replaces the old one."),
    make("thead", {}, make("tr", {}, ...head, make("td", { class: "no-print" }))), body);
  byId("end-title").focus({ preventScroll: true });
  announce(`${before} ${byId("end-title").textContent}`.trim());
}

function back(id) {
  once(async () => {
    const state = await ask(`again?reader=${encodeURIComponent(reader)}&case=${encodeURIComponent(id)}`);
    const words = `You gave ${state.taken.score}. Score it again to change it.`;
    say(words);
    await show(state, words);
  });
}

function openScores() {
  if (practice) return leavePractice("");
  once(async () => end(await ask("next?reader=" + encodeURIComponent(reader)), ""));
}
function goOn() { once(async () => { say(""); await show(await ask("next?reader=" + encodeURIComponent(reader))); }); }

function startPractice() {
  once(async () => {
    practice = true;
    say("Practice: nothing is saved.");
    byId("practice-note").textContent = `Radiograph: ${study.practice.credit}. The report is made up.`;
    await show({ case: study.practice, done: 0, total: 0, upcoming: [] }, "Practice, nothing is saved.");
  });
}
function leavePractice(words) {
  practice = false; now = null;
  go("start");
  byId("refused").textContent = words;
  byId("name").focus();
}

const tools = {};
function tool(key, name, act, pressed = false) {
  const button = make("button", { type: "button", "aria-keyshortcuts": key, "aria-pressed": pressed ? "false" : null }, name, make("kbd", { "aria-hidden": "true" }, key.toUpperCase()));
  button.onclick = act;
  tools[key] = button;
  byId("tools").append(button);
}
tool("u", "Undo", undo);
tool("i", "Invert", () => { grey.invert = !grey.invert; showGrey(); }, true);
tool("w", "Window", () => { grey.drag = !grey.drag; showGrey(); }, true);
tool("v", "Views", turn);
tool("+", "Zoom in", () => looks.forEach((look) => look.zoom(1.25)));
tool("-", "Zoom out", () => looks.forEach((look) => look.zoom(.8)));
tool("r", "Whole", whole);
tools.w.title = "Drag, or the arrow keys, change window and level instead of moving";
tools.v.title = "One view, the next, all";
tools.r.title = "Whole image, all grey values";

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (screen === "end" && event.key.toLowerCase() === "u") { event.preventDefault(); undo(); return; }
  if (screen !== "reading") return;
  if (event.target.tagName === "TEXTAREA") { if (event.key === "Escape") event.target.blur(); return; }
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (arrows && event.target.id !== "scroll") { event.preventDefault(); arrow(...arrows); return; }
  if (event.repeat) return;
  const top = study.grades[0].score, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const value = key === "0" && top === 10 ? 10 : /^[0-9]$/.test(key) ? +key : NaN;
  if (study.grades.some((g) => g.score === value)) { event.preventDefault(); score(value); return; }
  const act = { Backspace: undo, c: () => byId("comment").focus(), "=": () => tools["+"].click() }[key] || (tools[key] && (() => tools[key].click()));
  if (act) { event.preventDefault(); act(); }
}

function begin(name) {
  return ask("next?reader=" + encodeURIComponent(name)).then(async (state) => {
    reader = name;
    location.hash = encodeURIComponent(reader);
    say(state.done && state.case ? `Welcome back: ${state.done} are read.` : "");
    await show(state, state.done ? `Welcome back: ${state.done} are read.` : "");
  });
}

function showScale(list) {
  for (const g of study.grades) list.append(make("dt", {}, String(g.score)), make("dd", {}, g.text || "–"));
}

function showStart() {
  const minutes = Math.max(1, Math.round(study.total * study.seconds / 60));
  const about = study.measured ? "by the answers so far" : `at ${Math.round(study.seconds)} seconds a case`;
  for (const [name, value] of [["Cases", study.total], ["Expected", `about ${minutes} minutes, ${about}`]]) byId("facts").append(make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
  byId("start-question").textContent = study.question;
  document.querySelector("#scroll .question").textContent = study.question;
  showScale(byId("start-scale"));
  showScale(byId("scale"));
  const grades = byId("grades"), many = study.grades.length > 6;
  grades.classList.toggle("many", many);
  grades.setAttribute("aria-label", study.question);
  for (const g of study.grades) {
    const key = g.score === 10 ? "0" : String(g.score);
    grades.append(make("button", { type: "button", "data-score": g.score, "aria-pressed": "false", "aria-keyshortcuts": key, onclick: () => score(g.score) }, make("b", {}, String(g.score)), make("span", { class: "meaning" }, g.text)));
  }
}

async function main() {
  study = await ask("study");
  showStart();
  document.addEventListener("keydown", pressed);
  document.addEventListener("contextmenu", (event) => { if (event.target.closest(".view")) event.preventDefault(); });
  byId("who").onsubmit = (event) => { event.preventDefault(); byId("refused").textContent = ""; begin(byId("name").value.trim()).catch((e) => { byId("refused").textContent = e.message; }); };
  byId("try").onclick = startPractice;
  byId("undo-now").onclick = undo;
  byId("undo-last").onclick = undo;
  byId("open-scores").onclick = openScores;
  byId("go-on").onclick = goOn;
  if (location.hash.length > 1) await begin(decodeURIComponent(location.hash.slice(1)));
}
main().catch((e) => { byId("refused").textContent = e.message; });
