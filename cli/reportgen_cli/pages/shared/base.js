"use strict";
// Helpers that all pages share. Texts become text nodes, never markup; nothing is fetched.
const byId = (id) => document.getElementById(id);

// Return an element with attributes and children: make("td", { class: "number" }, "0.5"). null and false set nothing.
function make(tag, attributes = {}, ...children) {
  const node = tag === "svg" || tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.replace("svg:", ""))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// Let a screen reader say a text. Two equal texts in a row are both said.
function announce(text) {
  const live = byId("live");
  live.textContent = live.textContent === text ? text + "\u00a0" : text;
}

// Give every .scroll a cue at the sides that are cut, and a place in the order of the Tab key while it is wider than its frame.
function watchScroll(root = document) {
  for (const box of root.querySelectorAll(".scroll")) {
    if (box.dataset.watched) continue;
    box.dataset.watched = "yes";
    const frame = make("div", { class: "scroll-frame" });
    const hint = make("p", { class: "scroll-hint", hidden: true }, "There is more at the side: scroll, or use the arrow keys.");
    box.replaceWith(frame);
    frame.append(box);
    frame.before(hint);
    const look = () => {
      const wide = box.scrollWidth - box.clientWidth > 1, high = box.scrollHeight - box.clientHeight > 1;
      const more = [wide && box.scrollLeft > 1 && "left", wide && box.scrollLeft < box.scrollWidth - box.clientWidth - 1 && "right"];
      frame.dataset.more = more.filter(Boolean).join(" ");
      hint.hidden = !wide;
      if (wide || high) {
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        const caption = box.querySelector("caption");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", caption ? caption.textContent : "a wide table");
      } else box.removeAttribute("tabindex");
    };
    box.addEventListener("scroll", look, { passive: true });
    const resized = new ResizeObserver(look);
    resized.observe(box);
    for (const child of box.children) resized.observe(child);
    look();
  }
}

// One stop of the Tab key for a group: arrows, Home and End move inside it. `act` is called with the element that gets the focus.
function roving(group, selector, act = null) {
  const items = () => [...group.querySelectorAll(selector)];
  const choose = (item) => items().forEach((other) => { other.tabIndex = other === item ? 0 : -1; });
  choose(items().find((item) => item.tabIndex === 0 && item.hasAttribute("tabindex")) || items()[0]);
  group.addEventListener("focusin", (event) => { const item = event.target.closest(selector); if (item) choose(item); });
  group.addEventListener("keydown", (event) => {
    const all = items(), at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const item = all[Math.min(Math.max(to, 0), all.length - 1)];
    item.focus();
    if (act) act(item);
  });
}

// Copy a text. Pages from a file may lack the clipboard, then the text is selected in a field and copied from there.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea", { class: "aside", "aria-hidden": "true" });
    const focused = document.activeElement;
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (focused) focused.focus();
    return done;
  }
}
