// Form fields of workloads, arms and protocol, and their values; a field's pointer is relative to its workload or arm.

import { make } from "./ask.js";

let made = 0;

export function fieldsOf(list) {
  return [...list.children];
}

export function workloadFields(entry, given) {
  const unit = given.epochs !== undefined ? "epochs" : "steps";
  const options = entry.options.map((option) => optionField(option, given.options?.[option.name]));
  return box(entry, "workload", [
    nameField(given.name),
    make(
      "div",
      { class: "row length" },
      field("Length", number(`/${unit}`, given[unit], entry.default_steps, { "data-length": true })),
      field("in", choice("", ["steps", "epochs"], unit, { "data-unit": true })),
    ),
    ...(options.length ? [make("details", {}, make("summary", {}, "Options"), make("div", { class: "grid" }, ...options))] : []),
  ]);
}

export function armFields(entry, given) {
  const rows = entry.hyperparameters.map((each) => hyperparameterFields(each, given));
  return box(entry, "optimizer", [nameField(given.name), ...rows]);
}

export function protocolFields(given) {
  const value = (name) => given[name];
  const usual = [
    field("Objective", choice("/protocol/objective", [value("objective") ?? "train_loss"], value("objective"))),
    field("Trials of a search", number("/protocol/trials", value("trials"), 12)),
    field("Sampler", choice("/protocol/sampler", ["grid", "random", "tpe"], value("sampler"))),
    field("Confirm seeds", number("/protocol/confirm_seeds", value("confirm_seeds"), 10)),
  ];
  const more = [
    field("Search seeds", number("/protocol/search_seeds", value("search_seeds"), 1)),
    field("Reference arm", text("/protocol/reference", value("reference"), "the first fixed arm")),
    field("Margin of a tie", number("/protocol/margin", value("margin"), 0.05)),
    field("Pruner", choice("/protocol/pruner", ["none", "asha"], value("pruner"))),
    field("Precision", choice("/protocol/precision", ["float32", "tf32", "bfloat16"], value("precision"))),
    field("Scale, to try it out", number("/protocol/scale", value("scale"), 1)),
    field("Budget, seconds", number("/protocol/budget/seconds", undefined, "no limit")),
    field("Budget, trials", number("/protocol/budget/trials", undefined, "no limit")),
  ];
  return [usual, more];
}

export function workloadOf(fields) {
  const name = fields.querySelector("[data-name]").value.trim();
  const length = said(fields.querySelector("[data-length]"));
  const options = {};
  for (const input of fields.querySelectorAll('[data-pointer^="/options/"]')) put(options, input);
  return {
    name,
    ...(name === fields.dataset.entry ? {} : { workload: fields.dataset.entry }),
    ...(Object.keys(options).length ? { options } : {}),
    ...(length === undefined ? {} : { [fields.querySelector("[data-unit]").value]: length }),
  };
}

export function armOf(fields) {
  const name = fields.querySelector("[data-name]").value.trim();
  const fixed = {};
  const search = {};
  for (const row of fields.querySelectorAll("[data-hyperparameter]")) {
    const parameter = row.dataset.hyperparameter;
    const how = row.querySelector("[data-how]").value;
    const values = [...row.querySelectorAll("input")].map(said);
    if (how === "fixed") fixed[parameter] = values[0] ?? "";
    if (how === "searched") {
      search[parameter] = Object.fromEntries([["low", values[1]], ["high", values[2]]].filter(([, end]) => end !== undefined));
    }
  }
  return {
    name,
    ...(name === fields.dataset.entry ? {} : { optimizer: fields.dataset.entry }),
    ...(Object.keys(fixed).length ? { fixed } : {}),
    ...(Object.keys(search).length ? { search } : {}),
  };
}

export function protocolOf(form) {
  const protocol = {};
  const budget = {};
  for (const input of form.querySelectorAll('[data-pointer^="/protocol/"]')) {
    put(input.dataset.pointer.startsWith("/protocol/budget/") ? budget : protocol, input);
  }
  return Object.keys(budget).length ? { ...protocol, budget } : protocol;
}

function put(into, input) {
  const value = said(input);
  const isDefault = input.matches("select") && value === input.dataset.usual;
  if (value !== undefined && !isDefault) into[input.dataset.pointer.split("/").pop()] = value;
}

// A field's value: a number if it is one, else the text, which the service rejects; undefined if empty.
function said(input) {
  const written = input.value.trim();
  if (written === "") return undefined;
  if (input.dataset.kind !== "number") return written;
  return Number.isFinite(Number(written)) ? Number(written) : written;
}

function box(entry, kind, fields) {
  const remove = make("button", { type: "button", "data-remove": true, "aria-label": `Remove ${kind} ${entry.name}` }, "Remove");
  return make(
    "fieldset",
    { class: "box", "data-entry": entry.name },
    make("legend", {}, entry.name),
    make("p", { class: "help" }, entry.summary),
    ...fields,
    remove,
  );
}

function nameField(value) {
  return field("Name in the study", text("/name", value, "", { "data-name": true }));
}

function optionField(option, given) {
  const pointer = `/options/${option.name}`;
  const input = option.choices.length
    ? choice(pointer, option.choices, given ?? option.default, { "data-usual": option.default })
    : number(pointer, given, option.default);
  return field(option.name, input, option.summary);
}

function hyperparameterFields(each, given) {
  const fixed = given.fixed?.[each.name];
  const range = given.search?.[each.name];
  const how = choice("", ["default", "fixed", "searched"], range ? "searched" : fixed === undefined ? "default" : "fixed");
  how.dataset.how = "";
  how.setAttribute("aria-label", `How ${each.name} is set`);
  const at = `/fixed/${each.name}`;
  const ends = `/search/${each.name}`;
  const inputs = {
    fixed: [labelled(number(at, fixed, each.default), `${each.name}, fixed at`)],
    searched: [
      labelled(number(`${ends}/low`, range?.low, each.search_low), `${each.name}, from`),
      make("span", {}, "to"),
      labelled(number(`${ends}/high`, range?.high, each.search_high), `${each.name}, to`),
    ],
  };
  const spans = Object.entries(inputs).map(([name, parts]) => make("span", { class: "ends", "data-for": name }, ...parts));
  const usual = make("span", { class: "quiet", "data-for": "default" }, compact(each.default));
  const row = make(
    "div",
    { class: "hyperparameter", "data-hyperparameter": each.name },
    make("span", { class: "term" }, each.name),
    how,
    make("div", { class: "ends" }, usual, ...spans, make("span", { class: "help" }, each.summary)),
  );
  const show = () => {
    for (const span of [usual, ...spans]) span.hidden = span.dataset.for !== how.value;
  };
  how.addEventListener("input", show);
  show();
  return row;
}

function compact(value) {
  return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential() : String(value);
}

function labelled(input, words) {
  input.setAttribute("aria-label", words);
  return input;
}

function field(words, input, help) {
  input.id = `field-${++made}`;
  const parts = [make("label", { for: input.id }, words), input];
  if (help) {
    input.setAttribute("aria-describedby", `${input.id}-help`);
    parts.push(make("span", { class: "help", id: `${input.id}-help` }, help));
  }
  return make("div", { class: "field" }, ...parts);
}

function text(pointer, value, usual, more = {}) {
  const input = make("input", { "data-pointer": pointer, placeholder: usual, autocomplete: "off", spellcheck: "false", ...more });
  input.value = value ?? "";
  return input;
}

function number(pointer, value, usual, more = {}) {
  const shown = typeof usual === "number" ? compact(usual) : usual;
  const given = typeof value === "number" ? compact(value) : value;
  return text(pointer, given, shown, { "data-kind": "number", inputmode: "decimal", ...more });
}

function choice(pointer, values, value, more = {}) {
  const select = make("select", { "data-pointer": pointer || null, "data-usual": values[0], ...more });
  select.append(...values.map((each) => make("option", {}, each)));
  if (value !== undefined) select.value = value;
  return select;
}
