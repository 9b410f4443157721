// Section "Judge a name": scores a name letter by letter, by several models side by side.

import { onRestore, recall, remember } from "../address.js";
import { bar, button, element, find } from "../elements.js";
import { ask } from "../service.js";
import { counted, describeContext, grouped, ordinal, proportion, visible } from "../wording.js";
import { Section } from "./section.js";

const LEVELS = [1, 2, 3, 4, 5.5, 7, 9]; // bits of surprise at which the colour of a letter changes
const COMPARED = ["bigram", "positional", "fivegram"]; // architectures shown beside the selected model
const MAX_NATS = 5; // of the longest bar of an influence
const END = "end";

const section = new Section("judge");
const input = find("name");
const scores = new Map(); // model name -> its score of the name
let models = []; // of the service
let chosen = null; // { model, index } of the step that the visitor has chosen to explain

/** Starts this section. The form of "Make names" must have a selected model. */
export function startJudging(available) {
  models = available;
  input.addEventListener("input", () => judge(input.value, "name"));
  select().addEventListener("input", run);
  const restore = () => judge(recall("name") ?? "");
  onRestore(restore);
  if (recall("name")) restore();
}

/** Judges a name; `gesture` as in address.js. */
export function judge(name, gesture = null) {
  if (input.value !== name) input.value = name;
  chosen = null;
  remember(["name"], name ? [["name", name]] : [], gesture);
  run();
}

/** Judges a name of another section, and scrolls to the verdict. */
export function judgeInView(name) {
  judge(name, `name ${name}`);
  find("judge").scrollIntoView({ block: "nearest" });
}

const select = () => find("constraints").elements.model;

function run() {
  const compared = COMPARED.map((kind) => models.find(({ architecture }) => architecture === kind));
  const shown = models.filter((model) => model.name === select().value || compared.includes(model));
  shown.sort((a, b) => a.parameters - b.parameters);
  section.run((signal) => show(input.value, select().value, shown, signal));
}

/** Requests the scores one by one, first that of the verdict, so that it is drawn soonest. */
async function show(name, first, shown, signal) {
  const names = shown.map((model) => model.name);
  if (!names.includes(chosen?.model)) chosen = null;
  if (names.some((model) => !rowOf(model)) || find("rows").children.length !== names.length) {
    find("rows").replaceChildren(...shown.map(emptyRow));
  }
  for (const model of new Set([first, ...names])) {
    const { scores: [score] } = await ask("score", { body: { names: [name], model, explain: true }, signal });
    scores.set(model, score);
    if (chosen?.index >= score.steps.length) chosen = null; // it was in the previous name
    showRow(model);
    if (model === first) showVerdict(score, model);
    if (model === (chosen?.model ?? first)) showStep(chosen ?? { model, index: mostSurprising(score) });
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
  return `${kind}ore probable than ${proportion(percentile)} of the ${others}.${known}`;
}

const rowOf = (model) => find("rows").querySelector(`[data-row="${model}"]`);
const tile = (model, index) => rowOf(model).querySelectorAll("button")[index];

const emptyRow = (model) => element("div", { class: "row", "data-row": model.name },
  element("div", { class: "model" }, describeContext(model)),
  element("div", { class: "rate" }),
  element("div", { class: "tiles", role: "group", "aria-label": `Letters, by ${model.name}` }));

/** Shows the letters of a name, coloured by their surprise for a model. */
function showRow(model) {
  const { steps, percentile, unknown, normalized } = scores.get(model);
  const focusable = chosen?.model === model ? chosen.index : 0; // arrow keys reach the others
  const tiles = steps.map((step, index) => {
    const node = button(() => choose(model, index), {
      class: step.character === null ? "tile end" : "tile",
      "data-level": LEVELS.filter((bits) => -step.log_likelihood / Math.LN2 >= bits).length,
      "aria-label": `${step.character ?? END}: ${proportion(Math.exp(step.log_likelihood))}`,
      tabindex: index === focusable ? 0 : -1,
    }, step.character ?? END);
    node.addEventListener("keydown", ({ key }) => {
      const next = index + ({ ArrowRight: 1, ArrowLeft: -1 }[key] ?? 0);
      if (next !== index && steps[next]) choose(model, next);
    });
    return node;
  });
  const unscored = [...(unknown.length ? normalized : "")].map((character) =>
    element("span", { class: "tile", "data-level": unknown.includes(character) ? 7 : "" }, character));
  const [, rate, letters] = rowOf(model).children;
  letters.replaceChildren(...tiles, ...unscored);
  rate.textContent = normalized && percentile !== null ? `more probable than ${proportion(percentile)}` : "";
}

function choose(model, index) {
  chosen = { model, index };
  showRow(model);
  tile(model, index).focus();
  showStep(chosen);
}

/** Returns the index of the step whose log-likelihood is farthest below its expectation. */
function mostSurprising({ steps }) {
  const gaps = steps.map((step) => step.log_likelihood - step.expected);
  return gaps.indexOf(Math.min(...gaps));
}

/** Shows the most probable characters at a step and the influences of the context. */
function showStep({ model, index }) {
  const { steps, normalized } = scores.get(model);
  const step = normalized && steps[index];
  if (!step) return find("step").replaceChildren();
  for (const node of find("rows").querySelectorAll("button")) {
    node.setAttribute("aria-pressed", node === tile(model, index));
  }
  const before = [...normalized].slice(0, index).join("");
  const probability = proportion(Math.exp(step.log_likelihood));
  const position = index && step.character !== null ? ` as the ${ordinal(index + 1)} letter` : "";
  const choices = [...step.alternatives, step].sort((a, b) => b.log_likelihood - a.log_likelihood);
  find("step").replaceChildren(
    element("p", {}, before ? `After ${before}, ` : "First, ",
      element("b", {}, step.character ?? "the end"),
      `${position} has a probability of ${probability}, number ${step.rank} of what ${model} expects:`),
    element("ul", { role: "list" }, ...choices.map((choice) => {
      const share = Math.exp(choice.log_likelihood);
      const kind = choice === step ? "choice actual" : "choice";
      return line(kind, choice.character ?? END, bar(share), proportion(share));
    })),
    element("p", {}, "Compared with an average letter there:"),
    element("ul", { role: "list" }, ...Object.entries(influences(step, model, index)).map(influence)));
}

/** Returns the nats that each part of the context adds to the log-likelihood of a step. */
function influences({ contributions }, model, index) {
  const total = {};
  for (const { name, position } of models.find((candidate) => candidate.name === model).features) {
    const source = position ? "the position" : index ? "the letters before" : "the start";
    total[source] = (total[source] ?? 0) + contributions[name];
  }
  return total;
}

const line = (kind, label, drawing, text) => element("li", { class: kind },
  element("span", {}, label), drawing, element("span", { class: "rate" }, text));

/** Shows the factor by which a part of the context changes the probability of a letter. */
function influence([source, nats]) {
  const factor = Math.exp(Math.abs(nats));
  const times = factor < 9.95 ? factor.toFixed(1) : grouped(Math.round(factor));
  const signedBar = bar(Math.min(1, Math.abs(nats) / MAX_NATS), nats < 0 ? "signed-bar negative" : "signed-bar");
  const change = factor < 1.05 ? "makes no difference" : `${times} times ${nats < 0 ? "less" : "more"} probable`;
  return line("influence", `by ${source}`, signedBar, change);
}
