// Beside the charts: the proof that it is scored the same again, and the event as it came.

import { html } from "../../parts/html.js";
import { Copy } from "../../parts/elements.js";
import { Light, Tick } from "../../parts/icons.js";
import { to } from "../../data/address.js";
import { count } from "../../text/numbers.js";

export function Proof({ anomaly, resource, described }) {
  const { position } = anomaly;
  const data = resource.isCurrent ? resource.data : null;
  const same = data && data.score === data.stored_score;
  const rows = [
    ["stored score", String(anomaly.score)],
    ...(data ? [["scored again", String(data.score)]] : []),
    ["model", anomaly.model ? html`<a href=${to("models", anomaly.detector)}>${anomaly.model}</a>` : "none: a rule"],
    ["configuration", anomaly.configuration ?? described?.configuration ?? "–"],
    ["position", `${position.source}/${position.partition}, record ${count(position.row)}`],
  ];
  return html`
    <section class="panel proof" aria-label="Model and proof">
      <div class="panel-head"><h2>${anomaly.model ? "Model and proof" : "Where it is from"}</h2></div>
      <div class="panel-body">
        ${anomaly.model && (resource.error
          ? html`
            <p class="verdict-line">
              <${Light} state="warning" /> It cannot be scored again: ${resource.error.message}
            </p>
          `
          : !data
          ? html`<p class="verdict-line quiet">Scoring it again…</p>`
          : html`
            <p class="verdict-line">
              <${same ? Tick : Light} state="warning" class="tick" />
                ${same
                  ? "Scored again just now: the same to the last bit."
                  : "Scored again, it differs: another processor or other versions of libraries."}
            </p>
          `)}
        <dl class="pairs">
          ${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd class="mono">${value}</dd></div>`)}
        </dl>
      </div>
    </section>
  `;
}

export function EventPanel({ anomaly, resource, described }) {
  const explained = resource.isCurrent ? resource.data : null;
  const parts = explained ? explained.fields : anomaly.explanation.contributions ?? [];
  const marked = new Set(parts.map((part) => part.name ?? part.feature));
  const rests = anomaly.model && anomaly.measure?.unit ? "expectation" : "finding";
  const names = described ? described.fields.map(({ name }) => name).filter((name) => name in anomaly.event) : [];
  const all = [...names, ...Object.keys(anomaly.event).filter((name) => !names.includes(name))];
  const fields = [...all.filter((name) => marked.has(name)), ...all.filter((name) => !marked.has(name))];
  return html`
    <section class="panel event" aria-label="Event">
      <div class="panel-head">
        <h2>Event</h2>
        <span class="note">
          ${marked.size > 0 ? `a dot marks what the ${rests} rests on` : ""}
        </span>
        <${Copy} style="link" text=${JSON.stringify(anomaly.event, null, 2)}>Copy JSON<//>
      </div>
      <div class="panel-body">
        <dl class="pairs">
          ${fields.map((name) => html`
            <div key=${name} class=${marked.has(name) ? "marked" : ""}>
              <dt class="cut">${name}</dt>
              <dd class="mono cut" title=${String(anomaly.event[name])}>
                ${anomaly.event[name] === null
                  ? html`<span class="faint">null</span>`
                  : typeof anomaly.event[name] === "object" ? JSON.stringify(anomaly.event[name]) : String(anomaly.event[name])}
              </dd>
            </div>
          `)}
        </dl>
      </div>
    </section>
  `;
}
