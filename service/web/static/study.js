// A study's page: polls for changes, and runs the actions of its buttons.

import { ask, tell } from "./ask.js";
import { drawCurves } from "./curves.js";

const LOOK_MILLISECONDS = 1500;
const ENDED_MILLISECONDS = 15000; // the report may follow, and the study may be retried or archived elsewhere

const head = document.getElementById("top");
const told = document.getElementById("told");
const trouble = document.getElementById("trouble");
const study = head.dataset.study;
let shown = "";
let loggedOut = false;

function facts() {
  return document.getElementById("facts").dataset;
}

async function look() {
  const before = { ...facts() };
  const answer = await ask("GET", `/pages/studies/${study}/now`);
  if (!answer.ok) {
    // the study was deleted elsewhere, or the session has ended
    tell(trouble, answer.detail);
    if (answer.status === 401) logIn();
    return;
  }
  if (trouble.dataset.of !== "verb") tell(trouble, "");
  if (answer.data !== shown) takeUp((shown = answer.data));
  const after = facts();
  if (after.state !== before.state) told.textContent = `The study is ${after.state.toLowerCase()} now.`;
  if (after.done !== before.done || after.state !== before.state) await drawCurves(study);
  if (after.report && !document.querySelector("#report iframe")) showReport();
}

// Stops polling: each further 401 would count against the address's limit of failures.
function logIn() {
  loggedOut = true;
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// Replaces the changed parts, and keeps the focus.
function takeUp(page) {
  const focused = document.activeElement?.id;
  for (const part of new DOMParser().parseFromString(page, "text/html").querySelectorAll("[data-part]")) {
    document.getElementById(part.dataset.part).replaceChildren(...part.childNodes);
  }
  if (focused) document.getElementById(focused)?.focus();
}

function showReport() {
  const section = document.getElementById("report");
  const frame = document.createElement("iframe");
  frame.title = "Report";
  frame.src = `/studies/${study}/report.html`;
  section.append(frame);
  section.hidden = false;
}

async function follow() {
  while (!loggedOut) {
    const pause = facts().ended === "true" ? ENDED_MILLISECONDS : LOOK_MILLISECONDS;
    await new Promise((resume) => setTimeout(resume, pause));
    if (!document.hidden) await look();
  }
}

async function pass(verb) {
  let answer;
  if (verb === "delete") {
    const mlflow = document.getElementById("delete-mlflow").checked;
    answer = await ask("DELETE", `/studies/${study}?mlflow=${mlflow}`);
  } else if (verb === "clone") {
    answer = await ask("POST", `/studies/${study}/clone`, { name: document.getElementById("clone-name").value });
  } else {
    answer = await ask("POST", `/studies/${study}/${verb}`);
  }
  trouble.dataset.of = answer.ok ? "" : "verb";
  tell(trouble, answer.ok ? "" : answer.detail);
  if (answer.ok && verb === "delete") location.assign("/");
  else if (answer.ok && verb === "clone") location.assign(answer.data.links.page);
  else await look();
}

head.addEventListener("click", (event) => {
  const verb = event.target.closest("button[data-verb]")?.dataset.verb;
  const dialog = document.getElementById(`ask-${verb}`);
  if (dialog) dialog.showModal();
  else if (verb) pass(verb);
});
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("submit", (event) => {
    if (event.submitter.value === "yes") pass(dialog.id.slice("ask-".length));
  });
}
for (const id of ["workload", "series"]) {
  document.getElementById(id).addEventListener("change", () => drawCurves(study));
}
let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => drawCurves(study), 200);
});
drawCurves(study);
follow();
