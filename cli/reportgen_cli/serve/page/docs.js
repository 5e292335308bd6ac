// Draw the description of the API as a page.
"use strict";
const kind = (schema) => schema.type === "array" ? (schema.items.format === "binary" ? "files" : `list of ${schema.items.type}`) : schema.type || "";

function fieldTable(path, media, schema) {
  const body = make("tbody");
  for (const [name, field] of Object.entries(schema.properties || {})) {
    const needed = (schema.required || []).includes(name), usual = field.default === undefined ? "" : ` Default: ${field.default}.`;
    body.append(make("tr", {}, make("th", { scope: "row" }, make("code", {}, name), needed ? " (needed)" : ""), make("td", {}, kind(field)), make("td", {}, (field.description || "") + (usual ? "." + usual : ""))));
  }
  const head = make("thead", {}, make("tr", {}, ...["field", "type", "meaning"].map((name) => make("th", { scope: "col" }, name))));
  return make("details", {}, make("summary", {}, `The body: ${media}, ${body.children.length} fields`), make("table", {}, head, body));
}

function example(method, path, media) {
  const where = location.origin + path;
  if (method === "get") return `curl ${where}`;
  if (media === "multipart/form-data") return `curl -F images=@chest.png ${where}`;
  const values = { "/v1/label": { text: "Small left effusion." }, "/v1/score": { prediction: "No effusion.", reference: "Small effusion." }, "/v1/reports/paths": { paths: ["folder"] } }[path];
  return values ? `curl --json '${JSON.stringify(values)}' ${where}` : "";
}

async function main() {
  let described;
  try { described = await (await fetch("/openapi.json")).json(); }
  catch { byId("failed").hidden = false; byId("failed").textContent = "The server does not reply."; return; }
  for (const [path, methods] of Object.entries(described.paths)) for (const [method, about] of Object.entries(methods)) {
    const content = about.requestBody ? Object.entries(about.requestBody.content)[0] : null, shell = example(method, path, content && content[0]);
    byId("paths").append(make("section", {}, make("h2", {}, make("span", { class: "method" }, method.toUpperCase()), make("code", {}, path)), make("p", {}, about.summary),
      content ? fieldTable(path, content[0], content[1].schema) : "", shell ? make("pre", { tabindex: "0", role: "region", "aria-label": `Example of ${path}` }, shell) : ""));
  }
  document.documentElement.dataset.ready = "yes";
}
main();
