// Section "Make names": samples names that satisfy constraints, with their percentiles.

import { link, onRestore, recall, recallAll, remember } from "../address.js";
import { bar, button, copy, element, find } from "../elements.js";
import { authorization } from "../key.js";
import { Problem, ask } from "../service.js";
import { download } from "../tables/csv.js";
import { proportion } from "../wording.js";
import { judge, judgeInView } from "./judge.js";
import { Section } from "./section.js";

const SINGLE_FIELDS = ["model", "n", "temperature", "pattern", "min_length", "max_length", "novel", "unique", "seed"];
const NUMBER_TYPES = ["number", "range"]; // of inputs
const NUMBER = /^\d+(\.\d+)?$/;
const form = find("constraints");
const fields = form.elements;
const inputs = [...form.querySelectorAll("input, select")];
const section = new Section("make");
const newSeed = () => Math.floor(Math.random() * 1e6);
let isFirst = true; // the first name made is judged too

/** Starts this section. */
export function startMaking(models, preferred) {
  fields.model.append(...models.map(({ name }) => element("option", {}, name)));
  const make = (gesture) => {
    const pairs = constraints();
    remember([...SINGLE_FIELDS, "exclude"], pairs, gesture);
    describe(pairs);
    section.run((signal) => show(pairs, signal));
  };
  const restore = () => {
    fillForm(preferred);
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

/** Fills the form with the valid fields of the address, and defaults. */
function fillForm(preferred) {
  const isFresh = recall("seed") === null; // addresses of this page always have a seed
  form.reset();
  fields.model.value = preferred;
  fields.seed.value = newSeed();
  for (const field of SINGLE_FIELDS) {
    const [input, value, fallback] = [fields[field], recall(field), fields[field].value];
    if (input.type === "checkbox") input.checked = isFresh ? input.defaultChecked : value === "true";
    else if (value !== null && !(NUMBER_TYPES.includes(input.type) && !NUMBER.test(value))) input.value = value;
    if (!input.validity.valid || !input.value) input.value = fallback;
  }
  fields.exclude.value = recallAll("exclude").join(", ");
}

/** Returns the constraints in the form as [field, value] pairs. */
function constraints() {
  const data = new FormData(form);
  const excluded = data.get("exclude").split(/[,\s]+/).filter(Boolean);
  return [
    ...SINGLE_FIELDS.map((field) => [field, data.get(field)]).filter(([, value]) => value),
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
  const invalid = inputs.find((input) => !input.validity.valid);
  find("names-csv").disabled = Boolean(invalid);
  if (invalid) {
    throw new Problem({ detail: invalid.validationMessage, errors: [{ field: invalid.name }], status: 422 });
  }
  try {
    const { names, model, probability } = await ask("sample", { query: pairs, signal });
    const { scores } = await ask("score", { body: { names, model, explain: true }, signal });
    find("names").replaceChildren(...scores.map(item));
    const share = `Of all names that ${model} makes, ${proportion(probability)} satisfy these constraints`;
    find("probability").textContent = probability < 0.99 ? `${share}; only these were sampled.` : "";
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

function mark(invalid) {
  for (const input of inputs) input.setAttribute("aria-invalid", invalid.includes(input));
}

const table = (scores) => [
  ["name", "percentile", "log_likelihood", "in_training_set"],
  ...scores.map(({ name, percentile, log_likelihood, in_training_set: inSet }) =>
    [name, percentile, log_likelihood, inSet]),
];

function item({ name, percentile, in_training_set: inSet }) {
  const known = { true: "in the list", false: "new" }[inSet] ?? "";
  return element("li", {}, button(() => judgeInView(name), { "aria-describedby": "percentile-note" },
    element("span", { class: "word" }, name), " ", bar(percentile),
    element("span", { class: "rate" }, proportion(percentile)), " ",
    element("span", { class: inSet ? "known in-training-set" : "known" }, known)));
}
