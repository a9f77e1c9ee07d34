// The anomaly as something to take along: a scenario for the use case's tests, SQL over the store, a command.

import { html } from "../../parts/html.js";
import { Copy, Tabs } from "../../parts/elements.js";
import { quantity } from "../../text/numbers.js";

const isPlain = /^[A-Za-z_][A-Za-z0-9_]*$/;
const words = new Set(["null", "true", "false", "yes", "no", "on", "off", "y", "n"]);

/** A value in YAML. Text that could be read as something else is quoted as in JSON, which YAML understands. */
function yaml(value) {
  if (typeof value === "string") return isPlain.test(value) && !words.has(value.toLowerCase()) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

const shell = (text) => `'${text.replace(/'/g, "'\\''")}'`;
const sql = (text) => `'${text.replace(/'/g, "''")}'`;

/** Fields over lines of a width that is read easily. */
function wrapped(pairs, indent) {
  const lines = [""];
  for (const pair of pairs) {
    if (lines.at(-1) && (lines.at(-1) + pair).length > 76) lines.push("");
    lines[lines.length - 1] += lines.at(-1) ? ` ${pair}` : pair;
  }
  return lines.join(`\n${indent}`);
}

function scenario(anomaly, described) {
  const given = Object.entries(anomaly.event).filter(([, value]) => value !== null);
  const pairs = given.map(([name, value], place) => `${yaml(name)}: ${yaml(value)}${place < given.length - 1 ? "," : ""}`);
  const size = anomaly.measure?.unit ? ` of ${quantity(anomaly.measure.actual, anomaly.measure.unit).replace(/\u202f/g, " ")}` : "";
  const model = anomaly.model ? `\n# Found by model ${anomaly.model}: a scenario of rules alone does not find it.` : "";
  const several = /\w\(/.test(anomaly.explanation.clause ?? "")
    ? "\n# A rule over several events: put those before it in front." : "";
  return `# scenarios/${anomaly.detector}.yaml: pulse test ${described?.name ?? anomaly.use_case}${model}${several}
name: ${yaml(`${anomaly.detector}${size} on ${described?.entity.one ?? "entity"} ${anomaly.key}`)}
given:
  events:
    - {${wrapped(pairs, "       ")}}
expect:
  anomalies:
    - {detector: ${yaml(anomaly.detector)}, event: 0, key: ${sql(anomaly.key)}, severity: ${anomaly.severity}}`;
}

function query(anomaly) {
  const { position } = anomaly;
  return `SELECT datetime(event_time / 1000000, 'unixepoch') AS time, score, severity, reason, explanation, event
FROM anomalies
WHERE use_case = ${sql(anomaly.use_case)} AND source = ${sql(position.source)} AND partition = ${position.partition}
  AND segment = ${position.segment} AND offset = ${position.offset} AND detector = ${sql(anomaly.detector)};`;
}

export function TakeAlong({ anomaly, described, tab, onTab }) {
  const texts = {
    test: () => scenario(anomaly, described),
    sql: () => query(anomaly),
    // Quoted where a shell would take it apart.
    command: () => `pulse explain ${/^[\w.-]+$/.test(anomaly.id) ? anomaly.id : shell(anomaly.id)} --data data`,
  };
  const text = texts[tab]();
  return html`
    <section class="panel">
      <div class="panel-head take">
        <h2>Take it along</h2>
        <${Tabs} label="As" of=${[["test", "Test"], ["sql", "SQL"], ["command", "Command"]]} chosen=${tab}
          onChoose=${onTab} />
        <span class="grow"></span>
        <${Copy} style="button small copy-it" text=${text}>Copy<//>
      </div>
      <div class="panel-body"><pre class="code" tabindex="0">${text}</pre></div>
    </section>
  `;
}
