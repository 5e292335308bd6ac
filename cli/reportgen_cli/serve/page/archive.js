// The archive's studies: a list that is read again while the page is seen; one that is chosen is reported at once.
const SEEN = 15000, STEP = 50, STATES = { stored: "report stored", failed: "not reported", waiting: "no report yet" };
const shelf = { chosen: "", title: "", limit: STEP, drawn: "" };
const stamp = ({ date, time }) => [date.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3"), time.replace(/^(\d\d)(\d\d).*$/, "$1:$2")].filter(Boolean).join(" ") || "no date";

async function listArchive() {
  const model = chosenModels()[0], fields = new URLSearchParams({ limit: shelf.limit, waiting: byId("waiting").checked, ...(model ? { model: model.name } : {}) });
  let list;
  try { list = await (await ask(`/v1/archive?${fields}`)).json(); }
  catch (e) { byId("listed").textContent = e.message; shelf.drawn = ""; return; }
  const drawn = JSON.stringify([list, shelf.chosen]);
  if (drawn === shelf.drawn) return;
  shelf.drawn = drawn;
  const { studies, total } = list, held = document.activeElement && document.activeElement.dataset.study;
  const kept = list.stores ? ` Reports of ${list.model} are stored as studies arrive.` : "";
  byId("listed").textContent = (total ? `${studies.length} of ${total} ${total === 1 ? "study" : "studies"}; a stored report is one of ${list.model}.` : "The archive has no study with a radiograph.") + kept;
  byId("list").replaceChildren(...studies.map(archiveRow));
  byId("more").hidden = studies.length < shelf.limit || shelf.limit >= 1000;
  const again = held && byId("list").querySelector(`[data-study="${held}"]`);
  if (again) again.focus();
}

function archiveRow(study) {
  const facts = [study.description, study.accession && `accession ${study.accession}`, study.files && `${study.files} file${study.files > 1 ? "s" : ""}`].filter(Boolean).join(", ");
  const button = make("button", { type: "button", class: "study", "data-study": study.study, "aria-pressed": String(study.study === shelf.chosen) },
    make("span", { class: "number" }, stamp(study)), make("span", { class: "facts" }, facts || study.study, study.problem ? make("small", {}, study.problem) : null),
    make("span", { class: `chip ${{ stored: "agreed", failed: "missed" }[study.state] || ""}` }, STATES[study.state]));
  button.onclick = () => { takeStudy(study); write(); };
  return make("li", {}, button);
}

function takeStudy(study) {
  take([]);
  byId("files").value = "";
  shelf.chosen = study.study;
  shelf.title = [stamp(study), study.description].filter(Boolean).join(", ");
  byId("chosen").replaceChildren(make("li", { class: "chip" }, `of the archive: ${shelf.title}`));
  markChosen();
  ready();
}

function markChosen() {
  document.querySelectorAll("#list .study").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.study === shelf.chosen)));
}

// A button that stores the report of a card's model in the archive.
function storeButton(state) {
  const button = make("button", { type: "button" }, "Store in the archive");
  button.onclick = async () => {
    button.disabled = true;
    try {
      const done = await (await ask("/v1/archive/store", { method: "POST", body: request({ model: state.model.name }, state.given) })).json();
      tell(state, done.stored ? "The model's report is stored in the archive as DICOM SR, unverified." : "The archive has a report of this model already.");
      listArchive();
    } catch (e) { tell(state, e.message); }
    button.disabled = false;
  };
  return button;
}

function startArchive() {
  byId("archive").hidden = !data.archive;
  if (!data.archive) return;
  byId("look").onclick = listArchive;
  byId("waiting").onchange = listArchive;
  byId("more").onclick = () => { shelf.limit = Math.min(1000, shelf.limit + STEP); listArchive(); };
  setInterval(() => { if (!document.hidden && !byId("app").hasAttribute("aria-busy")) listArchive(); }, SEEN);
  listArchive();
}
