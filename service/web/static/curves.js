// Draws a study's curves as SVG: one line per run, one colour and dash per arm.

import { ask, make } from "./ask.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 320;
const LEFT = 62;
const RIGHT = 22;
const TOP = 28;
const BOTTOM = 44;
const STYLES = 8; // colours in the style sheet; then other dashes

const SERIES = {
  train_loss: "training loss",
  effective_lr: "effective learning rate",
};

export async function drawCurves(study) {
  const workload = document.getElementById("workload").value;
  const choice = document.getElementById("series");
  const wanted = choice.value;
  const path = `/studies/${study}/workloads/${encodeURIComponent(workload)}/curves`;
  const answer = await ask("GET", `${path}?series=${encodeURIComponent(wanted)}`);
  const chart = document.getElementById("chart");
  const legend = document.getElementById("legend");
  const note = document.getElementById("chart-note");
  if (!answer.ok) {
    note.textContent = answer.detail;
    return;
  }
  const { names, curves } = answer.data;
  offerSeries(choice, names, wanted);
  chart.replaceChildren();
  legend.replaceChildren();
  if (curves.length === 0) {
    note.textContent = names.length === 0 ? "No run is done yet." : `No run has ${word(wanted)} here.`;
    return;
  }
  const arms = [...new Set(curves.map((curve) => curve.arm))];
  const isLog = curves.every((curve) => curve.values.every((value) => value === null || value > 0));
  chart.append(draw(curves, arms, isLog, word(wanted), chart.clientWidth));
  legend.append(...arms.map((arm, place) => entry(arm, place, curves)));
  note.textContent =
    "A line is a run: up to three confirm runs of each arm, or before there are any those of its best trial so far.";
}

function word(name) {
  return SERIES[name] ?? name.replaceAll("_", " ");
}

function offerSeries(choice, names, wanted) {
  const offered = names.includes(wanted) ? names : [wanted, ...names];
  if ([...choice.options].map((option) => option.value).join() === offered.join()) return;
  choice.replaceChildren(...offered.map((name) => make("option", { value: name }, word(name))));
  choice.value = wanted;
}

function entry(arm, place, curves) {
  const own = curves.filter((curve) => curve.arm === arm);
  const sample = element("svg", { class: "sample", viewBox: "0 0 30 10", "aria-hidden": "true" });
  sample.append(element("line", { class: style(place), x1: 0, y1: 5, x2: 30, y2: 5 }));
  return make("li", {}, sample, ` ${arm}, ${own.length === 1 ? "a" : own.length} ${own[0].stage} run${own.length === 1 ? "" : "s"}`);
}

function draw(curves, arms, isLog, name, width) {
  const points = curves.flatMap((curve) => curve.values.map((value, i) => [curve.steps[i], value])).filter(([, v]) => v !== null);
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", class: "curves" });
  svg.setAttribute("aria-label", `${name} against steps, of ${arms.join(", ")}`);
  const lastStep = Math.max(1, ...points.map(([step]) => step));
  const scale = isLog ? Math.log10 : (value) => value;
  let low = Math.min(...points.map(([, value]) => scale(value)));
  let high = Math.max(...points.map(([, value]) => scale(value)));
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / lastStep;
  const y = (scaled) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - scaled)) / (high - low);
  for (const step of ticks(0, lastStep, Math.max(2, Math.floor(width / 120)))) {
    svg.append(element("line", { class: "grid", x1: x(step), x2: x(step), y1: TOP, y2: HEIGHT - BOTTOM }));
    svg.append(label(compact(step), x(step), HEIGHT - BOTTOM + 18, "middle"));
  }
  for (const tick of isLog ? decades(low, high) : ticks(low, high, 5)) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(label(isLog ? compact(10 ** tick) : compact(tick), LEFT - 8, y(tick) + 4, "end"));
  }
  svg.append(label(isLog ? `${name} (logarithmic)` : name, 2, 14, "start"));
  svg.append(label("steps", (LEFT + width - RIGHT) / 2, HEIGHT - 6, "middle"));
  for (const curve of curves) {
    let path = "";
    curve.values.forEach((value, i) => {
      const gap = value === null || i === 0 || curve.values[i - 1] === null;
      if (value !== null) path += `${gap ? "M" : "L"}${x(curve.steps[i]).toFixed(1)} ${y(scale(value)).toFixed(1)}`;
    });
    svg.append(element("path", { class: style(arms.indexOf(curve.arm)), d: path }));
  }
  return svg;
}

function style(place) {
  return `curve colour-${place % STYLES} dash-${Math.floor(place / STYLES) % 3}`;
}

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function label(text, x, y, anchor) {
  const made = element("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

// About `count` round numbers between two bounds.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) found.push(tick);
  return found;
}

// Powers of ten, with 2 and 5 times them in short ranges.
function decades(low, high) {
  const found = [];
  const each = Math.max(1, Math.ceil((high - low) / 6));
  for (let power = Math.floor(low); power <= high; power += 1) {
    for (const factor of high - low > 2 ? [1] : [1, 2, 5]) {
      const tick = power + Math.log10(factor);
      if (tick >= low && tick <= high && (factor > 1 || power % each === 0)) found.push(tick);
    }
  }
  return found.length >= 2 ? found : ticks(low, high, 4);
}

function compact(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e4 || size < 1e-3) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}
