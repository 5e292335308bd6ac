// The state of the list of studies lives in the address after "#": sort, way, search, subset, differ, system, from.
const data = JSON.parse(byId("data").textContent);
const PER_PAGE = 50;
const first = { sort: "", way: "ascending", search: "", subset: "", differ: "", system: "0", from: "0" };
let state = { ...first, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
if (!data.systems[Number(state.system)]) state.system = "0";

byId("cite").addEventListener("click", async (event) => {
  const done = await copyText(data.citation);
  event.target.textContent = done ? "Copied" : "Copy a citation";
  announce(done ? "The citation is copied." : "The citation could not be copied.");
});

for (const box of document.querySelectorAll("[data-shows]"))
  box.addEventListener("change", () => {
    for (const cell of document.querySelectorAll(`.scores [data-column="${box.dataset.shows}"]`)) cell.hidden = !box.checked;
    const chosen = new Set([...document.querySelectorAll("[data-shows]:checked")].map((b) => b.dataset.shows));
    for (const head of document.querySelectorAll("[data-group]")) {
      const shown = head.dataset.group.split(" ").filter((n) => chosen.has(n)).length;
      head.hidden = shown === 0;
      head.colSpan = Math.max(shown, 1);
    }
    for (const head of document.querySelectorAll(".scores .kind th")) head.colSpan = chosen.size + 1;
  });

// What is closed on the screen is printed too, and closed again afterwards.
let opened = [];
addEventListener("beforeprint", () => { opened = [...document.querySelectorAll("details:not([open], .no-print)")]; opened.forEach((d) => { d.open = true; }); });
addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));

// Words of a longest common subsequence: two sets of places, in a and in b.
function common(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const left = new Set(), right = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) { left.add(i++); right.add(j++); }
    else if (table[i + 1][j] >= table[i][j + 1]) i++;
    else j++;
  }
  return [left, right];
}

// A Chinese character is a word; elsewhere words are runs of letters and digits.
const WORD = /\p{Script=Han}|[\p{L}\p{N}]+(?:[.'’-][\p{L}\p{N}]+)*/gu;
const words = (text) => [...text.matchAll(WORD)].map((m) => ({ from: m.index, to: m.index + m[0].length, word: m[0].toLowerCase() }));

function marked(node, text, found, same) {
  let at = 0;
  found.forEach((w, i) => {
    node.append(text.slice(at, w.from), same.has(i) ? make("mark", {}, text.slice(w.from, w.to)) : text.slice(w.from, w.to));
    at = w.to;
  });
  node.append(text.slice(at));
  return node;
}

const SIGNS = { agreed: "✓", missed: "−", invented: "+", unsure: "?" };
const chip = ([word, name, sides]) => make("span", { class: `chip ${word}`, title: sides },
  make("span", { "aria-hidden": "true" }, `${SIGNS[word]} `), make("span", { class: "aside" }, `${word}: `), name,
  make("span", { class: "aside" }, `, ${sides}`));
const ours = (s) => s.written[Number(state.system)];
const differing = (s) => ours(s).findings.filter(([word]) => word !== "agreed");

function chosen() {
  const wanted = state.search.toLowerCase();
  const rows = data.studies.filter((s) =>
    (!wanted || [s.id, ...s.references, ...s.written.map((w) => w.text)].join("\n").toLowerCase().includes(wanted)) &&
    (!state.subset || s.subsets.includes(state.subset)) &&
    (!state.differ || (state.differ === "any" ? differing(s).length > 0 : differing(s).some((d) => d[1] === state.differ))));
  if (!state.sort) return rows;
  const key = (s) => (state.sort === "id" ? s.id : state.sort === "labels" ? differing(s).length : ours(s).scores[state.sort]);
  const sign = state.way === "descending" ? -1 : 1;
  const order = (a, b) => {
    const x = key(a), y = key(b);
    if (x === y) return 0;
    if (x === null || x === undefined) return 1; // what has no score comes last, whichever way
    if (y === null || y === undefined) return -1;
    return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  };
  return rows.map((s, i) => [s, i]).sort((a, b) => order(a[0], b[0]) || a[1] - b[1]).map((p) => p[0]);
}

const pictures = data.studies.some((s) => s.image);
const labelled = data.studies.some((s) => s.written.some((w) => w.findings.length));
const label = (name) => data.labels[name];

function row(s, at) {
  const line = make("tr", { role: "row" });
  const cell = (name, title, ...children) => { const c = make("td", { class: name, role: "cell", "data-label": title }, ...children); line.append(c); return c; };
  const id = make("th", { class: "id", scope: "row", role: "rowheader" }, make("button", { type: "button", "data-open": at, "aria-haspopup": "dialog", onclick: () => open(at) }, s.id));
  s.subsets.forEach((name) => id.append(make("span", { class: "subset" }, name)));
  line.append(id);
  if (pictures)
    cell("picture", "", s.image ? make("button", { type: "button", tabindex: -1, "aria-label": `open ${s.id}`, onclick: () => open(at) }, make("img", { src: s.image, alt: `radiograph of ${s.id}`, loading: "lazy" })) : "");
  const reference = s.references[0], text = ours(s).text, theirs = words(reference), mine = words(text);
  const [left, right] = common(theirs.map((w) => w.word), mine.map((w) => w.word));
  marked(cell("text", "reference"), reference, theirs, left);
  marked(cell("text", "report"), text, mine, right);
  if (labelled) cell("labels", "findings", ...ours(s).findings.map(chip));
  data.columns.forEach((name) => {
    const value = ours(s).scores[name];
    cell("number", label(name), value === null || value === undefined ? "–" : value.toFixed(3));
  });
  return line;
}

function header() {
  const line = make("tr", { role: "row" });
  const add = (text, key) => {
    const cell = make("th", { scope: "col", role: "columnheader" });
    if (!key) cell.append(make("span", {}, text));
    else {
      const turn = () => go({ sort: key, way: state.sort === key && state.way === "ascending" ? "descending" : "ascending", from: "0" });
      cell.append(make("button", { type: "button", "data-sort": key, onclick: turn }, text));
      cell.setAttribute("aria-sort", state.sort === key ? state.way : "none");
    }
    line.append(cell);
  };
  add("study", "id");
  if (pictures) add("image", "");
  add("reference", "");
  add("report", "");
  if (labelled) add("findings", "labels");
  data.columns.forEach((name) => add(label(name), name));
  return line;
}

let shownRows = [];
function draw() {
  const rows = (shownRows = chosen());
  const from = Math.min(Math.max(0, Number(state.from) || 0), Math.max(0, rows.length - 1));
  const shown = rows.slice(from, from + PER_PAGE);
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.sort : "";
  byId("head").replaceChildren(header());
  byId("body").replaceChildren(...shown.map((s, i) => row(s, from + i)));
  byId("count").textContent = rows.length === 0 ? "no study fits" : `${from + 1}-${from + shown.length} of ${rows.length} studies`;
  byId("back").disabled = from === 0;
  byId("on").disabled = from + PER_PAGE >= rows.length;
  byId("sort").value = state.sort;
  byId("way").setAttribute("aria-pressed", state.way === "descending");
  if (focused) { const again = document.querySelector(`[data-sort="${CSS.escape(focused)}"]`); if (again) again.focus(); }
}

function go(change) {
  state = { ...state, ...change };
  const kept = Object.entries(state).filter(([k, v]) => v !== first[k]);
  history.replaceState(null, "", kept.length ? "#" + new URLSearchParams(kept) : location.pathname + location.search);
  draw();
}

// One study in a dialog: its image, the reference, and what each system wrote.
let current = -1;
function open(at) {
  const s = shownRows[at], dialog = byId("study");
  if (!s) return;
  current = at;
  const step = (text, to) => make("button", { type: "button", "data-step": to - at, disabled: !shownRows[to], onclick: () => open(to) }, text);
  const top = make("div", { class: "study-top" }, make("h2", { id: "study-title" }, `Study ${s.id}`), step("previous", at - 1), step("next", at + 1),
    make("button", { type: "button", id: "close", onclick: () => dialog.close() }, "close"));
  const texts = make("div", {});
  s.references.forEach((text, i) => texts.append(make("h3", {}, i ? `Reference ${i + 1}` : "Reference"), make("p", { class: "text" }, text)));
  const theirs = words(s.references[0]).map((w) => w.word);
  s.written.forEach((w, i) => {
    const mine = words(w.text), [, same] = common(theirs, mine.map((x) => x.word));
    texts.append(make("h3", {}, data.systems[i]), marked(make("p", { class: "text" }), w.text, mine, same), make("p", { class: "chips" }, ...w.findings.map(chip)));
  });
  const image = s.image ? make("img", { src: s.image, alt: `radiograph of ${s.id}` }) : null;
  byId("study-body").replaceChildren(top, make("div", { class: image ? "study-grid" : "study-grid alone" }, image, texts));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  byId("close").focus();
  announce(`Study ${s.id}, ${at + 1} of ${shownRows.length}`);
}

function choices(select, names, kept) {
  names.forEach(([value, text]) => select.append(make("option", { value }, text)));
  select.value = kept;
}

function start() {
  const subsets = [...new Set(data.studies.flatMap((s) => s.subsets))];
  const names = [...new Set(data.studies.flatMap((s) => s.written.flatMap((w) => w.findings.filter((f) => f[0] !== "agreed").map((f) => f[1]))))].sort();
  choices(byId("system"), data.systems.map((name, i) => [String(i), name]), state.system);
  choices(byId("subset"), [["", "all"], ...subsets.map((n) => [n, n])], state.subset);
  choices(byId("differ"), [["", "all"], ["any", "any finding differs"], ...names.map((n) => [n, n])], state.differ);
  choices(byId("sort"), [["", "order of the file"], ["id", "study"], ...(labelled ? [["labels", "findings that differ"]] : []), ...data.columns.map((n) => [n, label(n)])], state.sort);
  byId("system").parentElement.hidden = data.systems.length < 2;
  byId("subset").parentElement.hidden = subsets.length === 0;
  byId("differ").parentElement.hidden = names.length === 0;
  byId("rows").setAttribute("role", "table");
  byId("head").setAttribute("role", "rowgroup");
  byId("body").setAttribute("role", "rowgroup");
  byId("search").value = state.search;
  byId("search").oninput = (e) => go({ search: e.target.value, from: "0" });
  for (const name of ["system", "subset", "differ", "sort"]) byId(name).onchange = (e) => go({ [name]: e.target.value, from: "0" });
  byId("way").onclick = () => go({ way: state.way === "descending" ? "ascending" : "descending", from: "0" });
  byId("back").onclick = () => go({ from: String(Math.max(0, Number(state.from) - PER_PAGE)) });
  byId("on").onclick = () => go({ from: String(Number(state.from) + PER_PAGE) });
  byId("study").addEventListener("keydown", (e) => {
    const to = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (to && shownRows[current + to]) { e.preventDefault(); open(current + to); }
  });
  byId("study").addEventListener("close", () => { const b = document.querySelector(`[data-open="${current}"]`); if (b) b.focus(); });
  draw();
}

if (byId("rows")) start();
watchScroll();
