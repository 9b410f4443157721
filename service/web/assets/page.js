// Starts the four sections of the page with the models of the service.

import { find } from "./elements.js";
import { authorization } from "./key.js";
import { ask } from "./service.js";
import { grouped } from "./wording.js";
import { startLookingInside } from "./sections/inside.js";
import { startJudging } from "./sections/judge.js";
import { startList } from "./sections/list.js";
import { startMaking } from "./sections/make.js";
import { Section } from "./sections/section.js";

const PREFERRED_MODEL = "fivegram"; // makes the most convincing names

async function start(signal) {
  const { models, default: defaultModel } = await ask("models", { signal });
  const candidates = [PREFERRED_MODEL, defaultModel, models[0].name];
  const initial = candidates.find((candidate) => models.some(({ name }) => name === candidate));
  find("main").inert = false;
  startMaking(models, initial);
  startJudging(models);
  startList(models, initial);
  startLookingInside(models, defaultModel);
  describe(models.find(({ name }) => name === initial));
}

function describe({ name, parameters, source, report }) {
  const facts = `${name}: one layer of ${grouped(parameters)} weights, trained on ${grouped(source.names)} names`;
  find("facts").textContent = `${facts} (${source.name}).`;
  if (authorization().Authorization) return; // a link cannot send the key
  find("api").hidden = false;
  find("report").hidden = !report;
  find("report").href = (report ?? "").slice(1); // relative, for a path prefix
}

new Section("page").run(start);
