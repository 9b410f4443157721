// A name judged letter by letter, by several models side by side.

import { onRestore, recall, remember } from "./address.js";
import { bar, button, element, find } from "./elements.js";
import { Section } from "./section.js";
import { ask } from "./service.js";
import { counted, grouped, ordinal, percent, sight, visible } from "./wording.js";

const LEVELS = [1, 2, 3, 4, 5.5, 7, 9]; // bits of surprise at which a letter's colour changes
const SHOWN = ["bigram", "positional", "fivegram"]; // architectures side by side, and the model that is chosen
const WIDEST = 5; // nats of the longest bar of an influence
const END = "end";

const section = new Section("judge");
const input = find("name");
const scores = new Map(); // name of a model -> its score of the name
let models = []; // of the service
let chosen = null; // { model, at }: the step that is explained, if the visitor has chosen one

/** Starts this section, when the model has been chosen in the form above. */
export function startJudging(served) {
  models = served;
  input.addEventListener("input", () => judge(input.value, "name"));
  select().addEventListener("input", run);
  const restore = () => judge(recall("name") ?? "");
  onRestore(restore);
  if (recall("name")) restore();
}

/** Judges a name, as part of what the visitor does (a gesture, see address.js) or by itself. */
export function judge(name, gesture = null) {
  if (input.value !== name) input.value = name;
  chosen = null;
  remember(["name"], name ? [["name", name]] : [], gesture);
  run();
}

const select = () => find("constraints").elements.model;

function run() {
  const compared = SHOWN.map((kind) => models.find(({ architecture }) => architecture === kind));
  const shown = models.filter((model) => model.name === select().value || compared.includes(model));
  shown.sort((one, other) => one.parameters - other.parameters);
  section.run((signal) => show(input.value, select().value, shown, signal));
}

/** Asks the model of the verdict, and then the others, one by one: so the first is drawn soonest. */
async function show(name, first, shown, signal) {
  const names = shown.map((model) => model.name);
  if (!names.includes(chosen?.model)) chosen = null;
  if (names.some((model) => !rowOf(model)) || find("rows").children.length !== names.length) {
    find("rows").replaceChildren(...shown.map(emptyRow));
  }
  for (const model of new Set([first, ...names])) {
    const { scores: [score] } = await ask("score", { body: { names: [name], model, explain: true }, signal });
    scores.set(model, score);
    if (chosen?.at >= score.steps.length) chosen = null; // of the name before
    showRow(model);
    if (model === first) showVerdict(score, model);
    if (model === (chosen?.model ?? first)) showStep(chosen ?? { model, at: worst(score) });
  }
}

function showVerdict(score, model) {
  find("verdict").textContent = verdict(score, model);
  find("suggestions").hidden = !score.suggestions.length;
  const suggestions = score.suggestions.map(({ name }) => button(() => {
    judge(name, `name ${name}`);
    input.focus();
  }, {}, name));
  find("suggestions").replaceChildren("More probable: ", ...suggestions);
}

function verdict({ normalized, percentile, in_training_set: inSet, unknown, error }, model) {
  if (error) return `It cannot be judged: ${error}.`;
  if (unknown.length) return `${model} has never seen ${unknown.map(visible).join(" ")}.`;
  if (!normalized) return "Type a name.";
  const others = `names of ${counted([...normalized].length, "letter")} that ${model} makes`;
  const known = inSet === null ? "" : ` It is ${inSet ? "" : "not "}in the training list.`;
  if (percentile < 1e-6) return `Hardly a name: of a million ${others}, none is less probable.${known}`;
  const kind = percentile < 0.01 ? "Hardly a name: m" : percentile < 0.1 ? "An odd name: m" : "M";
  return `${kind}ore probable than ${percent(percentile)} of the ${others}.${known}`;
}

const rowOf = (model) => find("rows").querySelector(`[data-row="${model}"]`);
const tile = (model, at) => rowOf(model).querySelectorAll("button")[at];

const emptyRow = (model) => element("div", { class: "row", "data-row": model.name },
  element("div", { class: "model" }, sight(model)),
  element("div", { class: "rate" }),
  element("div", { class: "tiles", role: "group", "aria-label": `Letters, by ${model.name}` }));

/** The letters of a name, coloured by how surprising a model finds them. */
function showRow(model) {
  const { steps, percentile, unknown, normalized } = scores.get(model);
  const focusable = chosen?.model === model ? chosen.at : 0; // the others by arrow keys
  const tiles = steps.map((step, at) => {
    const made = button(() => choose(model, at), {
      class: step.character === null ? "tile end" : "tile",
      "data-level": LEVELS.filter((bits) => -step.log_likelihood / Math.LN2 >= bits).length,
      "aria-label": `${step.character ?? END}: ${percent(Math.exp(step.log_likelihood))}`,
      tabindex: at === focusable ? 0 : -1,
    }, step.character ?? END);
    made.addEventListener("keydown", ({ key }) => {
      const next = at + ({ ArrowRight: 1, ArrowLeft: -1 }[key] ?? 0);
      if (next !== at && steps[next]) choose(model, next);
    });
    return made;
  });
  const unread = [...(unknown.length ? normalized : "")].map((character) =>
    element("span", { class: "tile", "data-level": unknown.includes(character) ? 7 : "" }, character));
  const [, rate, letters] = rowOf(model).children;
  letters.replaceChildren(...tiles, ...unread);
  rate.textContent = normalized && percentile !== null ? `more probable than ${percent(percentile)}` : "";
}

function choose(model, at) {
  chosen = { model, at };
  showRow(model);
  tile(model, at).focus();
  showStep(chosen);
}

/** The step of a name that falls farthest below what was to be expected. */
function worst({ steps }) {
  const gaps = steps.map((step) => step.log_likelihood - step.expected);
  return gaps.indexOf(Math.min(...gaps));
}

/** What was expected at a step, and how much the letters before and the position changed it. */
function showStep({ model, at }) {
  const { steps, normalized } = scores.get(model);
  const step = normalized && steps[at];
  if (!step) return find("step").replaceChildren();
  for (const one of find("rows").querySelectorAll("button")) {
    one.setAttribute("aria-pressed", one === tile(model, at));
  }
  const before = [...normalized].slice(0, at).join("");
  const chance = percent(Math.exp(step.log_likelihood));
  const place = at && step.character !== null ? ` as the ${ordinal(at + 1)} letter` : "";
  const choices = [...step.alternatives, step].sort((one, other) => other.log_likelihood - one.log_likelihood);
  find("step").replaceChildren(
    element("p", {}, before ? `After ${before}, ` : "First, ",
      element("b", {}, step.character ?? "the end"),
      `${place} has a probability of ${chance}, number ${step.rank} of what ${model} expects:`),
    element("ul", { role: "list" }, ...choices.map((one) => {
      const share = Math.exp(one.log_likelihood);
      return line(one === step ? "choice it" : "choice", one.character ?? END, bar(share), percent(share));
    })),
    element("p", {}, "Compared with an average letter there:"),
    element("ul", { role: "list" }, ...Object.entries(influences(step, model, at)).map(influence)));
}

/** How many nats the letters before and the position add to the log-likelihood of a step. */
function influences({ contributions }, model, at) {
  const total = {};
  for (const { name, position } of models.find((one) => one.name === model).features) {
    const source = position ? "the position" : at ? "the letters before" : "the start";
    total[source] = (total[source] ?? 0) + contributions[name];
  }
  return total;
}

const line = (kind, label, drawn, text) => element("li", { class: kind },
  element("span", {}, label), drawn, element("span", { class: "rate" }, text));

/** By which factor something makes a letter more or less probable. */
function influence([source, nats]) {
  const factor = Math.exp(Math.abs(nats));
  const times = factor < 9.95 ? factor.toFixed(1) : grouped(Math.round(factor));
  const lean = bar(Math.min(1, Math.abs(nats) / WIDEST), nats < 0 ? "lean less" : "lean");
  const change = factor < 1.05 ? "makes no difference" : `${times} times ${nats < 0 ? "less" : "more"} probable`;
  return line("part", `by ${source}`, lean, change);
}
