// Names that satisfy constraints, each with its percentile.

import { link, onRestore, recall, recallAll, remember } from "./address.js";
import { download } from "./csv.js";
import { bar, button, copy, element, find } from "./elements.js";
import { judge } from "./judge.js";
import { authorization } from "./key.js";
import { Section } from "./section.js";
import { Problem, ask } from "./service.js";
import { percent } from "./wording.js";

const SINGLE = ["model", "n", "temperature", "pattern", "min_length", "max_length", "novel", "unique", "seed"];
const NUMBERS = ["number", "range"]; // types of inputs
const NUMBER = /^\d+(\.\d+)?$/;
const form = find("constraints");
const fields = form.elements;
const inputs = [...form.querySelectorAll("input, select")];
const section = new Section("make");
const newSeed = () => Math.floor(Math.random() * 1e6);
let isFirst = true; // the first name that is made is judged

/** Starts this section. */
export function startMaking(models, favourite) {
  fields.model.append(...models.map(({ name }) => element("option", {}, name)));
  const make = (gesture) => {
    const pairs = constraints();
    remember([...SINGLE, "exclude"], pairs, gesture);
    describe(pairs);
    section.run((signal) => show(pairs, signal));
  };
  const restore = () => {
    fillForm(favourite);
    make();
  };
  form.addEventListener("input", ({ target }) => make(target.name));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fields.seed.value = newSeed();
    make("roll");
  });
  find("link").addEventListener("click", ({ target }) => copy(new URL(link(), location.href).href, target));
  find("copy-curl").addEventListener("click", ({ target }) => copy(find("curl").textContent, target));
  onRestore(restore);
  restore();
}

/** Fills in what the address says, as far as it is valid, and defaults. */
function fillForm(favourite) {
  const isFresh = recall("seed") === null; // an address that this page has made has a seed
  form.reset();
  fields.model.value = favourite;
  fields.seed.value = newSeed();
  for (const field of SINGLE) {
    const [input, known, standard] = [fields[field], recall(field), fields[field].value];
    if (input.type === "checkbox") input.checked = isFresh ? input.defaultChecked : known === "true";
    else if (known !== null && !(NUMBERS.includes(input.type) && !NUMBER.test(known))) input.value = known;
    if (!input.validity.valid || !input.value) input.value = standard;
  }
  fields.exclude.value = recallAll("exclude").join(", ");
}

/** The constraints as pairs of field and value. */
function constraints() {
  const given = new FormData(form);
  const excluded = given.get("exclude").split(/[,\s]+/).filter(Boolean);
  return [
    ...SINGLE.map((field) => [field, given.get(field)]).filter(([, value]) => value),
    ...excluded.map((substring) => ["exclude", substring]),
  ];
}

function describe(pairs) {
  const query = new URL(`sample?${new URLSearchParams(pairs)}`, location.href);
  const key = authorization().Authorization ? '-H "Authorization: Bearer $KEY" ' : "";
  find("temperature-shown").textContent = Number(fields.temperature.value).toFixed(2);
  find("curl").textContent = `curl ${key}'${query}'`;
}

async function show(pairs, signal) {
  mark(inputs.filter((input) => !input.validity.valid));
  const wrong = inputs.find((input) => !input.validity.valid);
  find("names-csv").disabled = Boolean(wrong);
  if (wrong) throw new Problem({ detail: wrong.validationMessage, errors: [{ field: wrong.name }], status: 422 });
  try {
    const { names, model, probability } = await ask("sample", { query: pairs, signal });
    const { scores } = await ask("score", { body: { names, model, explain: true }, signal });
    find("names").replaceChildren(...scores.map(item));
    find("probability").textContent = probability < 0.99
      ? `Of all names that ${model} makes, ${percent(probability)} satisfy these constraints; only these were sampled.`
      : "";
    find("names-csv").disabled = false;
    find("names-csv").onclick = () => download(`names-${model}.csv`, table(scores));
    if (isFirst && !recall("name")) judge(names[0]);
    isFirst = false;
  } catch (error) {
    if (!signal.aborted) {
      find("names-csv").disabled = true;
      mark(inputs.filter(({ name }) => error.fields?.some((field) => field.split(".")[0] === name)));
    }
    throw error;
  }
}

function mark(wrong) {
  for (const input of inputs) input.setAttribute("aria-invalid", wrong.includes(input));
}

const table = (scores) => [
  ["name", "percentile", "log_likelihood", "in_training_list"],
  ...scores.map(({ name, percentile, log_likelihood, in_training_set: inSet }) =>
    [name, percentile, log_likelihood, inSet]),
];

function item({ name, percentile, in_training_set: inSet }) {
  const choose = () => {
    judge(name, `name ${name}`);
    find("judge").scrollIntoView({ block: "nearest" });
  };
  const known = { true: "in the list", false: "new" }[inSet] ?? "";
  return element("li", {}, button(choose, { "aria-describedby": "percentile-note" },
    element("span", { class: "word" }, name), " ", bar(percentile),
    element("span", { class: "rate" }, percent(percentile)), " ",
    element("span", { class: inSet ? "known listed" : "known" }, known)));
}
