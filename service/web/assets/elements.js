// Finding and creating elements.

const SVG_TAGS = ["svg", "line", "polyline", "rect", "text"];

/** Returns the element with an id. */
export const find = (id) => document.getElementById(id);

/** Creates an element with attributes and children. Strings become text nodes, never markup. */
export function element(tag, attributes = {}, ...children) {
  const namespace = `http://www.w3.org/${SVG_TAGS.includes(tag) ? "2000/svg" : "1999/xhtml"}`;
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Creates a button with a click handler. */
export function button(onClick, attributes, ...children) {
  const node = element("button", { type: "button", ...attributes }, ...children);
  node.addEventListener("click", onClick);
  return node;
}

/** Creates a bar for a share between 0 and 1. Hidden from screen readers: a number is beside it. */
export function bar(share, kind = "bar") {
  const node = element("span", { class: kind, "aria-hidden": "true" });
  node.style.setProperty("--share", share);
  return node;
}

/** Creates a collapsed table. The first cell of each row is its heading. */
export function foldedTable(headings, rows) {
  const headingCell = (scope) => (text) => element("th", { scope }, text);
  return element("details", {}, element("summary", {}, "As a table"), element("table", {},
    element("thead", {}, element("tr", {}, ...headings.map(headingCell("col")))),
    element("tbody", {}, ...rows.map(([heading, ...cells]) => element("tr", {},
      headingCell("row")(heading), ...cells.map((cell) => element("td", {}, cell)))))));
}

/** Copies a text to the clipboard and confirms it on the button. */
export function copy(text, button) {
  const area = element("textarea", {}, text);
  document.body.append(area);
  area.select();
  document.execCommand("copy"); // navigator.clipboard requires HTTPS
  area.remove();
  button.focus();
  button.dataset.label ??= button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = button.dataset.label), 1500);
}
