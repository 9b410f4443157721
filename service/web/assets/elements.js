// Elements found and made, and numbers for people.

const DRAWN = ["svg", "line", "polyline", "rect", "text"]; // what a drawing is made of
const ORDINALS = new Intl.PluralRules("en", { type: "ordinal" });
const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };

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

/** A bar for a share; the number beside it tells it to those who cannot see it. */
export function bar(share, kind = "bar") {
  const made = element("span", { class: kind, "aria-hidden": "true" });
  made.style.setProperty("--share", share);
  return made;
}

/** A probability: 12 %, 0.3 %, 1 in 40,000. */
export function percent(share) {
  if (share > 0 && share < 1e-6) return "under 1 in a million";
  if (share > 0 && share < 0.001) return `1 in ${Math.round(1 / share).toLocaleString("en")}`;
  const isNearAnEnd = (share > 0 && share < 0.0995) || (share >= 0.9945 && share < 1);
  return isNearAnEnd ? `${Math.min(99.9, 100 * share).toFixed(1)} %` : `${(100 * share).toFixed(0)} %`;
}

/** 1st, 2nd, 3rd, 4th, ... */
export const ordinal = (number) => `${number}${ENDINGS[ORDINALS.select(number)]}`;

/** Whether a feature looks at the position, and whether a model has none that does. */
export const isPosition = (feature) => feature.includes("position");
export const isBlind = ({ features }) => !features.some(isPosition);

/** What a model looks at, in words. */
export function sight(model) {
  const last = Math.max(...model.features.map((feature) => Number(/^last (\d+)/.exec(feature)?.[1] ?? 0)));
  const letters = `${model.name} sees the last ${last > 1 ? `${last} letters` : "letter"}`;
  return `${letters}${isBlind(model) ? ", wherever it stands" : " and the position"}`;
}

/** Copies a text and says so on the button that was pressed. */
export function copy(text, pressed) {
  const area = element("textarea", {}, text);
  document.body.append(area);
  area.select();
  document.execCommand("copy"); // navigator.clipboard is only there where the connection is secure
  area.remove();
  pressed.focus();
  pressed.dataset.label ??= pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => (pressed.textContent = pressed.dataset.label), 1500);
}
