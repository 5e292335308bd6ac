// The state of the table lives in the address after "#": sort (a number of a column, or name), way, search, kind.
const data = JSON.parse(byId("data").textContent);
const rows = [...byId("body").rows];
const first = { sort: "", way: "ascending", search: "", kind: "" };
const heads = [...document.querySelectorAll("[data-sort]")];

function read() {
  const state = { ...first, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
  if (!heads.some((head) => head.dataset.sort === state.sort)) state.sort = "";
  if (![...byId("kind").options].some((option) => option.value === state.kind)) state.kind = "";
  if (state.way !== "descending") state.way = "ascending";
  return state;
}
let state = read();

const name = (row) => row.querySelector(".name").textContent;
function key(row) {
  if (state.sort === "name") return name(row);
  const value = row.cells[Number(state.sort) + 1].dataset.value;
  return value === undefined ? null : Number(value);
}

// What has no score comes last, whichever way.
function order(a, b) {
  const [x, y] = [key(a), key(b)], number = Number(a.dataset.number) - Number(b.dataset.number);
  if (x === null || y === null) return x === y ? number : x === null ? 1 : -1;
  const way = state.way === "descending" ? -1 : 1;
  return way * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) || number;
}

const byNumber = (a, b) => Number(a.dataset.number) - Number(b.dataset.number);

function draw() {
  const wanted = state.search.trim().toLowerCase();
  rows.forEach((row) => {
    row.hidden = !((!state.kind || row.dataset.kind === state.kind) && (!wanted || row.cells[0].textContent.toLowerCase().includes(wanted)));
  });
  byId("body").append(...[...rows].sort(state.sort ? order : byNumber));
  for (const head of heads) head.setAttribute("aria-sort", head.dataset.sort === state.sort ? state.way : "none");
  byId("sort").value = state.sort;
  byId("kind").value = state.kind;
  byId("way").disabled = !state.sort;
  byId("way").setAttribute("aria-pressed", String(state.way === "descending" && state.sort !== ""));
  const shown = rows.filter((row) => !row.hidden).length;
  const label = state.sort === "name" ? "name" : state.sort ? data.columns[Number(state.sort)].label : "";
  byId("count").textContent = `${shown} of ${rows.length} rows` + (label ? `, sorted by ${label}, ${state.way}` : "");
}

function go(change) {
  state = { ...state, ...change };
  const kept = Object.entries(state).filter(([k, v]) => v !== first[k]);
  const hash = new URLSearchParams(kept).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  draw();
}

const firstWay = (sort) => (sort === "" || sort === "name" ? "ascending" : data.columns[Number(sort)].way);
const turned = () => (state.way === "ascending" ? "descending" : "ascending");

for (const head of heads) {
  const sort = head.dataset.sort;
  const button = make("button", { type: "button", onclick: () => go({ sort, way: state.sort === sort ? turned() : firstWay(sort) }) });
  button.append(...head.childNodes);
  head.append(button);
}
byId("search").value = state.search;
byId("search").oninput = (event) => go({ search: event.target.value });
byId("kind").onchange = (event) => go({ kind: event.target.value });
byId("sort").onchange = (event) => go({ sort: event.target.value, way: firstWay(event.target.value) });
byId("way").onclick = () => go({ way: turned() });
addEventListener("hashchange", () => { state = read(); byId("search").value = state.search; draw(); });
byId("tools").hidden = false;

// Notes that are closed on the screen are printed too, and closed again afterwards.
let opened = [];
addEventListener("beforeprint", () => { opened = [...document.querySelectorAll("details:not([open])")]; opened.forEach((d) => { d.open = true; }); });
addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));

draw();
watchScroll();
