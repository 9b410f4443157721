// Section "Look inside": transition probabilities at each position, and lengths of names.

import { onRestore, recall, remember } from "../address.js";
import { element, find } from "../elements.js";
import { draw } from "../plots/chart.js";
import { Heatmap } from "../plots/heatmap.js";
import { ask } from "../service.js";
import { describeContext, describeTransition, grouped, isBlind, ordinal } from "../wording.js";
import { Section } from "./section.js";

const MAX_LENGTH = 64; // letters of a name: the limit of the service
const INITIAL_POSITION = 6;
const CHARTED_SHARE = 0.995; // of the list whose lengths are within the charts
const PLAY_INTERVAL_MS = 900; // at each position
const LAST_PLAYED = 10; // position after which playing starts again
const MAX_CURVES = 4; // number of colours in the charts

const section = new Section("inside");
const charts = new Section("charts");
const [slider, select] = [find("position"), find("inside-model")];
const [left, right] = ["blind", "seeing"].map((id) => new Heatmap(find(id), pick));
let offered = []; // models that the map on the right can show
let blind = null; // model of the map on the left, which does not see the position
let shown = null; // { model, position } in the maps
let picked = null; // [previous, next] letters that the visitor has pointed at
let mark = () => null; // function that marks a length in the charts

/** Starts this section. */
export function startLookingInside(models, defaultModel) {
  const seeing = models.filter((model) => !isBlind(model));
  offered = seeing.length ? seeing : models;
  blind = seeing.length ? models.find(isBlind) ?? null : null;
  find("blind").hidden = !blind;
  select.append(...offered.map(({ name }) => element("option", {}, name)));
  const restore = () => {
    for (const name of [offered[0].name, defaultModel, recall("inside")]) {
      if (offered.some((model) => model.name === name)) select.value = name;
    }
    slider.max = limit();
    slider.value = /^\d+$/.test(recall("position")) ? recall("position") : INITIAL_POSITION;
    update();
  };
  slider.addEventListener("input", ({ isTrusted }) => update(isTrusted ? "position" : null));
  select.addEventListener("input", () => update("inside"));
  onRestore(restore);
  startPlaying();
  restore();
  charts.run((signal) => drawCharts([...(blind ? [blind] : []), ...offered].slice(0, MAX_CURVES), signal));
}

const chosen = () => offered.find(({ name }) => name === select.value);
const limit = () => Math.min(MAX_LENGTH, chosen().positions - 1);

/** Shows the position of the slider in the maps, the sentence and the charts. */
function update(gesture = null) {
  slider.max = limit();
  const position = Number(slider.value);
  const suffix = slider.value === slider.max ? " and later" : "";
  find("position-label").textContent = `${ordinal(position + 1)} letter${suffix}`;
  slider.setAttribute("aria-valuetext", find("position-label").textContent);
  remember(["inside", "position"], [["inside", chosen().name], ["position", position]], gesture);
  mark(position);
  const model = chosen();
  section.run(async (signal) => {
    await showMap(right, model, position, signal);
    if (blind) await showMap(left, blind, position, signal);
    shown = { model, position };
    point(...(picked ?? right.farthestFrom(left)));
    find("hint").textContent ||= find("readout").textContent;
  });
}

async function showMap(map, model, position, signal) {
  const query = { model: model.name, position, max_length: MAX_LENGTH };
  const response = await ask("transitions", { query, signal });
  const [count, total] = [response.characters.length - 1, [...model.vocabulary].length];
  const selection = count < total ? `; the ${count} most frequent of ${grouped(total)} characters` : "";
  map.show(response, `${describeContext(model)}${selection}`,
    `${model.name}: what follows each letter as the ${ordinal(position + 1)} letter; move with the arrow keys`);
}

function pick(...letters) {
  picked = letters;
  point(...letters);
}

/** Marks two letters in both maps, and shows the probability of their transition. */
function point(before, after) {
  if (!shown) return;
  for (const map of [left, right]) map.point(before, after);
  const shares = [[shown.model.name, right.probability(before, after)]];
  const comparison = blind && left.probability(before, after);
  if (comparison !== null && comparison !== undefined && before !== null) shares.push([blind.name, comparison]);
  find("readout").textContent = right.shows(before, after)
    ? describeTransition(shown.position, before, after, shares)
    : `The map of ${shown.model.name} does not show these two letters.`;
}

function startPlaying() {
  let timer = null;
  const advance = () => {
    if (find("inside").classList.contains("stale")) return find("play").click(); // stop after a failure
    slider.value = Number(slider.value) < Math.min(LAST_PLAYED, slider.max) ? Number(slider.value) + 1 : 0;
    slider.dispatchEvent(new Event("input"));
  };
  find("play").addEventListener("click", ({ target }) => {
    timer = timer === null ? setInterval(advance, PLAY_INTERVAL_MS) : clearInterval(timer) ?? null;
    target.textContent = timer === null ? "Play" : "Pause";
  });
}

/** Draws the distributions of lengths and of ends, of the list and of each model. */
async function drawCharts(models, signal) {
  const [{ source }] = models;
  const series = [{ name: "the list", values: source.lengths.map((count) => count / source.names) }];
  for (const { name } of models) {
    const { lengths } = await ask("lengths", { query: { model: name, max_length: MAX_LENGTH }, signal });
    series.push({ name, values: lengths.map(({ probability }) => probability) });
  }
  const [{ values: list }] = series;
  const longest = list.findIndex((_, index) => sum(list.slice(0, index + 1)) >= CHARTED_SHARE) + 1;
  const count = Math.min(longest || list.length, MAX_LENGTH);
  const marks = [["lengths", (values) => values], ["ends", endings]].map(([id, transform]) =>
    draw(find(id), series.map(({ name, values }) => ({ name, values: transform(values).slice(0, count) }))));
  mark = (letters) => marks.forEach((markChart) => markChart(letters));
  mark(Number(slider.value));
}

/** Returns the probabilities that a name with at least 1, 2, ... letters has no more. */
const endings = (values) => values.map((share, index) => share / (sum(values.slice(index)) || 1));

const sum = (values) => values.reduce((total, value) => total + value, 0);
