// A name judged letter by letter, by several models side by side.

import { recall, remember } from "./address.js";
import { bar, button, element, find, isPosition, ordinal, percent, sight } from "./elements.js";
import { ask, lastWins, teller } from "./service.js";

const LEVELS = [1, 2, 3, 4, 5.5, 7, 9]; // bits of surprise at which a letter's colour changes
const SHOWN = ["bigram", "positional", "fivegram"]; // architectures side by side, and the model that is chosen
const WIDEST = 5; // nats that a bar of a contribution has room for
const END = "end";

const scores = new Map(); // model -> its score of the name
let chosen = null; // { model, at }: the step that is explained, if somebody has chosen one

/** Starts this part; what it returns judges a name. */
export function startJudging(models) {
  const select = find("wish").elements.model;
  const input = find("name");
  const judge = lastWins(show, teller("judge"));
  const changed = () => {
    const beside = SHOWN.map((kind) => models.find(({ architecture }) => architecture === kind));
    const shown = models.filter((model) => model.name === select.value || beside.includes(model));
    remember(["name"], input.value ? [["name", input.value]] : []);
    return judge(input.value, select.value, shown.sort((one, other) => one.parameters - other.parameters));
  };
  input.addEventListener("input", () => {
    chosen = null;
    changed();
  });
  select.addEventListener("input", changed);
  input.value = recall("name") ?? "";
  if (input.value) changed();
  return retype;
}

/** Puts a name in the place of what was typed. */
function retype(name) {
  find("name").value = name;
  find("name").dispatchEvent(new Event("input"));
}

/** Asks one model after the other; the first is the one that is told in words. */
async function show(isStale, name, first, models) {
  const names = models.map((model) => model.name);
  if (!names.includes(chosen?.model)) chosen = null;
  if (names.some((model) => !rowOf(model)) || find("rows").children.length !== names.length) {
    find("rows").replaceChildren(...models.map(emptyRow));
  }
  for (const model of new Set([first, ...names])) {
    const { scores: [score] } = await ask("score", {}, { names: [name], model, explain: true });
    if (isStale()) return;
    scores.set(model, score);
    showRow(model);
    if (model === first) tell(score, model);
    if (model === (chosen?.model ?? first)) showStep(chosen ?? { model, at: worst(score) });
  }
}

function tell(score, model) {
  find("verdict").textContent = verdict(score, model);
  find("suggestions").hidden = !score.suggestions.length;
  const likelier = score.suggestions.map(({ name }) => button(() => {
    retype(name);
    find("name").focus();
  }, {}, name));
  find("suggestions").replaceChildren("Likelier: ", ...likelier);
}

function verdict({ normalized, percentile, listed, unknown }, model) {
  if (unknown.length) return `${model} has never seen ${unknown.map(visible).join(" ")}.`;
  if (!normalized) return "Type a name.";
  const letters = [...normalized].length;
  const others = `names of ${letters} letter${letters > 1 ? "s" : ""} that ${model} makes`;
  const known = listed === null ? "" : ` It is ${listed ? "" : "not "}on the training list.`;
  if (percentile < 1e-6) return `Hardly a name: of a million ${others}, none is less likely.${known}`;
  const kind = percentile < 0.01 ? "Hardly a name: l" : percentile < 0.1 ? "An odd name: l" : "L";
  return `${kind}ikelier than ${percent(percentile)} of the ${others}.${known}`;
}

const rowOf = (model) => find("rows").querySelector(`[data-row="${model}"]`);
const tile = (model, at) => rowOf(model).querySelectorAll("button")[at];

/** A character, or its number if it cannot be seen. */
const visible = (character) => /[\p{L}\p{N}\p{P}\p{S}]/u.test(character)
  ? character
  : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

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
  rate.textContent = normalized && percentile !== null ? `likelier than ${percent(percentile)}` : "";
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

/** What was expected at a step, and how much the letters before and the position said of it. */
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
  const expected = [...step.alternatives, step].sort((one, other) => other.log_likelihood - one.log_likelihood);
  const said = {};
  for (const [feature, nats] of Object.entries(step.contributions)) {
    const who = isPosition(feature) ? "the position" : at ? "the letters before" : "the start";
    said[who] = (said[who] ?? 0) + nats;
  }
  find("step").replaceChildren(
    element("p", {}, before ? `After ${before}, ` : "First, ",
      element("b", {}, step.character ?? "the end"),
      `${place} has a chance of ${chance}, number ${step.rank} of what ${model} expects:`),
    element("div", {}, ...expected.map((one) => {
      const share = Math.exp(one.log_likelihood);
      return line(one === step ? "choice it" : "choice", one.character ?? END, bar(share), percent(share));
    })),
    element("p", {}, "Beside an average letter there, it is made"),
    element("div", {}, ...Object.entries(said).map(part)));
}

const line = (kind, label, shown, told) => element("div", { class: kind },
  element("span", {}, label), shown, element("span", { class: "rate" }, told));

/** By how much a part makes the letter likelier or less likely, as a factor. */
function part([name, nats]) {
  const factor = Math.exp(Math.abs(nats));
  const times = factor < 9.95 ? factor.toFixed(1) : Math.round(factor).toLocaleString("en");
  const lean = bar(Math.min(1, Math.abs(nats) / WIDEST), nats < 0 ? "lean less" : "lean");
  const made = factor < 1.05 ? "no different" : `${times} times ${nats < 0 ? "less likely" : "likelier"}`;
  return line("part", `by ${name}`, lean, made);
}
