// Elements, found and made.

const DRAWN = ["svg", "line", "polyline", "rect", "text"]; // elements of a drawing

/** The element of the page with this id. */
export const find = (id) => document.getElementById(id);

/** A new element with attributes and children; text is text, never markup. */
export function element(tag, attributes = {}, ...children) {
  const space = `http://www.w3.org/${DRAWN.includes(tag) ? "2000/svg" : "1999/xhtml"}`;
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button that does something. */
export function button(onClick, attributes, ...children) {
  const made = element("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", onClick);
  return made;
}

/** A bar for a share; whoever cannot see it reads the number beside it. */
export function bar(share, kind = "bar") {
  const made = element("span", { class: kind, "aria-hidden": "true" });
  made.style.setProperty("--share", share);
  return made;
}

/** A table that can be unfolded: headings, and rows whose first cell is their heading. */
export function foldedTable(heads, rows) {
  const headed = (scope) => (text) => element("th", { scope }, text);
  return element("details", {}, element("summary", {}, "As a table"), element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map(headed("col")))),
    element("tbody", {}, ...rows.map(([head, ...cells]) => element("tr", {},
      headed("row")(head), ...cells.map((cell) => element("td", {}, cell)))))));
}

/** Copies a text and says so on the button that was pressed. */
export function copy(text, pressed) {
  const area = element("textarea", {}, text);
  document.body.append(area);
  area.select();
  document.execCommand("copy"); // navigator.clipboard needs a secure connection
  area.remove();
  pressed.focus();
  pressed.dataset.label ??= pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => (pressed.textContent = pressed.dataset.label), 1500);
}
