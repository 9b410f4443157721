// The page: three parts that share the models and the address.

import { find } from "./elements.js";
import { startLookingInside } from "./inside.js";
import { startJudging } from "./judge.js";
import { fillForm, startMaking } from "./make.js";
import { ask, authorization, teller } from "./service.js";

const FAVOURITE = "fivegram"; // makes the nicest names

async function start() {
  const { models, default: standard } = await ask("models");
  const [first] = [FAVOURITE, standard, models[0].name].filter((name) => models.some((model) => model.name === name));
  fillForm(models, first);
  startMaking(startJudging(models));
  about(models.find(({ name }) => name === first));
  await startLookingInside(models, standard);
}

function about({ name, parameters, source, report }) {
  const [numbers, names] = [parameters, source.names].map((number) => number.toLocaleString("en"));
  find("facts").textContent = `${name}: one layer of ${numbers} numbers, learned from ${names} names (${source.name}).`;
  if (authorization().Authorization) return; // a link bears no key
  find("api").hidden = false;
  find("report").hidden = !report;
  find("report").href = (report ?? "").slice(1); // relative: the service may be behind a prefix
}

start().catch(teller("make"));
