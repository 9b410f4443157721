// What the models know: which letter follows which at each position, and when names end.

import { recall, remember } from "./address.js";
import { draw } from "./chart.js";
import { element, find, isBlind, ordinal, percent, sight } from "./elements.js";
import { Heatmap } from "./heatmap.js";
import { ask, lastWins, teller } from "./service.js";

const LONGEST = 64; // letters: as near to all names as the service goes
const CERTAIN = 0.995; // of the list is within the charts
const [PACE, TURN] = [900, 10]; // milliseconds at a position, and the last one before it starts anew
const CURVES = 4; // models that the charts have colours for

/** Starts this part. */
export async function startLookingInside(models, standard) {
  const [slider, select] = [find("position"), find("inside-model")];
  const seeing = models.filter((model) => !isBlind(model));
  const offered = seeing.length ? seeing : models;
  const blind = models.find((model) => isBlind(model) && seeing.length) ?? null; // to compare with
  find("blind").hidden = !blind;
  select.append(...offered.map(({ name }) => element("option", {}, name)));
  for (const name of [standard, recall("inside")]) {
    if (offered.some((model) => model.name === name)) select.value = name;
  }
  const chosen = () => models.find(({ name }) => name === select.value);
  const limit = () => (slider.max = Math.min(LONGEST, chosen().positions - 1));
  limit();
  slider.value = recall("position") ?? 6;

  let pointed = null; // the letters that somebody has pointed at
  const point = (before, after) => {
    for (const map of [left, right]) map.point(before, after);
    const beside = blind && before !== null && left.probability(before, after);
    const end = beside ? `, and for ${blind.name}, wherever it stands, ${percent(beside)}` : "";
    const place = `At the ${ordinal(Number(slider.value) + 1)} place`;
    find("readout").textContent = `${place}${told(right, before, after, chosen().name)}${end}.`;
  };
  const [left, right] = ["blind", "seeing"].map((id) =>
    new Heatmap(find(id), (...letters) => point(...(pointed = letters))));
  let mark = () => null;
  const look = lastWins(async (isStale) => {
    limit();
    const position = Number(slider.value);
    const later = slider.value === slider.max ? " and later" : "";
    find("place").textContent = `${ordinal(position + 1)} letter${later}`;
    slider.setAttribute("aria-valuetext", find("place").textContent);
    remember(["inside", "position"], [["inside", chosen().name], ["position", position]]);
    mark(position);
    for (const [map, model] of [[right, chosen()], [left, blind]]) {
      if (model) await showMap(map, model, position);
      if (isStale()) return;
    }
    point(...(pointed ?? right.farthestFrom(left)));
    find("hint").textContent ||= find("readout").textContent;
  }, teller("inside"));

  slider.addEventListener("input", look);
  select.addEventListener("input", look);
  startPlaying(slider);
  await look();
  mark = drawCurves(await laws([...(blind ? [blind] : []), ...offered].slice(0, CURVES)));
  mark(Number(slider.value));
}

async function showMap(map, model, position) {
  const reply = await ask("transitions", { model: model.name, position, max_length: LONGEST });
  const [shown, all] = [reply.characters.length - 1, [...model.vocabulary].length];
  const some = shown < all ? `; the ${shown} most frequent of ${all.toLocaleString("en")} characters` : "";
  map.show(reply, `${sight(model)}${some}`,
    `${model.name}: what follows each letter as the ${ordinal(position + 1)}; arrow keys move, the text below tells`);
}

function told(map, before, after, model) {
  const share = map.probability(before, after);
  if (share === undefined) return `, after ${before ?? "the start"}, comes nothing for ${model}`;
  return `${before === null ? "" : `, after ${before},`} comes ${after ?? "the end"}: ${percent(share)} for ${model}`;
}

function startPlaying(slider) {
  let timer = null;
  const step = () => {
    slider.value = Number(slider.value) < Math.min(TURN, slider.max) ? Number(slider.value) + 1 : 0;
    slider.dispatchEvent(new Event("input"));
  };
  find("play").addEventListener("click", ({ target }) => {
    timer = timer === null ? setInterval(step, PACE) : clearInterval(timer) ?? null;
    target.textContent = timer === null ? "Play" : "Pause";
  });
}

/** How long names are: the share of 1, 2, ... letters, of the list and of each model. */
async function laws(models) {
  const [{ source }] = models;
  const series = [{ name: "the list", values: source.lengths.map((count) => count / source.names) }];
  for (const { name } of models) {
    const { lengths } = await ask("lengths", { model: name, max_length: LONGEST });
    series.push({ name, values: lengths.map(({ probability }) => probability) });
  }
  return series;
}

/** Draws both charts; what it returns marks a length in them. */
function drawCurves(series) {
  const [{ values: list }] = series;
  const enough = list.findIndex((_, at) => sum(list.slice(0, at + 1)) >= CERTAIN) + 1;
  const most = Math.min(enough || list.length, LONGEST);
  const ending = (values) => values.map((share, at) => share / (sum(values.slice(at)) || 1));
  const marks = [["lengths", (values) => values], ["ends", ending]].map(([id, told]) =>
    draw(find(id), series.map(({ name, values }) => ({ name, values: told(values).slice(0, most) }))));
  return (letters) => marks.forEach((mark) => mark(letters));
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
