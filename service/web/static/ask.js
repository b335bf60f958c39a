// Requests to the API, error messages, and creation of elements.

export async function ask(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    return { ok: false, status: 0, data: null, detail: "The service does not answer; is it running?", faults: [] };
  }
  const text = await answer.text();
  const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
  const data = isJson && text ? JSON.parse(text) : text;
  const detail = answer.ok ? "" : (data.detail ?? `The service answered ${answer.status}.`);
  return { ok: answer.ok, status: answer.status, data, detail, faults: answer.ok ? [] : (data.faults ?? []) };
}

export function tell(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

// make("p", {class: "help"}, "text", child ...)
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
