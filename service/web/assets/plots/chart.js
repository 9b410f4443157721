// Chart of distributions over the number of letters, with a table of the same values.

import { element, foldedTable } from "../elements.js";
import { proportion } from "../wording.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [360, 200, 38, 24];
const TICKS = [0.02, 0.05, 0.1, 0.25]; // distances between grid lines

/**
 * Draws a list of series { name, values } into a figure: the first as bars, the others as curves.
 * `values` are shares for 1, 2, ... letters. Returns a function that marks a number of letters.
 */
export function draw(figure, series) {
  const count = Math.max(...series.map(({ values }) => values.length));
  const top = Math.max(0.01, ...series.flatMap(({ values }) => values)) * 1.03;
  const width = (WIDTH - LEFT) / count; // of one number of letters
  const x = (letters) => LEFT + (letters - 0.5) * width;
  const y = (value) => (HEIGHT - BOTTOM) * (1 - value / top) + 4;
  const caption = figure.querySelector("figcaption");
  const label = `${caption.textContent}; the table has the numbers`;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const tick = TICKS.find((distance) => top / distance < 5) ?? 0.25;
  for (let value = 0; value <= top; value += tick) {
    svg.append(
      element("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "grid" }),
      element("text", { x: LEFT - 5, y: y(value) + 4, class: "left" }, `${Math.round(100 * value)} %`));
  }
  for (let letters = 1; letters <= count; letters += Math.ceil(count / 16)) {
    svg.append(element("text", { x: x(letters), y: HEIGHT - 6 }, String(letters)));
  }
  const [bars, ...curves] = series;
  svg.append(
    ...bars.values.map((value, index) => element("rect", {
      x: x(index + 1) - 0.36 * width, y: y(value), width: 0.72 * width, height: y(0) - y(value), class: "list",
    })),
    ...curves.map(({ values }, index) => element("polyline", {
      points: values.map((value, length) => `${x(length + 1)},${y(value)}`).join(" "), class: `curve curve${index + 1}`,
    })));
  const marker = element("line", { y1: 0, y2: y(0), class: "marked" });
  svg.append(marker);
  figure.replaceChildren(caption, svg, legend(series), table(series, count));
  return (letters) => {
    for (const end of ["x1", "x2"]) marker.setAttribute(end, x(letters));
    marker.setAttribute("visibility", letters >= 1 && letters <= count ? "visible" : "hidden");
  };
}

const legend = (series) => element("ul", { class: "key", role: "list" }, ...series.map(({ name }, index) =>
  element("li", { class: index ? `curve${index}` : "list" }, name)));

function table(series, count) {
  const cell = ({ values }, index) => (values[index] === undefined ? "" : proportion(values[index]));
  return foldedTable(["Letters", ...series.map(({ name }) => name)], Array.from({ length: count }, (_, index) =>
    [String(index + 1), ...series.map((item) => cell(item, index))]));
}
