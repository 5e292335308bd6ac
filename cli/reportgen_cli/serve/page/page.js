// Choose files and models, ask the server, and show the answers. Keys work on the whole page but in fields.
"use strict";
const data = JSON.parse(byId("data").textContent);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const INPUTS = { indication: "Indication", technique: "Technique", comparison: "Comparison", age: "Age", sex: "Sex", prior_report: "Prior report", prior_images: "Prior images" };
let models = [], formats = {}, files = [], answers = [];

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let answer;
  try { answer = await fetch(path, { ...options, headers }); } catch { throw new Error("The server does not reply."); }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  throw Object.assign(new Error(body.error), { body, retry: +answer.headers.get("Retry-After") });
}

function fail(text) {
  byId("failed").hidden = !text;
  byId("failed").replaceChildren(make("strong", {}, text));
}

function take(list) {
  files = [...list];
  shelf.chosen = "";
  markChosen();
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  byId("chosen").replaceChildren(...files.slice(0, 12).map((file) => make("li", { class: "chip" }, file.name)), files.length > 12 ? make("li", { class: "chip" }, `and ${files.length - 12} more`) : "");
  fail(bytes > 1e6 * data.megabytes ? `These files have ${(bytes / 1e6).toFixed(0)} MB; a request has at most ${data.megabytes} MB.` : "");
  byId("joined").hidden = files.length < 2;
  ready();
}

function chosenModels() { return models.filter((_, i) => byId(`model-${i}`).checked); }
function ready() {
  const chosen = chosenModels(), taken = Object.keys(INPUTS).filter((name) => chosen.some((model) => model.takes[name] !== "no"));
  byId("go").disabled = !(files.length || shelf.chosen) || !chosen.length;
  byId("context").hidden = !taken.length;
  for (const name of Object.keys(INPUTS)) byId(`of-${name}`).hidden = !taken.includes(name);
}

// What the user gives now: files, or a study of the archive.
const current = () => ({ files, archive: shelf.chosen, title: shelf.title, joined: files.length > 1 && byId("study").checked });

// The form of a request with what was given; of several studies, `views` are the names of the files of one.
function request(fields, given, views = null) {
  const form = new FormData(), own = views ? given.files.filter((file) => views.includes(file.name)) : [];
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const file of own.length ? own : given.files) form.append("images", file, file.name);
  if (given.archive) form.append("archive", given.archive);
  if (given.joined) form.append("study", "true");
  if (!("k" in fields)) for (const name of Object.keys(INPUTS)) {
    const input = byId(`input-${name}`);
    if (byId(`of-${name}`).hidden) continue;
    if (input.type === "file") for (const file of input.files) form.append(name, file, file.name);
    else if (input.value.trim()) form.append(name, input.value.trim());
  }
  return form;
}

async function explain(model, given) {
  for (let tries = 0; ; tries++) {
    try { return await (await ask("/v1/explain", { method: "POST", body: request({ model: model.name }, given) })).json(); }
    catch (e) {
      if (e.retry && tries < 5) await new Promise((done) => setTimeout(done, 1000 * e.retry));
      else if (e.body && e.body.studies) return { ...e.body };
      else return { error: e.message, studies: [], not_used: [], model: model.name };
    }
  }
}

async function write() {
  const chosen = chosenModels(), given = current();
  if (!chosen.length) return;
  byId("app").setAttribute("aria-busy", "true");
  byId("go").disabled = true;
  byId("said").textContent = `Writing the reports of ${chosen.length} model${chosen.length > 1 ? "s" : ""} …`;
  fail("");
  answers = await Promise.all(chosen.map(async (model) => ({ model, given, answer: await explain(model, given) })));
  byId("app").removeAttribute("aria-busy");
  byId("said").textContent = "";
  ready();
  const names = [...new Set(answers.flatMap(({ answer }) => answer.studies.map((study) => study.report.study)))];
  const errors = [...new Set(answers.map(({ answer }) => answer.error).filter(Boolean))];
  fail(errors.join(" "));
  if (!names.length) { announce(errors.join(" ")); return; }
  byId("studies").replaceChildren(...names.map((name) => make("option", {}, name)));
  byId("pick").hidden = names.length < 2;
  const drawn = answers.flatMap(({ answer }) => answer.studies).find((study) => study.page);
  byId("studies").value = drawn ? drawn.report.study : names[0];
  show(byId("studies").value, true);
}

function show(name, focus) {
  const shown = answers.map(({ model, given, answer }) => ({ model, given, answer, study: answer.studies.find((study) => study.report.study === name) })).filter((entry) => entry.study);
  byId("cards").replaceChildren(...shown.map(({ model, given, answer, study }) => card(model, given, answer, study)));
  byId("results").hidden = false;
  const first = shown.find(({ study }) => study.page);
  byId("room").hidden = !first;
  document.body.classList.toggle("reported", !!first);
  byId("results-title").textContent = (shown.length > 1 ? `Reports of ${shown.length} models on ` : "Report on ") + (shown.length && shown[0].given.archive ? shown[0].given.title : name);
  announce(`${byId("results-title").textContent}. ${shown.map(({ model, study }) => `${model.name}: ${study.report.text || study.report.problem}`).join(" ")}`);
  if (focus) byId("results-title").focus({ preventScroll: !!first && innerWidth >= 1000 });
  const button = document.querySelector(".sentences .text");
  if (!first) { document.documentElement.dataset.ready = "yes"; return; }
  showImages(first.study.page, first.model.name).then(() => { if (button) button.click(); document.documentElement.dataset.ready = "yes"; });
}

function step(by) {
  const buttons = [...document.querySelectorAll(".sentences .text")], at = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  const next = buttons[Math.min(buttons.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  if (!next) return;
  next.focus();
  if (next.getAttribute("aria-pressed") !== "true") next.click();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (viewerKey(event)) { event.preventDefault(); return; }
  if (byId("results").hidden || event.target.closest("summary, .tools")) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { step(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
}

function listen() {
  const drop = byId("drop");
  byId("files").onchange = (event) => take(event.target.files);
  for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files.length) take(event.dataTransfer.files); });
  byId("sample").onclick = async () => {
    try {
      const answer = await ask("/v1/sample");
      byId("where").textContent = `Sample: ${answer.headers.get("X-Credit")}`;
      take([new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" })]);
      byId("go").focus();
    } catch (e) { fail(e.message); }
  };
  byId("ask").onsubmit = (event) => { event.preventDefault(); write(); };
  byId("studies").onchange = (event) => show(event.target.value, false);
  document.addEventListener("keydown", pressed);
}

async function main() {
  for (const [name, label] of Object.entries(INPUTS)) {
    const short = { age: "text", sex: "text", prior_images: "file" }[name];
    const field = short ? make("input", { id: `input-${name}`, type: short, multiple: short === "file", autocomplete: "off" }) : make("textarea", { id: `input-${name}`, rows: 2 });
    byId("inputs").append(make("div", { id: `of-${name}`, hidden: true }, make("label", { for: `input-${name}` }, label), field));
  }
  byId("joined").hidden = true;
  listen();
  try { ({ models, formats } = await (await ask("/v1/models")).json()); }
  catch (e) { fail(token || !data.token ? e.message : "This server wants a token: open the whole address that rg serve printed."); return; }
  models.forEach((model, i) => {
    const box = make("input", { type: "checkbox", id: `model-${i}`, checked: i === 0 });
    box.onchange = () => { ready(); if (data.archive) listArchive(); };
    const takes = Object.entries(model.takes).filter(([name, need]) => need !== "no" && name !== "views" && name !== "most_views").map(([name]) => name.replace("_", " "));
    const facts = [model.domain && `trained on ${model.domain}`, takes.length && `takes ${takes.join(", ")}`, model.retrieves && "finds stored texts"].filter(Boolean).join("; ");
    byId("models").append(make("label", { for: `model-${i}` }, box, model.name, facts ? make("small", {}, facts) : null));
  });
  ready();
  startArchive();
}
main();
