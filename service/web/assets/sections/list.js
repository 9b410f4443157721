// Section "Judge a list": scores a list of names in a table that can be sorted and downloaded.

import { button, element, find } from "../elements.js";
import { Problem, ask } from "../service.js";
import { read, write } from "../storage.js";
import { download } from "../tables/csv.js";
import { decode, guessNameColumn, hasHeadings, readRows } from "../tables/name_list.js";
import { counted, grouped, proportion, visible } from "../wording.js";
import { judgeInView } from "./judge.js";
import { Section } from "./section.js";

const MAX_FILE_BYTES = 5e6;
const MAX_NAMES = 50_000; // longer lists need a client other than this page
const MAX_COLUMNS = 100; // offered as the column of the names
const MAX_CHARACTERS = 300; // sent of a name; more than the service accepts, so that it reports an error
const NAMES_PER_REQUEST = 1000;
const FIRST_ROWS = 100; // shown before the visitor requests more
const COLLATOR = new Intl.Collator();
const STORAGE_KEY = "list"; // a list is too long for the address

// Column -> [value to sort by, text to show], functions of a score.
const COLUMNS = {
  name: [({ name }) => name, ({ name }) => name],
  percentile: [({ percentile }) => percentile, ({ percentile }) => proportion(percentile)],
  likelihood: [({ log_likelihood: nats }) => nats, ({ log_likelihood: nats }) => nats.toFixed(2)],
  character: [({ per_character: nats }) => nats, ({ per_character: nats }) => nats.toFixed(2)],
};

const form = find("list-form");
const { text, file, column, heading, model } = form.elements;
const section = new Section("list");
let scores = []; // in the order of the list
let judgedBy = ""; // model of the scores
let firstRow = null; // of the list for which the column and heading were guessed
let order = { by: null, isDown: false };
let shown = FIRST_ROWS;

/** Starts this section. */
export function startList(models, preferred) {
  model.append(...models.map(({ name }) => element("option", {}, name)));
  model.value = preferred;
  const run = () => section.run(score);
  text.addEventListener("input", guessColumns);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  file.addEventListener("change", () => {
    let [chosen] = file.files;
    if (chosen) section.run(async (signal) => {
      if (chosen) await open(chosen, signal);
      chosen = null; // a retry only scores again
      await score(signal);
    });
  });
  const rerun = () => (scores.length || find("list").getAttribute("aria-busy") === "true") && run();
  for (const field of [column, heading, model]) field.addEventListener("change", rerun);
  for (const [by, heading] of headings()) heading.addEventListener("click", () => sort(by));
  find("list-more").addEventListener("click", () => showRows(shown + FIRST_ROWS * 10));
  find("list-csv").addEventListener("click", () => download(`scores-${judgedBy}.csv`, table()));
  text.value = read(STORAGE_KEY);
  guessColumns();
  if (text.value) run();
}

const invalid = (detail) => new Problem({ detail, status: 422 });

async function open(chosen, signal) {
  if (chosen.size > MAX_FILE_BYTES) {
    throw invalid(`The file has ${grouped(chosen.size)} bytes; this page takes up to ${grouped(MAX_FILE_BYTES)}.`);
  }
  const bytes = await chosen.arrayBuffer();
  signal.throwIfAborted();
  text.value = decode(bytes);
  file.value = ""; // so that the same file triggers a change event again
  guessColumns();
}

/** Guesses the column of the names and whether there is a heading; the visitor can correct both. */
function guessColumns() {
  const rows = readRows(text.value);
  const [first = []] = rows;
  find("list-column").hidden = first.length < 2;
  find("list-heading").hidden = rows.length < 2;
  if (firstRow === String(first)) return; // still the same list
  firstRow = String(first);
  column.replaceChildren(...first.slice(0, MAX_COLUMNS).map((cell, index) =>
    element("option", { value: index }, `${index + 1}: ${cell.slice(0, 40)}`)));
  column.value = guessNameColumn(rows);
  heading.checked = hasHeadings(rows);
}

async function score(signal) {
  find("list-status").textContent = "";
  write(STORAGE_KEY, text.value);
  const [by, rows] = [model.value, readRows(text.value).slice(heading.checked ? 1 : 0)];
  const names = rows.map((row) => row[column.value] ?? "").filter(Boolean);
  if (!names.length) throw invalid("Paste a list of names or open a file.");
  if (names.length > MAX_NAMES) {
    const advice = `send ${grouped(names.length)} to /score with curl.`;
    throw invalid(`This page judges up to ${grouped(MAX_NAMES)} names; ${advice}`);
  }
  scores = await scoreAll(names, by, signal);
  judgedBy = by;
  const missing = scores.filter(({ percentile }) => percentile === null).length;
  const unscored = missing ? ` ${grouped(missing)} cannot be judged.` : "";
  find("list-status").textContent = `${counted(names.length, "name")}, judged by ${by}.${unscored}`;
  find("list-result").hidden = false;
  showRows(FIRST_ROWS);
}

async function scoreAll(names, by, signal) {
  const [status, done] = [find("list-status"), []];
  try {
    while (done.length < names.length) {
      status.textContent = `${grouped(done.length)} of ${counted(names.length, "name")} judged …`;
      const part = names.slice(done.length, done.length + NAMES_PER_REQUEST).map(truncated);
      const response = await ask("score", { body: { names: part, model: by }, signal });
      done.push(...response.scores);
    }
    return done;
  } catch (error) {
    if (!signal.aborted) status.textContent = "";
    throw error;
  }
}

/** Returns the first characters of a name. */
const truncated = (name) => [...name].slice(0, MAX_CHARACTERS).join("");

const headings = () => Object.keys(COLUMNS).map((by) => [by, find(`sort-${by}`)]);

/** Sorts by a column in ascending order, or reverses the order of the same column. */
function sort(by) {
  order = { by, isDown: order.by === by && !order.isDown };
  for (const [key, heading] of headings()) {
    const direction = key === by ? (order.isDown ? "descending" : "ascending") : "none";
    heading.parentElement.setAttribute("aria-sort", direction);
  }
  showRows(FIRST_ROWS);
}

/** Returns the scores in the chosen order; scores without a value are last. */
function sorted() {
  if (!order.by) return scores;
  const [value] = COLUMNS[order.by];
  const compare = (a, b) => (order.by === "name" ? COLLATOR.compare(a, b) : a - b);
  return [...scores].sort((first, second) => {
    const [a, b] = [value(first), value(second)];
    if (a === null || b === null) return (a === null) - (b === null);
    return order.isDown ? compare(b, a) : compare(a, b);
  });
}

function showRows(count) {
  shown = count;
  find("scores").replaceChildren(...sorted().slice(0, shown).map(row));
  find("list-more").hidden = shown >= scores.length;
  const [part, total] = [shown, scores.length].map(grouped);
  find("list-shown").textContent = shown < scores.length ? `The first ${part} of ${total}.` : "";
}

function row(score) {
  const onClick = () => judgeInView(score.name);
  const [, ...numbers] = Object.values(COLUMNS);
  const cells = score.percentile === null
    ? [element("td", { colspan: numbers.length }, reason(score))]
    : numbers.map(([, show]) => element("td", {}, show(score)));
  return element("tr", {}, element("th", { scope: "row" }, button(onClick, { class: "plain" }, score.name)), ...cells);
}

/** Returns the reason why a name has no score. */
const reason = ({ unknown, error }) =>
  error || (unknown.length ? `unknown: ${unknown.map(visible).join(" ")}` : "no name");

const table = () => [
  ["name", "percentile", "log_likelihood", "per_character", "unknown"],
  ...sorted().map(({ name, percentile, log_likelihood, per_character, unknown }) =>
    [name, percentile, log_likelihood, per_character, unknown.join(" ")]),
];
