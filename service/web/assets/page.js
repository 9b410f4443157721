// The page: four sections that share the models and the address.

import { find } from "./elements.js";
import { startLookingInside } from "./inside.js";
import { startJudging } from "./judge.js";
import { authorization } from "./key.js";
import { startList } from "./list.js";
import { startMaking } from "./make.js";
import { Section } from "./section.js";
import { ask } from "./service.js";
import { grouped } from "./wording.js";

const FAVOURITE = "fivegram"; // makes the nicest names

async function start(signal) {
  const { models, default: standard } = await ask("models", { signal });
  const [first] = [FAVOURITE, standard, models[0].name].filter((name) => models.some((model) => model.name === name));
  find("main").inert = false;
  startMaking(models, first);
  startJudging(models);
  startList(models, first);
  startLookingInside(models, standard);
  describe(models.find(({ name }) => name === first));
}

function describe({ name, parameters, source, report }) {
  const facts = `${name}: one layer of ${grouped(parameters)} weights, trained on ${grouped(source.names)} names`;
  find("facts").textContent = `${facts} (${source.name}).`;
  if (authorization().Authorization) return; // a link carries no key
  find("api").hidden = false;
  find("report").hidden = !report;
  find("report").href = (report ?? "").slice(1); // relative: there may be a path prefix
}

new Section("page").run(start);
