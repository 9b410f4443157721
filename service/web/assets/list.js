// A list of names, judged at once, as a table to sort and to download.

import { download } from "./csv.js";
import { button, element, find } from "./elements.js";
import { judge } from "./judge.js";
import { columnOfNames, decode, hasHeadings, readRows } from "./lines.js";
import { Section } from "./section.js";
import { Problem, ask } from "./service.js";
import { counted, grouped, percent, visible } from "./wording.js";

const LARGEST_FILE = 5e6; // bytes
const MOST = 50_000; // names; longer lists are for curl
const MOST_COLUMNS = 100;
const LONGEST = 300; // characters of a name that are sent: more than the service takes
const AT_ONCE = 1000; // names in a request
const SHOWN = 100; // rows at first, and more on request
const COLLATOR = new Intl.Collator();
const STORED = "list";

// What each column sorts by, and shows.
const COLUMNS = {
  name: [({ name }) => name, ({ name }) => name],
  percentile: [({ percentile }) => percentile, ({ percentile }) => percent(percentile)],
  likelihood: [({ log_likelihood: nats }) => nats, ({ log_likelihood: nats }) => nats.toFixed(2)],
  character: [({ per_character: nats }) => nats, ({ per_character: nats }) => nats.toFixed(2)],
};

const form = find("list-form");
const { text, file, column, heading, model } = form.elements;
const section = new Section("list");
let scores = []; // in the order of the list
let judgedBy = ""; // the model that they are of
let firstRow = null; // of the list whose column and heading have been offered
let order = { by: null, isDown: false };
let shown = SHOWN;

/** Starts this section. */
export function startList(models, favourite) {
  model.append(...models.map(({ name }) => element("option", {}, name)));
  model.value = favourite;
  const run = () => section.run(score);
  text.addEventListener("input", offerColumns);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  file.addEventListener("change", () => {
    let [chosen] = file.files;
    if (chosen) section.run(async (signal) => {
      if (chosen) await open(chosen, signal);
      chosen = null; // to try again is to score again
      await score(signal);
    });
  });
  const again = () => (scores.length || find("list").getAttribute("aria-busy") === "true") && run();
  for (const one of [column, heading, model]) one.addEventListener("change", again);
  for (const [by, heading] of headings()) heading.addEventListener("click", () => sort(by));
  find("list-more").addEventListener("click", () => showRows(shown + SHOWN * 10));
  find("list-csv").addEventListener("click", () => download(`scores-${judgedBy}.csv`, table()));
  text.value = stored() ?? "";
  offerColumns();
  if (text.value) run();
}

const invalid = (detail) => new Problem({ detail, status: 422 });

async function open(chosen, signal) {
  if (chosen.size > LARGEST_FILE) {
    throw invalid(`The file has ${grouped(chosen.size)} bytes; this page takes up to ${grouped(LARGEST_FILE)}.`);
  }
  const bytes = await chosen.arrayBuffer();
  signal.throwIfAborted();
  text.value = decode(bytes);
  file.value = ""; // so that the same file can be opened again
  offerColumns();
}

/** Guesses which column has the names, and whether there is a heading; the visitor can correct it. */
function offerColumns() {
  const rows = readRows(text.value);
  const [first = []] = rows;
  find("list-column").hidden = first.length < 2;
  find("list-heading").hidden = rows.length < 2;
  if (firstRow === String(first)) return; // the same list goes on
  firstRow = String(first);
  column.replaceChildren(...first.slice(0, MOST_COLUMNS).map((cell, at) => 
    element("option", { value: at }, `${at + 1}: ${cell.slice(0, 40)}`)));
  column.value = columnOfNames(rows);
  heading.checked = hasHeadings(rows);
}

async function score(signal) {
  find("list-status").textContent = "";
  store(text.value);
  const [by, rows] = [model.value, readRows(text.value).slice(heading.checked ? 1 : 0)];
  const names = rows.map((row) => row[column.value] ?? "").filter(Boolean);
  if (!names.length) throw invalid("Paste a list of names or open a file.");
  if (names.length > MOST) {
    throw invalid(`This page judges up to ${grouped(MOST)} names; send ${grouped(names.length)} to /score with curl.`);
  }
  scores = await scoreAll(names, by, signal);
  judgedBy = by;
  const missing = scores.filter(({ percentile }) => percentile === null).length;
  const left = missing ? ` ${grouped(missing)} cannot be judged.` : "";
  find("list-status").textContent = `${counted(names.length, "name")}, judged by ${by}.${left}`;
  find("list-result").hidden = false;
  showRows(SHOWN);
}

async function scoreAll(names, by, signal) {
  const [status, done] = [find("list-status"), []];
  try {
    while (done.length < names.length) {
      status.textContent = `${grouped(done.length)} of ${counted(names.length, "name")} judged …`;
      const part = names.slice(done.length, done.length + AT_ONCE).map((name) => [...name].slice(0, LONGEST).join(""));
      const reply = await ask("score", { body: { names: part, model: by }, signal });
      done.push(...reply.scores);
    }
    return done;
  } catch (error) {
    if (!signal.aborted) status.textContent = "";
    throw error;
  }
}

const headings = () => Object.keys(COLUMNS).map((by) => [by, find(`sort-${by}`)]);

/** Sorts by a column; by the same again, the other way round. Numbers begin with the lowest. */
function sort(by) {
  order = { by, isDown: order.by === by && !order.isDown };
  for (const [each, heading] of headings()) {
    const direction = each === by ? (order.isDown ? "descending" : "ascending") : "none";
    heading.parentElement.setAttribute("aria-sort", direction);
  }
  showRows(SHOWN);
}

/** The scores in the order that was chosen; those without a value come last. */
function sorted() {
  if (!order.by) return scores;
  const [value] = COLUMNS[order.by];
  const compared = (one, other) => (order.by === "name" ? COLLATOR.compare(one, other) : one - other);
  return [...scores].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    return order.isDown ? compared(b, a) : compared(a, b);
  });
}

function showRows(count) {
  shown = count;
  find("scores").replaceChildren(...sorted().slice(0, shown).map(row));
  find("list-more").hidden = shown >= scores.length;
  const [part, all] = [shown, scores.length].map(grouped);
  find("list-shown").textContent = shown < scores.length ? `The first ${part} of ${all}.` : "";
}

function row(score) {
  const choose = () => {
    judge(score.name, `name ${score.name}`);
    find("judge").scrollIntoView({ block: "nearest" });
  };
  const [, ...numbers] = Object.values(COLUMNS);
  const cells = score.percentile === null
    ? [element("td", { colspan: numbers.length }, reason(score))]
    : numbers.map(([, show]) => element("td", {}, show(score)));
  return element("tr", {}, element("th", { scope: "row" }, button(choose, { class: "plain" }, score.name)), ...cells);
}

/** Why a name has no score. */
const reason = ({ unknown, error }) =>
  error || (unknown.length ? `unknown: ${unknown.map(visible).join(" ")}` : "no name");

const table = () => [
  ["name", "percentile", "log_likelihood", "per_character", "unknown"],
  ...sorted().map(({ name, percentile, log_likelihood, per_character, unknown }) =>
    [name, percentile, log_likelihood, per_character, unknown.join(" ")]),
];

// The list is too long for the address: the browser keeps it as long as the tab is open.

function stored() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function store(list) {
  try {
    sessionStorage.removeItem(STORED);
    sessionStorage.setItem(STORED, list);
  } catch {
    // too long, or not allowed: then it is gone after a reload
  }
}
