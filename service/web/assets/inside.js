// What the models know: which letter follows which at each position, and when names end.

import { onRestore, recall, remember } from "./address.js";
import { draw } from "./chart.js";
import { element, find } from "./elements.js";
import { Heatmap } from "./heatmap.js";
import { Section } from "./section.js";
import { ask } from "./service.js";
import { continuation, grouped, isBlind, ordinal, sight } from "./wording.js";

const LONGEST = 64; // letters of a name: the service's limit
const POSITION = 6; // at first
const CERTAIN = 0.995; // of the list is within the charts
const [PACE, TURN] = [900, 10]; // milliseconds at a position, and the last one before it starts anew
const CURVES = 4; // models that the charts have colours for

const section = new Section("inside");
const charts = new Section("charts");
const [slider, select] = [find("position"), find("inside-model")];
const [left, right] = ["blind", "seeing"].map((id) => new Heatmap(find(id), pick));
let offered = []; // models for the map at the right
let blind = null; // the model for the map at the left, which does not know the position
let shown = null; // { model, position } of the maps
let picked = null; // the letters before and after that the visitor has pointed at
let mark = () => null; // marks a length in the charts

/** Starts this section. */
export function startLookingInside(models, standard) {
  const seeing = models.filter((model) => !isBlind(model));
  offered = seeing.length ? seeing : models;
  blind = seeing.length ? models.find(isBlind) ?? null : null;
  find("blind").hidden = !blind;
  select.append(...offered.map(({ name }) => element("option", {}, name)));
  const restore = () => {
    for (const name of [offered[0].name, standard, recall("inside")]) {
      if (offered.some((model) => model.name === name)) select.value = name;
    }
    slider.max = limit();
    slider.value = /^\d+$/.test(recall("position")) ? recall("position") : POSITION;
    look();
  };
  slider.addEventListener("input", ({ isTrusted }) => look(isTrusted ? "position" : null));
  select.addEventListener("input", () => look("inside"));
  onRestore(restore);
  startPlaying();
  restore();
  charts.run((signal) => drawCharts([...(blind ? [blind] : []), ...offered].slice(0, CURVES), signal));
}

const chosen = () => offered.find(({ name }) => name === select.value);
const limit = () => Math.min(LONGEST, chosen().positions - 1);

/** Shows a position in the maps, the sentence and the charts. */
function look(gesture = null) {
  slider.max = limit();
  const position = Number(slider.value);
  const later = slider.value === slider.max ? " and later" : "";
  find("place").textContent = `${ordinal(position + 1)} letter${later}`;
  slider.setAttribute("aria-valuetext", find("place").textContent);
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
  const query = { model: model.name, position, max_length: LONGEST };
  const reply = await ask("transitions", { query, signal });
  const [shown, all] = [reply.characters.length - 1, [...model.vocabulary].length];
  const some = shown < all ? `; the ${shown} most frequent of ${grouped(all)} characters` : "";
  map.show(reply, `${sight(model)}${some}`,
    `${model.name}: what follows each letter as the ${ordinal(position + 1)} letter; move with the arrow keys`);
}

function pick(...letters) {
  picked = letters;
  point(...letters);
}

/** Marks a pair of letters in both maps, and says how probable it is. */
function point(before, after) {
  if (!shown) return;
  for (const map of [left, right]) map.point(before, after);
  const shares = [[shown.model.name, right.probability(before, after)]];
  const compared = blind && left.probability(before, after);
  if (compared !== null && compared !== undefined && before !== null) shares.push([blind.name, compared]);
  find("readout").textContent = right.shows(before, after)
    ? continuation(shown.position, before, after, shares)
    : `The map of ${shown.model.name} does not show these two letters.`;
}

function startPlaying() {
  let timer = null;
  const step = () => {
    if (find("inside").classList.contains("stale")) return find("play").click(); // a failure ends it
    slider.value = Number(slider.value) < Math.min(TURN, slider.max) ? Number(slider.value) + 1 : 0;
    slider.dispatchEvent(new Event("input"));
  };
  find("play").addEventListener("click", ({ target }) => {
    timer = timer === null ? setInterval(step, PACE) : clearInterval(timer) ?? null;
    target.textContent = timer === null ? "Play" : "Pause";
  });
}

/** Draws how long names are and when they end: in the list, and by each model. */
async function drawCharts(models, signal) {
  const [{ source }] = models;
  const series = [{ name: "the list", values: source.lengths.map((count) => count / source.names) }];
  for (const { name } of models) {
    const { lengths } = await ask("lengths", { query: { model: name, max_length: LONGEST }, signal });
    series.push({ name, values: lengths.map(({ probability }) => probability) });
  }
  const [{ values: list }] = series;
  const enough = list.findIndex((_, at) => sum(list.slice(0, at + 1)) >= CERTAIN) + 1;
  const most = Math.min(enough || list.length, LONGEST);
  const marks = [["lengths", (values) => values], ["ends", endings]].map(([id, drawn]) =>
    draw(find(id), series.map(({ name, values }) => ({ name, values: drawn(values).slice(0, most) }))));
  mark = (letters) => marks.forEach((one) => one(letters));
  mark(Number(slider.value));
}

/** The probability that a name which has 1, 2, ... letters has no more. */
const endings = (values) => values.map((share, at) => share / (sum(values.slice(at)) || 1));

const sum = (values) => values.reduce((total, value) => total + value, 0);
