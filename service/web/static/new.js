// The form of a new study: built from the catalogue; the service validates and estimates it on every change.

import { ask, make, tell } from "./ask.js";
import { armFields, armOf, fieldsOf, protocolFields, protocolOf, workloadFields, workloadOf } from "./fields.js";
import { yaml } from "./yaml.js";

const WAIT_MILLISECONDS = 300;

const form = document.getElementById("study");
const trouble = document.getElementById("trouble");
const part = (id) => document.getElementById(id);
let workloads = [];
let optimizers = [];
let asked = 0;
let timer;

async function start() {
  const answers = [await ask("GET", "/workloads"), await ask("GET", "/optimizers")];
  const failed = answers.find((answer) => !answer.ok);
  if (failed) {
    tell(trouble, failed.detail);
    return;
  }
  [workloads, optimizers] = answers.map((answer) => answer.data);
  part("add-workload").append(...workloads.map((each) => make("option", {}, each.name)));
  part("add-arm").append(...optimizers.map((each) => make("option", {}, each.name)));
  fill(JSON.parse(part("example").textContent));
  form.hidden = false;
  changed();
}

function fill(study) {
  part("title").value = study.name;
  for (const each of study.workloads) addWorkload(each.workload ?? each.name, each);
  for (const each of study.arms) addArm(each.optimizer ?? each.name, each);
  const [usual, more] = protocolFields(study.protocol);
  part("protocol").append(...usual);
  part("protocol-more").append(...more);
}

function addWorkload(name, given) {
  const entry = workloads.find((each) => each.name === name);
  if (entry) part("workloads").append(workloadFields(entry, { name: fresh("workloads", name), ...given }));
}

function addArm(name, given) {
  const entry = optimizers.find((each) => each.name === name);
  if (entry) part("arms").append(armFields(entry, { name: fresh("arms", name), ...given }));
}

// A name that no other workload or arm of the study has yet.
function fresh(where, name) {
  const taken = fieldsOf(part(where)).map((each) => each.querySelector("[data-name]").value);
  let count = 2;
  let found = name;
  while (taken.includes(found)) found = `${name}_${count++}`;
  return found;
}

function study() {
  const protocol = protocolOf(form);
  return {
    name: part("title").value.trim(),
    workloads: fieldsOf(part("workloads")).map(workloadOf),
    arms: fieldsOf(part("arms")).map(armOf),
    ...(Object.keys(protocol).length ? { protocol } : {}),
  };
}

function changed() {
  const text = yaml(study());
  part("yaml").textContent = text;
  const key = form.dataset.keys === "true" ? ' \\\n  -H "Authorization: Bearer $L4_API_KEY"' : "";
  part("curl").textContent =
    `curl ${location.origin}/studies \\\n  -H 'Content-Type: application/yaml'${key} \\\n  --data-binary @study.yaml`;
  offerObjectives();
  clearTimeout(timer);
  timer = setTimeout(plan, WAIT_MILLISECONDS);
}

// Offers the objectives that all selected workloads have.
function offerObjectives() {
  const chosen = fieldsOf(part("workloads")).map((each) => workloads.find((entry) => entry.name === each.dataset.entry));
  const common = chosen.map((entry) => Object.keys(entry.objectives));
  const offered = common.length ? common.reduce((found, each) => found.filter((name) => each.includes(name))) : [];
  const select = form.querySelector('[data-pointer="/protocol/objective"]');
  const kept = select.value;
  if ([...select.options].map((option) => option.value).join() === offered.join()) return;
  select.replaceChildren(...offered.map((name) => make("option", {}, name)));
  if (offered.includes(kept)) select.value = kept;
}

async function plan() {
  const turn = ++asked;
  const answer = await ask("POST", "/studies/plan", study());
  if (turn !== asked) return; // the form has changed meanwhile
  showFaults(answer);
  part("cost").replaceChildren(...(answer.ok ? cost(answer.data) : [make("p", { class: "quiet" }, "It cannot be said yet.")]));
}

function cost({ estimate, warnings, beyond_budget }) {
  const { expected, most } = estimate;
  const runs = expected.search_runs + expected.confirm_runs;
  const guessed = estimate.arms.some((arm) => arm.basis === "guess");
  const lines = [
    ["Runs", `${count(runs)} (${count(expected.search_runs)} in searches, ${count(expected.confirm_runs)} to confirm)`],
    ["Steps", count(expected.run_steps)],
    ["Time", `about ${duration(expected.seconds)}`],
    ["At most", `${duration(most.seconds)}, ${count(most.search_runs + most.confirm_runs)} runs, with every range extended twice`],
    ...(expected.gpu_hours ? [["GPU-hours", expected.gpu_hours.toPrecision(2)]] : []),
    ["By", guessed ? "a guess; it is measured when the study starts" : "measured speeds"],
  ];
  return [
    make("dl", { class: "pairs" }, ...lines.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...[...warnings, ...beyond_budget].map((each) => make("p", { class: "warning" }, make("strong", {}, "Warning: "), each)),
  ];
}

function showFaults(answer) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const list = part("faults");
  list.replaceChildren();
  if (!answer.ok && !answer.faults.length) list.append(make("li", {}, answer.detail));
  for (const { pointer, detail } of answer.faults) {
    const field = fieldAt(pointer);
    field?.setAttribute("aria-invalid", "true");
    const place = make("a", { href: "#" }, pointer || "the whole study");
    place.addEventListener("click", (event) => {
      event.preventDefault();
      field?.focus();
    });
    list.append(make("li", {}, field ? place : pointer, `: ${detail}`));
  }
  list.hidden = list.children.length === 0;
}

// The field of a fault, or the nearest enclosing one.
function fieldAt(pointer) {
  const [, list, place, ...rest] = pointer.split("/");
  let inside = form;
  let path = pointer;
  if (list === "workloads" || list === "arms") {
    inside = fieldsOf(part(list))[Number(place)] ?? form;
    path = `/${rest.join("/")}`;
  }
  while (path) {
    const found = inside.querySelector(`[data-pointer="${CSS.escape(path)}"]`);
    if (found) return found.matches("input, select") ? found : found.querySelector("input, select");
    path = path.slice(0, path.lastIndexOf("/"));
  }
  return inside.querySelector("[data-name]");
}

// Over plain http pages have no clipboard: the text is selected instead.
function copy(element, button) {
  if (navigator.clipboard) navigator.clipboard.writeText(element.textContent);
  else getSelection().selectAllChildren(element);
  button.textContent = navigator.clipboard ? "Copied" : "Selected";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function count(number) {
  return number.toLocaleString("en");
}

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

form.addEventListener("input", changed);
form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.remove !== undefined) {
    const list = button.closest("fieldset").parentElement;
    button.closest("fieldset").remove();
    (list.querySelector("input") ?? part(`add-${list.id === "arms" ? "arm" : "workload"}`)).focus();
    changed();
  } else if (button?.dataset.copy) {
    copy(part(button.dataset.copy), button);
  }
});
part("add-workload-button").addEventListener("click", () => {
  addWorkload(part("add-workload").value, {});
  changed();
});
part("add-arm-button").addEventListener("click", () => {
  addArm(part("add-arm").value, {});
  changed();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector('button[type="submit"]');
  button.disabled = true; // a second click would submit a second study
  const answer = await ask("POST", "/studies", study());
  if (answer.ok) {
    location.assign(answer.data.links.page);
    return;
  }
  button.disabled = false;
  showFaults(answer);
});
start();
