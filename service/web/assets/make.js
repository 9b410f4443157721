// Names that fulfil a wish, each with how likely it is.

import { link, recall, recallAll, remember } from "./address.js";
import { bar, button, copy, element, find, percent } from "./elements.js";
import { Problem, ask, authorization, lastWins, teller } from "./service.js";

const SINGLE = ["model", "n", "temperature", "pattern", "min_length", "max_length", "novel", "seed"];
const NUMBERS = ["number", "range"]; // inputs that take nothing else
const form = find("wish");
const fields = form.elements;
const inputs = [...form.querySelectorAll("input, select")];
const newSeed = () => Math.floor(Math.random() * 1e6);
let isAnyJudged = false; // the first name is, once

/** Puts into the form what there is to choose from and what the address tells. */
export function fillForm(models, standard) {
  fields.model.append(...models.map(({ name }) => element("option", {}, name)));
  fields.model.value = standard;
  fields.seed.value = newSeed();
  for (const field of SINGLE) {
    const [input, known, before] = [fields[field], recall(field), fields[field].value];
    if (field === "novel") input.checked = known === "true";
    else if (known !== null && !(NUMBERS.includes(input.type) && isNaN(known))) input.value = known;
    if (!input.validity.valid || !input.value) input.value = before;
  }
  fields.exclude.value = recallAll("exclude").join(", ");
}

/** Starts this part; `judge` is called with a name that is chosen. */
export function startMaking(judge) {
  const make = lastWins((isStale, ...asked) => show(isStale, judge, ...asked), tell);
  const changed = () => {
    const asked = wish();
    const query = new URL(`sample?${new URLSearchParams(asked)}`, location.href);
    find("heat").textContent = Number(fields.temperature.value).toFixed(2);
    const key = authorization().Authorization ? '-H "Authorization: Bearer $KEY" ' : "";
    find("curl").textContent = `curl ${key}'${query}'`;
    remember([...SINGLE, "exclude"], asked);
    make(asked);
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fields.seed.value = newSeed();
    changed();
  });
  find("link").addEventListener("click", ({ target }) => copy(new URL(link(), location.href).href, target));
  find("copy-curl").addEventListener("click", ({ target }) => copy(find("curl").textContent, target));
  changed();
}

function tell(problem) {
  teller("make")(problem);
  const wrong = new Set(problem?.fields?.map((field) => field.split(".")[0]));
  for (const input of inputs) input.setAttribute("aria-invalid", wrong.has(input.name));
}

/** The wish as pairs of field and value. */
function wish() {
  const given = new FormData(form);
  const excluded = given.get("exclude").split(/[,\s]+/).filter(Boolean);
  return [
    ...SINGLE.map((field) => [field, given.get(field)]).filter(([, value]) => value),
    ...excluded.map((substring) => ["exclude", substring]),
  ];
}

async function show(isStale, judge, asked) {
  const wrong = inputs.find((input) => !input.validity.valid);
  if (wrong) throw new Problem({ detail: wrong.validationMessage, errors: [{ field: wrong.name }] });
  find("names").setAttribute("aria-busy", "true");
  try {
    const { names, model, probability } = await ask("sample", asked);
    if (isStale()) return;
    const { scores } = await ask("score", {}, { names, model, explain: true });
    find("names").replaceChildren(...scores.map((score) => item(score, judge)));
    find("odds").textContent = probability < 0.99
      ? `Of the names that ${model} makes, ${percent(probability)} are like these; no other was drawn.`
      : "";
    if (!isAnyJudged && !recall("name")) judge(names[0]);
    isAnyJudged = true;
  } finally {
    find("names").setAttribute("aria-busy", "false");
  }
}

function item({ name, percentile, listed }, judge) {
  const choose = () => {
    judge(name);
    find("judge").scrollIntoView({ block: "nearest" });
  };
  const title = `Likelier than ${percent(percentile)} of the names as long`;
  const known = { true: "on the list", false: "new" }[listed] ?? "";
  return element("li", {}, button(choose, { title },
    element("span", { class: "word" }, name), bar(percentile),
    element("span", { class: "rate" }, percent(percentile)), " ",
    element("span", { class: listed ? "known listed" : "known" }, known)));
}
