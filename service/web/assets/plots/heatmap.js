// Heat map of the transitions at a position: rows are the previous letters, columns the next ones.

import { element, foldedTable } from "../elements.js";
import { proportion, visible } from "../wording.js";

const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const [START, END] = ["▸", "◂"];

/**
 * A drawing in a figure, and a table of the same values. `onPoint` is called with the previous and
 * the next letter of the square that the visitor points at. Methods take letters, not rows and
 * columns, because two maps may show different letters.
 */
export class Heatmap {
  #svg = element("svg", { tabindex: 0, role: "application", "aria-roledescription": "heat map" });
  #caption = element("figcaption");
  #table = foldedTable([], []);
  #cells = [];
  #pointed = [0, 0]; // row and column
  #response = { characters: [], rows: [] };

  constructor(figure, onPoint) {
    figure.append(this.#caption, this.#svg, this.#table);
    this.#table.addEventListener("toggle", () => this.#fillTable());
    const point = (indices) => onPoint(...indices.map((index) => this.#response.characters[index]));
    this.#svg.addEventListener("pointerover", ({ target: { dataset } }) => {
      if (dataset.row) point([dataset.row, dataset.column]);
    });
    this.#svg.addEventListener("keydown", (event) => {
      const direction = KEYS[event.key];
      if (!direction || !this.#cells.length) return;
      event.preventDefault();
      const last = this.#cells.length - 1;
      point(direction.map((change, axis) => Math.min(last, Math.max(0, this.#pointed[axis] + change))));
    });
  }

  /** Shows a response of /transitions. */
  show(response, caption, label) {
    const { characters } = response;
    if (characters.join("\n") !== this.#response.characters.join("\n")) this.#draw(characters);
    this.#response = response;
    this.#caption.textContent = caption;
    this.#svg.setAttribute("aria-label", label);
    this.#cells.forEach((cells, row) => cells.forEach((cell, column) => {
      // The square root keeps small probabilities visible.
      const [before, after] = [characters[row], characters[column]];
      cell.setAttribute("fill-opacity", Math.sqrt(this.probability(before, after) ?? 0).toFixed(3));
    }));
    this.#fillTable();
  }

  /** Returns whether the map has a row or column for each letter. */
  shows(...letters) {
    return letters.every((letter) => this.#response.characters.includes(letter));
  }

  /** Returns the probability of a transition; undefined if it is not shown or no name reaches it. */
  probability(before, after) {
    const row = this.#response.rows.find(({ previous }) => previous === before);
    return row?.probabilities[this.#response.characters.indexOf(after)];
  }

  /** Returns the letters whose probability differs most from another map, weighted by frequency. */
  farthestFrom(other) {
    const [letters] = this.#response.rows.flatMap(({ previous, share, probabilities }) =>
      probabilities.map((probability, column) => {
        const after = this.#response.characters[column];
        return [[previous, after], share * Math.abs(probability - (other.probability(previous, after) ?? 0))];
      })).reduce((best, item) => (item[1] > best[1] ? item : best), [[null, null], -1]);
    return letters;
  }

  /** Marks the square of two letters. */
  point(...letters) {
    this.#svg.querySelector(".pointed")?.classList.remove("pointed");
    this.#pointed = letters.map((letter) => this.#response.characters.indexOf(letter));
    this.#cells[this.#pointed[0]]?.[this.#pointed[1]]?.classList.add("pointed");
  }

  /** Fills the table if it is open; it has about a thousand cells. */
  #fillTable() {
    if (!this.#table.open) return;
    const { characters, rows } = this.#response;
    const [, table] = foldedTable(
      ["before", ...characters.map((character) => (character === null ? "end" : visible(character)))],
      rows.map(({ previous, probabilities }) =>
        [previous === null ? "start" : visible(previous), ...probabilities.map(proportion)])).children;
    this.#table.lastChild.replaceWith(table);
  }

  #draw(characters) {
    const text = (x, y, content) => element("text", { x, y }, content);
    this.#cells = characters.map((_, row) => characters.map((_, column) => element("rect", {
      x: column + 1.03, y: row + 1.03, width: 0.94, height: 0.94, "data-row": row, "data-column": column,
    })));
    this.#svg.setAttribute("viewBox", `0 0 ${characters.length + 1} ${characters.length + 1}`);
    this.#svg.replaceChildren(
      ...characters.map((character, row) => text(0.5, row + 1.75, character ?? START)),
      ...characters.map((character, column) => text(column + 1.5, 0.75, character ?? END)),
      ...this.#cells.flat());
  }
}
