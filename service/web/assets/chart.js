// Curves over a number of letters, as a drawing and as a table.

import { element, foldedTable } from "./elements.js";
import { percent } from "./wording.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [360, 200, 38, 24];
const TICKS = [0.02, 0.05, 0.1, 0.25];

/**
 * Draws `series` of {name, values}, the values of 1, 2, ... letters, into a figure: the first
 * as bars, the others as curves. Returns a function that moves a line to a number of letters.
 */
export function draw(figure, series) {
  const count = Math.max(...series.map(({ values }) => values.length));
  const top = Math.max(0.01, ...series.flatMap(({ values }) => values)) * 1.03;
  const step = (WIDTH - LEFT) / count;
  const x = (letters) => LEFT + (letters - 0.5) * step;
  const y = (value) => (HEIGHT - BOTTOM) * (1 - value / top) + 4;
  const caption = figure.querySelector("figcaption");
  const label = `${caption.textContent}; the table has the numbers`;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const tick = TICKS.find((one) => top / one < 5) ?? 0.25;
  for (let value = 0; value <= top; value += tick) {
    svg.append(
      element("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "grid" }),
      element("text", { x: LEFT - 5, y: y(value) + 4, class: "left" }, `${Math.round(100 * value)} %`));
  }
  for (let letters = 1; letters <= count; letters += Math.ceil(count / 16)) {
    svg.append(element("text", { x: x(letters), y: HEIGHT - 6 }, String(letters)));
  }
  const [list, ...curves] = series;
  svg.append(
    ...list.values.map((value, at) => element("rect", {
      x: x(at + 1) - 0.36 * step, y: y(value), width: 0.72 * step, height: y(0) - y(value), class: "list",
    })),
    ...curves.map(({ values }, index) => element("polyline", {
      points: values.map((value, at) => `${x(at + 1)},${y(value)}`).join(" "), class: `curve curve${index + 1}`,
    })));
  const line = element("line", { y1: 0, y2: y(0), class: "marked" });
  svg.append(line);
  figure.replaceChildren(caption, svg, legend(series), table(series, count));
  return (letters) => {
    for (const end of ["x1", "x2"]) line.setAttribute(end, x(letters));
    line.setAttribute("visibility", letters >= 1 && letters <= count ? "visible" : "hidden");
  };
}

const legend = (series) => element("ul", { class: "key", role: "list" }, ...series.map(({ name }, index) =>
  element("li", { class: index ? `curve${index}` : "list" }, name)));

function table(series, count) {
  const cell = ({ values }, at) => (values[at] === undefined ? "" : percent(values[at]));
  return foldedTable(["Letters", ...series.map(({ name }) => name)], Array.from({ length: count }, (_, at) =>
    [String(at + 1), ...series.map((one) => cell(one, at))]));
}
