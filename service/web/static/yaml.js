// Formats a study as readable YAML.

const PLAIN = /^[A-Za-z][A-Za-z0-9 _.()+-]*$/;
const WORDS = /^(true|false|null|yes|no|on|off)$/i;

export function yaml(study) {
  const lines = [`name: ${scalar(study.name ?? "")}`];
  for (const part of ["workloads", "arms"]) {
    const items = study[part] ?? [];
    lines.push(items.length ? `${part}:` : `${part}: []`);
    for (const item of items) {
      Object.entries(item).forEach(([key, value], i) => {
        lines.push(`${i === 0 ? "  - " : "    "}${key}: ${flow(value)}`);
      });
    }
  }
  const protocol = Object.entries(study.protocol ?? {});
  if (protocol.length) lines.push("protocol:", ...protocol.map(([key, value]) => `  ${key}: ${flow(value)}`));
  return lines.join("\n") + "\n";
}

function flow(value) {
  if (typeof value !== "object" || value === null) return scalar(value);
  return `{${Object.entries(value).map(([key, each]) => `${key}: ${flow(each)}`).join(", ")}}`;
}

function scalar(value) {
  if (typeof value !== "string") return JSON.stringify(value);
  return PLAIN.test(value) && !WORDS.test(value) && !value.endsWith(" ") ? value : JSON.stringify(value);
}
