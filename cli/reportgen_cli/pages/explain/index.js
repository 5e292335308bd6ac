const cards = JSON.parse(byId("data").textContent);
const items = cards.map((card) => {
  const picture = card.thumbnail ? make("img", { src: card.thumbnail, alt: "" }) : make("div", { class: "none" }, "no image");
  const item = make("li", {}, picture, make("div", { class: "about" }, make("a", { href: card.page.split("/").map(encodeURIComponent).join("/") }, card.study),
    make("p", {}, card.text), card.pointed ? make("p", { class: "more" }, `Attention: ${card.pointed}`) : null, card.note ? make("p", { class: "more" }, `Note: ${card.note}`) : null));
  byId("cards").append(item);
  return item;
});
const words = cards.map((card) => `${card.study} ${card.text} ${card.note}`.toLowerCase());
function find() {
  const wanted = byId("find").value.trim().toLowerCase().split(/\s+/);
  items.forEach((item, i) => { item.hidden = !wanted.every((word) => words[i].includes(word)); });
  const shown = items.filter((item) => !item.hidden).length;
  byId("count").textContent = `${shown} of ${items.length}`;
  announce(`${shown} of ${items.length} studies`);
}
byId("find").addEventListener("input", find);
byId("count").textContent = `${items.length} studies`;
