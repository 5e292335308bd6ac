// One card for each model: its notes, its sentences, its findings, the corrected report, and downloads.
const percent = (value) => (100 * value).toFixed(value < .0995 ? 1 : 0) + " %";

const NAMES = { text: "Text", json: "JSON", sr: "DICOM SR", fhir: "FHIR R4B", "fhir-r5": "FHIR R5" };

function card(model, given, answer, study) {
  const several = answer.studies.length > 1, state = { model, given, study, views: several ? study.report.views : null, wrong: new Set(), area: null, status: make("p", { class: "status", role: "status" }) };
  const report = study.report, box = make("article", { class: "card", "aria-label": `Report of ${model.name}` });
  box.append(make("h3", {}, model.name), make("p", { class: "dim" }, model.demonstration ? "A demonstration, not for clinical use." : "For research. Not a medical device."));
  for (const text of [report.problem, report.note]) if (text) box.append(make("p", { class: "notice" }, make("strong", {}, text)));
  for (const name of answer.not_used) if (!report.note.includes(name.replace("_", " "))) box.append(make("p", { class: "notice" }, make("strong", {}, `This model takes no ${name.replace("_", " ")}; it was not used.`)));
  if (!report.text) return box;
  box.append(sentenceList(state), findingTable(model, study.findings), correction(state), downloads(state), state.status, trust(model));
  if (model.retrieves) box.append(nearest(state));
  return box;
}

function sentenceList(state) {
  const { page, report } = state.study, list = make("ol", { class: "sentences", "aria-label": "Sentences" });
  const texts = report.sentences.length ? report.sentences : [report.text];
  texts.forEach((text, s) => {
    const shown = page && page.sentences[s], rows = shown ? shown.rows : [], boxes = shown ? shown.boxes : [];
    const peak = page && page.regions && rows.length ? peakOf(meanOf(rows.map((row) => page.regions[row]))) : 0;
    const hint = boxes.length ? `${boxes.length} box${boxes.length > 1 ? "es" : ""}` : !peak ? "" : peak >= page.pointed ? `attention up to ${peak.toFixed(1)} ×` : "no preferred place";
    const button = make("button", { type: "button", class: "text", "aria-pressed": "false" }, make("span", {}, text), hint ? make("small", {}, hint) : null);
    const flag = make("button", { type: "button", class: "flag", "aria-pressed": "false", "aria-label": `Sentence ${s + 1} is wrong` }, "Wrong?");
    const item = make("li", {}, button, flag);
    button.onclick = () => choose(state, s, button);
    flag.onclick = () => {
      if (state.wrong.has(s + 1)) state.wrong.delete(s + 1); else state.wrong.add(s + 1);
      const on = state.wrong.has(s + 1);
      flag.setAttribute("aria-pressed", String(on));
      flag.textContent = on ? "Wrong" : "Wrong?";
      item.classList.toggle("wrong", on);
    };
    list.append(item);
  });
  return list;
}

// Show where the model looked for a sentence; chosen again, the radiograph alone.
function choose(state, s, button) {
  const again = button.getAttribute("aria-pressed") === "true";
  document.querySelectorAll(".sentences .text[aria-pressed=true]").forEach((other) => other.setAttribute("aria-pressed", "false"));
  if (!state.study.page) return;
  button.setAttribute("aria-pressed", String(!again));
  showImages(state.study.page, state.model.name).then(() => {
    picture.sentence = again ? -1 : s;
    draw();
    announce(byId("shown").textContent);
  });
}

function findingTable(model, findings) {
  if (!findings.length) return make("p", { class: "dim" }, "This model predicts no findings.");
  const body = make("tbody");
  for (const finding of findings) {
    const never = finding.threshold > 1, bar = make("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(make("svg:rect", { class: "back", x: 0, y: 1, width: 100, height: 10 }), make("svg:rect", { class: "fill", x: 0, y: 2, width: 100 * finding.probability, height: 8 }));
    if (!never) bar.append(make("svg:line", { x1: 100 * finding.threshold, x2: 100 * finding.threshold, y1: 0, y2: 12 }));
    const says = !finding.present ? "" : finding.stated !== undefined && finding.probability < finding.stated ? "possible" : "yes";
    body.append(make("tr", { class: finding.present ? "present" : null }, make("th", { scope: "row" }, finding.name.replaceAll("_", " ")), make("td", { class: "bar" }, bar),
      make("td", {}, percent(finding.probability)), make("td", {}, never ? "never" : percent(finding.threshold)), make("td", {}, says)));
  }
  const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Finding"), make("td"), ...["Prob.", "From", "Named"].map((name) => make("th", { scope: "col" }, name))));
  return make("details", { open: true }, make("summary", {}, "Findings"), make("table", { class: "shares" }, make("caption", {}, "The line is the threshold from which this model names a finding; below it nothing is said. Prob.: probability."), head, body));
}

function correction(state) {
  const id = `edit-${state.model.name}`, form = make("form");
  state.area = make("textarea", { id, rows: 4, spellcheck: "true" });
  state.area.value = state.study.report.text;
  const save = make("button", {}, data.edits ? "Save the correction" : "Download the correction");
  form.append(make("label", { for: id }, "The report as it should be; sentences that you marked as wrong are kept with it."), state.area, make("p", { class: "row" }, save));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const row = correctionRow(state);
    if (!data.edits) { download(`${row.study}.corrections.jsonl`, JSON.stringify(row) + "\n", "application/jsonl"); tell(state, "Downloaded as a line of JSON that rg eval reads."); return; }
    try {
      const saved = await ask("/v1/edits", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row) });
      const count = (await saved.json()).corrections;
      tell(state, `Saved; this model has ${count} corrected report${count === 1 ? "" : "s"}.`);
    } catch (e) { tell(state, e.message); }
  };
  return make("details", { class: "edit" }, make("summary", {}, "Correct the report"), form);
}

function correctionRow(state) {
  const { study, model } = state;
  return { id: study.id, study: study.report.study, model: model.name, prediction: study.report.text, reference: state.area.value.trim(), wrong: [...state.wrong].sort((a, b) => a - b) };
}

function tell(state, text) { state.status.textContent = text; }

function downloads(state) {
  const row = make("p", { class: "row", role: "group", "aria-label": `Downloads of ${state.model.name}` }, "Download");
  for (const name of Object.keys(formats)) {
    const label = NAMES[name] || name, button = make("button", { type: "button", "aria-label": `Download ${label}` }, label);
    button.onclick = () => save(state, name).catch((e) => tell(state, e.message));
    row.append(button);
  }
  return state.given.archive && formats.sr ? make("div", {}, row, make("p", { class: "row" }, storeButton(state))) : row;
}

// Text and JSON are as they are on the page, corrected or not; other formats come from the server.
async function save(state, name) {
  const { report } = state.study, file = report.study + formats[name].suffix, edited = state.area.value.trim();
  const changed = edited !== report.text ? { corrected: edited } : {}, wrong = state.wrong.size ? { wrong: [...state.wrong].sort((a, b) => a - b) } : {};
  if (name === "text") download(file, [edited, report.note && `note: ${report.note}`, `For research. Not a medical device. Model ${state.model.name}${changed.corrected ? ", corrected by hand" : ""}`, ""].filter((line) => line !== null && line !== undefined && line !== false).join("\n"), "text/plain");
  else if (name === "json") download(file, JSON.stringify({ ...report, ...changed, ...wrong, model: state.model.name, purpose: "For research. Not a medical device." }, null, 1), "application/json");
  else {
    const answer = await ask("/v1/reports", { method: "POST", body: request({ model: state.model.name, format: name }, state.given, state.views) });
    download(file, await answer.blob(), formats[name].media);
  }
  tell(state, `Downloaded ${file}.`);
}

function download(name, content, kind) {
  const address = URL.createObjectURL(new Blob([content], { type: kind })), link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function nearest(state) {
  const list = make("ol", { class: "hits" }), details = make("details", {}, make("summary", {}, "Nearest stored texts"), list);
  details.ontoggle = async () => {
    if (!details.open || list.children.length) return;
    try {
      const answer = await (await ask("/v1/retrieve", { method: "POST", body: request({ model: state.model.name, k: 5 }, state.given) })).json();
      const own = answer.studies.find((study) => study.study === state.study.report.study) || { hits: [] };
      list.append(...own.hits.map((hit) => make("li", {}, hit.text, make("small", {}, ` ${hit.id}, score ${hit.score.toFixed(3)}`))));
    } catch (e) { tell(state, e.message); }
  };
  return details;
}

function trust(model) {
  const words = [model.domain && `Trained on ${model.domain}.`, ...model.limits].filter(Boolean);
  return words.length ? make("details", {}, make("summary", {}, "How far to trust this model"), ...words.map((text) => make("p", {}, text))) : "";
}
