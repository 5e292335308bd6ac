"use strict";
// The state of the page lives in the address after "#": sort, way, search, subset, differ, from. Nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const PER_PAGE = 50;
const first = { sort: "", way: "ascending", search: "", subset: "", differ: "", from: "0" };
let state = { ...first, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };

const byId = (id) => document.getElementById(id);
const make = (tag, text = "", name = "") => {
  const node = document.createElement(tag);
  if (text !== "") node.textContent = text;
  if (name) node.className = name;
  return node;
};

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

function marked(text, found, same) {
  const cell = make("td", "", "text");
  let at = 0;
  found.forEach((w, i) => {
    cell.append(text.slice(at, w.from));
    cell.append(same.has(i) ? make("mark", text.slice(w.from, w.to)) : text.slice(w.from, w.to));
    at = w.to;
  });
  cell.append(text.slice(at));
  return cell;
}

const VALUES = new Map([[1, "present"], [0, "absent"], [-1, "uncertain"], [null, "not mentioned"]]);

function chosen() {
  const wanted = state.search.toLowerCase();
  const rows = data.studies.filter((s) =>
    (!wanted || `${s.id}\n${s.prediction}\n${s.references.join("\n")}`.toLowerCase().includes(wanted)) &&
    (!state.subset || s.subsets.includes(state.subset)) &&
    (!state.differ || (state.differ === "any" ? s.differ.length > 0 : s.differ.some((d) => d[0] === state.differ))));
  if (!state.sort) return rows;
  const key = (s) => (state.sort === "id" ? s.id : state.sort === "labels" ? s.differ.length : s.scores[state.sort]);
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

function row(s) {
  const line = make("tr");
  const id = make("td", s.id, "id");
  s.subsets.forEach((name) => id.append(make("span", name, "subset")));
  line.append(id);
  if (data.thumbnails) {
    const cell = make("td");
    if (s.image) {
      const image = make("img");
      image.src = s.image;
      image.alt = `radiograph of ${s.id}`;
      cell.append(image);
    }
    line.append(cell);
  }
  const reference = s.references[0], ours = words(s.prediction), theirs = words(reference);
  const [left, right] = common(theirs.map((w) => w.word), ours.map((w) => w.word));
  line.append(marked(reference, theirs, left), marked(s.prediction, ours, right));
  if (data.labels.length) {
    const cell = make("td", "", "labels");
    s.differ.forEach(([name, mine, gold]) => cell.append(make("span", `${name}: ${VALUES.get(mine)}, reference ${VALUES.get(gold)}`, "label")));
    line.append(cell);
  }
  data.columns.forEach((name) => {
    const value = s.scores[name];
    line.append(make("td", value === null || value === undefined ? "–" : value.toFixed(3), "number"));
  });
  return line;
}

function header() {
  const line = make("tr");
  const add = (text, key) => {
    const cell = make("th");
    cell.scope = "col";
    if (!key) cell.append(make("span", text));
    else {
      const button = make("button", text);
      button.type = "button";
      button.dataset.sort = key;
      button.onclick = () => go({ sort: key, way: state.sort === key && state.way === "ascending" ? "descending" : "ascending", from: "0" });
      cell.append(button);
      cell.setAttribute("aria-sort", state.sort === key ? state.way : "none");
    }
    line.append(cell);
  };
  add("study", "id");
  if (data.thumbnails) add("image", "");
  add("reference", "");
  add("prediction", "");
  if (data.labels.length) add("labels that differ", "labels");
  data.columns.forEach((name) => add(name, name));
  return line;
}

function draw() {
  const rows = chosen();
  const from = Math.min(Math.max(0, Number(state.from) || 0), Math.max(0, rows.length - 1));
  const shown = rows.slice(from, from + PER_PAGE);
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.sort : "";
  byId("head").replaceChildren(header());
  byId("body").replaceChildren(...shown.map(row));
  byId("count").textContent = rows.length === 0 ? "no study fits" : `${from + 1}-${from + shown.length} of ${rows.length} studies`;
  byId("back").disabled = from === 0;
  byId("on").disabled = from + PER_PAGE >= rows.length;
  if (focused) { const again = document.querySelector(`[data-sort="${CSS.escape(focused)}"]`); if (again) again.focus(); }
}

function go(change) {
  state = { ...state, ...change };
  const kept = Object.entries(state).filter(([k, v]) => v !== first[k]);
  history.replaceState(null, "", kept.length ? "#" + new URLSearchParams(kept) : location.pathname + location.search);
  draw();
}

function choices(select, names, kept) {
  names.forEach(([value, text]) => { const option = make("option", text); option.value = value; select.append(option); });
  select.value = kept;
}

const subsets = [...new Set(data.studies.flatMap((s) => s.subsets))];
choices(byId("subset"), [["", "all"], ...subsets.map((n) => [n, n])], state.subset);
choices(byId("differ"), [["", "all"], ["any", "any label differs"], ...data.labels.map((n) => [n, n])], state.differ);
byId("subset").parentElement.hidden = subsets.length === 0;
byId("differ").parentElement.hidden = data.labels.length === 0;
byId("search").value = state.search;
byId("search").oninput = (e) => go({ search: e.target.value, from: "0" });
byId("subset").onchange = (e) => go({ subset: e.target.value, from: "0" });
byId("differ").onchange = (e) => go({ differ: e.target.value, from: "0" });
byId("back").onclick = () => go({ from: String(Math.max(0, Number(state.from) - PER_PAGE)) });
byId("on").onclick = () => go({ from: String(Number(state.from) + PER_PAGE) });
draw();
