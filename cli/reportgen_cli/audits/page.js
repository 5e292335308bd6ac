// The state of the list lives in the address after "#": kinds, finding, search, significant, from, study.
const data = JSON.parse(byId("data").textContent);
const PER_PAGE = 20;
const first = { kinds: "", finding: "", search: "", significant: "", from: "0" };
let state = { ...first, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
const css = (kind) => kind.replace(" ", "-");
const kindsWanted = () => new Set(state.kinds.split(",").filter(Boolean));

function wanted(difference) {
  const kinds = kindsWanted();
  return (!kinds.size || kinds.has(difference.kind)) && (!state.finding || difference.finding === state.finding) &&
    (!state.significant || difference.significant);
}

function chosen() {
  const text = state.search.toLowerCase();
  const named = data.studies.filter((s) => s.id === state.search); // an example names one study
  if (named.length) return named;
  const filtered = state.kinds || state.finding || state.significant;
  return data.studies.filter((s) =>
    (!text || [s.id, s.reference, s.prediction].join("\n").toLowerCase().includes(text)) &&
    (!filtered || s.differences.some(wanted)));
}

// Return for each statement of a side: its kind, its labels, and the numbers of what it belongs to.
function roles(study, side) {
  const own = study.statements[side].map(() => ({ kind: "", labels: [], links: [] }));
  study.differences.forEach((d, i) => {
    const numbers = side === "reference" ? [d.reference] : [d.prediction, d.other];
    numbers.filter((n) => n !== null).forEach((n) => {
      own[n].kind ||= d.kind;
      own[n].labels.push(`${data.kinds[d.kind].sign}${i + 1}`);
      own[n].links.push(`d${i}`);
    });
  });
  study.pairs.forEach(([r, p], i) => {
    const role = own[side === "reference" ? r : p];
    role.kind ||= "agreed";
    if (!role.labels.length) role.labels.push("✓");
    role.links.push(`p${i}`);
  });
  return own;
}

function marked(study, side) {
  const text = study[side], node = make("p", { class: "text" });
  const all = study.statements[side].map(([start, end, says], i) => ({ start, end, says, ...roles(study, side)[i] }));
  const marks = all.filter((m) => m.kind).sort((a, b) => a.start - b.start || b.end - a.end);
  const joined = [];
  for (const m of marks) { // words of two statements get one mark
    const last = joined[joined.length - 1];
    if (last && m.start < last.end) {
      last.end = Math.max(last.end, m.end);
      if (last.kind === "agreed") last.kind = m.kind;
      last.labels.push(...m.labels.filter((l) => !last.labels.includes(l)));
      last.links.push(...m.links);
      last.says += `; ${m.says}`;
    } else joined.push({ ...m, labels: [...m.labels], links: [...m.links] });
  }
  let at = 0;
  for (const m of joined) {
    const labels = m.labels.length > 1 ? m.labels.filter((l) => l !== "✓") : m.labels;
    node.append(text.slice(at, m.start), make("span", { role: "button", tabindex: "-1", class: `mark ${css(m.kind)}`, "data-links": m.links.join(" "),
      "aria-label": `${text.slice(m.start, m.end)}: ${m.kind}, ${m.says}`, title: `${m.kind}: ${m.says}` },
      text.slice(m.start, m.end), make("sup", {}, labels.join(" "))));
    at = m.end;
  }
  node.append(text.slice(at) || (text ? "" : "(empty)"));
  return node;
}

function card(study) {
  const errors = study.differences.map((d, i) => make("li", { "data-links": `d${i}` },
    make("span", { class: `badge ${css(d.kind)}` }, make("span", { "aria-hidden": "true" }, `${data.kinds[d.kind].sign} `), d.kind),
    ` ${d.finding}: ${d.says}`, d.significant ? "" : make("span", { class: "minor" }, " (minor)")));
  const unread = [...study.unread.reference, ...study.unread.prediction];
  const side = (title, name) => make("div", {}, make("h4", {}, title), marked(study, name));
  const node = make("article", { class: "card", "data-id": study.id, tabindex: "-1" },
    make("h3", {}, study.id),
    make("div", { class: "texts" }, side("Reference", "reference"), side("Report", "prediction")),
    study.note ? make("p", { class: "dim" }, study.note) : errors.length ? make("ol", { class: "errors" }, ...errors) : make("p", { class: "dim" }, "No errors."),
    unread.length ? make("p", { class: "dim" }, `Not read: ${unread.join("; ")}`) : null);
  const link = (from) => {
    const links = from ? new Set(from.dataset.links.split(" ")) : new Set();
    for (const other of node.querySelectorAll("[data-links]")) other.classList.toggle("linked", other.dataset.links.split(" ").some((l) => links.has(l)));
  };
  const texts = node.querySelector(".texts");
  if (texts.querySelector(".mark")) roving(texts, ".mark");
  for (const event of ["focusin", "mouseover"]) node.addEventListener(event, (e) => { const mark = e.target.closest("[data-links]"); if (mark) link(mark); });
  for (const event of ["focusout", "mouseleave"]) node.addEventListener(event, () => link(null));
  return node;
}

function draw() {
  const rows = chosen();
  const from = Math.min(Math.max(Number(state.from) || 0, 0), Math.max(rows.length - 1, 0));
  const shown = rows.slice(from, from + PER_PAGE);
  byId("list").replaceChildren(...shown.map(card));
  const errors = rows.reduce((n, s) => n + s.differences.filter(wanted).length, 0);
  byId("count").textContent = rows.length ? `studies ${from + 1} to ${from + shown.length} of ${rows.length}, with ${errors} of these errors` : "no study is like that";
  byId("back").disabled = from === 0;
  byId("on").disabled = from + PER_PAGE >= rows.length;
  for (const b of document.querySelectorAll("[data-kind]")) b.setAttribute("aria-pressed", String(kindsWanted().has(b.dataset.kind)));
  byId("significant").checked = Boolean(state.significant);
}

function go(change) {
  state = { ...state, ...change };
  const kept = Object.fromEntries(Object.entries(state).filter(([k, v]) => v && v !== first[k]));
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  draw();
}

function start() {
  const counts = new Map();
  for (const s of data.studies) for (const d of s.differences) counts.set(d.kind, (counts.get(d.kind) || 0) + 1);
  byId("kind-filter").append(...Object.keys(data.kinds).filter((k) => counts.has(k)).map((kind) =>
    make("button", { type: "button", class: css(kind), "data-kind": kind, "aria-pressed": "false", title: data.kinds[kind].means,
      onclick: () => { const kinds = kindsWanted(); if (!kinds.delete(kind)) kinds.add(kind); go({ kinds: [...kinds].join(","), from: "0" }); } },
      make("span", { "aria-hidden": "true" }, `${data.kinds[kind].sign} `), `${kind} (${counts.get(kind)})`)));
  const findings = [...new Set(data.studies.flatMap((s) => s.differences.map((d) => d.finding)))].sort();
  byId("finding").replaceChildren(...[["", "all"], ...findings.map((f) => [f, f])].map(([value, text]) => make("option", { value, selected: value === state.finding }, text)));
  byId("search").value = state.search;
  byId("search").oninput = (e) => go({ search: e.target.value, from: "0" });
  byId("finding").onchange = (e) => go({ finding: e.target.value, from: "0" });
  byId("significant").onchange = (e) => go({ significant: e.target.checked ? "yes" : "", from: "0" });
  byId("back").onclick = () => go({ from: String(Math.max(0, Number(state.from) - PER_PAGE)) });
  byId("on").onclick = () => go({ from: String(Number(state.from) + PER_PAGE) });
  for (const b of document.querySelectorAll("[data-study]")) b.onclick = () => {
    go({ ...first, search: b.dataset.study });
    byId("search").value = b.dataset.study;
    const target = [...document.querySelectorAll(".card")].find((c) => c.dataset.id === b.dataset.study);
    if (target) { target.scrollIntoView(); target.focus({ preventScroll: true }); }
  };
  draw();
}

start();
watchScroll();
