// One learned detector: its gate, what its trees split on, drift, and what is on record.

import { html, useState } from "../../parts/html.js";
import { Time } from "../../parts/elements.js";
import { Cross, Tick } from "../../parts/icons.js";
import { count, percent, plain, quantity, NARROW } from "../../text/numbers.js";
import { day, dayClock, dayMinute } from "../../text/times.js";

/** What the checks of the gate are about, which way they hold, and in which unit. */
const checks = {
  coverage: ["hours of events it learned from", "least", "h"],
  baseline_loss: ["pinball loss, against each entity's own quantile", "most", null],
  champion_loss: ["the same, against the champion's", "most", null],
  planted_faults: ["area under the curve on planted faults", "least", null],
  variation: ["scores differ", "least", null],
  alarms: ["alarms on held-out events", "most", null],
};
const few = 6;

export function Detector({ model, useCase, onAction }) {
  const champion = model.versions.find((one) => one.version === model.champion);
  const candidate = model.versions.find((one) => one.version === model.candidate);
  const shown = candidate ?? champion;
  const thresholds = [["threshold", champion], [champion ? "the candidate's" : "the candidate's threshold", candidate]]
    .map(([text, one]) => [text, one?.manifest?.metrics.threshold])
    .filter(([, value]) => value !== undefined)
    .map(([text, value]) => `${text} ${plain(value, 4)}`);
  return html`
    <section class="panel model" id=${`detector-${model.detector}`} aria-label=${model.detector}>
      <header class="model-head">
        <div class="grow">
          <h3>${model.detector} <span class="quiet type">${model.type}</span></h3>
          <p class="quiet">
            ${[model.summary, thresholds.join(", ")].filter(Boolean).join("; ")}
          </p>
        </div>
        <div class="buttons">
          ${candidate
            ? html`
              <button class="button soft" onClick=${() => onAction({ kind: "promote", models: [model] })}>
                Promote ${candidate.version}
                …
              </button>
            `
            : html`<button class="button" disabled>Promote: no candidate</button>`}
          <button class="button" disabled=${!model.previous}
            onClick=${() => onAction({ kind: "rollback", models: [model] })}>
            ${model.previous ? `Roll back to ${model.previous}…` : "Roll back: none before"}
          </button>
          <button class="button" disabled=${!candidate || !champion}
            onClick=${() => onAction({ kind: "compare", models: [model] })}>Compare</button>
        </div>
      </header>
      <div class="model-body">
        <div class="gate-side">
          ${shown?.error && html`<p role="alert"><strong>${shown.version} cannot score:</strong> ${shown.error}</p>`}
          ${shown?.manifest?.gate
            ? html`<${Gate} shown=${shown} champion=${candidate ? champion : null} />`
            : html`
              <p class="quiet">
                ${shown?.manifest?.imported_from
                  ? `Imported from ${shown.manifest.imported_from}: no gate judged it.`
                  : "No version has been judged."}
              </p>
            `}
          ${shown && Object.keys(shown.splits ?? {}).length > 0 && html`
            <${Splits} shown=${shown} champion=${candidate ? champion : null} />
          `}
          ${shown?.manifest && html`
            <h4 class="strong">Learned from</h4>
            <p class="quiet">${learned(shown, candidate ? champion : null)}</p>
          `}
        </div>
        <div class="drift-side">
          <${Drift} drift=${model.drift} />
          <h4 class="strong">On record</h4>
          <table class="record-list">
            <tbody>
              ${model.record.slice(0, 8).map((line) => html`
                <tr key=${line.time + line.text}>
                  <td><${Time} at=${line.time} show=${dayClock} /></td>
                  <td>${line.text}</td>
                </tr>
              `)}
              ${model.scores_from.slice(-3).map((start) => html`
                <tr key=${start.record}>
                  <td>${start.time ? html`<${Time} at=${start.time} show=${dayClock} />` : ""}</td>
                  <td>
                    ${start.version} scores from record ${count(start.record)}${start.time && html`
                      <span class="faint">, event time</span>
                    `}
                  </td>
                </tr>
              `)}
            </tbody>
          </table>
        </div>
      </div>
    </section>
  `;
}

function learned({ manifest }, champion) {
  const { rows, metrics } = manifest;
  const others = champion?.manifest?.rows;
  const before = others ? `; the champion ${count(others.train)} and ${count(others.calibration)}` : "";
  const fitted = metrics.fit_seconds === undefined ? "" : ` Fitted in ${quantity(metrics.fit_seconds, "s")}.`;
  return `${count(rows.train)} events, calibrated with ${count(rows.calibration)}${before}.${fitted}`;
}

function digits(value, unit) {
  if (unit === "h") return `${value.toFixed(1)}${NARROW}h`;
  if (Math.abs(value) >= 10) return plain(value, 3);
  return value !== 0 && Math.abs(value) < 0.001 ? value.toFixed(6) : value.toFixed(4).replace(/0$/, "");
}

function Gate({ shown, champion }) {
  const { gate, rows, times } = shown.manifest;
  const own = Object.fromEntries((champion?.manifest?.gate?.checks ?? []).map((check) => [check.name, check.found]));
  return html`
    <div class="gate-head">
      <h2>Gate</h2>
      <span class="note">
        ${champion ? "the candidate" : "the champion"} on ${count(rows.gate)} events
        ${times ? ` of ${dayMinute(times.gate)} to ${dayMinute(times.until)}` : ""}
        , which it has not learned from
      </span>
    </div>
    <table class="gate">
      <thead>
        <tr>
          <th></th>
          <th>Check</th>
          <th class="right">${champion ? "Candidate" : "Found"}</th>
          <th class="right">Bound</th>
          ${champion && html`<th class="right of-champion">Champion</th>`}
          <th class="scale-column">Passes where tinted</th>
        </tr>
      </thead>
      <tbody>
        ${gate.checks.map((check) => {
          const [text, way, unit] = checks[check.name] ?? ["", /at most|below/.test(check.message) ? "most" : "least", null];
          const of = champion ? own[check.name] ?? null : null;
          return html`
            <tr key=${check.name} title=${check.message}>
              <td>
                ${check.passed
                  ? html`<${Tick} class="passed" /><span class="unseen">passed</span>`
                  : html`<${Cross} class="failed" /><span class="unseen">failed</span>`}
              </td>
              <td class="check-name"><code>${check.name}</code> <span class="quiet">${text}</span></td>
              <td class="right"><strong>${digits(check.found, unit)}</strong></td>
              <td class="right quiet">${way === "least" ? "≥" : "≤"} ${digits(check.bound, unit)}</td>
              ${champion && html`<td class="right quiet of-champion">${of === null ? "–" : digits(of, unit)}</td>`}
              <td><${Passes} found=${check.found} bound=${check.bound} of=${of} way=${way} /></td>
            </tr>
          `;
        })}
      </tbody>
    </table>
    ${champion && html`
      <p class="note">Champion: from its own gate.</p>
    `}
  `;
}

/** Where the figure lies, beside the bound and the champion's; tinted where it would pass. */
function Passes({ found, bound, of, way }) {
  const values = [found, bound, ...(of === null ? [] : [of])];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || Math.abs(most) || 1) * 0.3;
  const x = (value) => 4 + ((value - least + room) / (most - least + 2 * room)) * 112;
  return html`
    <svg class="passes" viewBox="0 0 120 16" aria-hidden="true">
      <rect class="track" x="0" y="6" width="120" height="4" rx="2" />
      ${way === "least"
        ? html`<rect class="tinted" x=${x(bound)} y="6" width=${120 - x(bound)} height="4" rx="2" />`
        : html`<rect class="tinted" x="0" y="6" width=${x(bound)} height="4" rx="2" />`}
      <path class="bound" d="M${x(bound)} 2v12" />
      ${of !== null && html`<circle class="open" cx=${x(of)} cy="8" r="3.5" />`}
      <circle class="full" cx=${x(found)} cy="8" r="4" />
    </svg>
  `;
}

function Splits({ shown, champion }) {
  const [all, setAll] = useState(false);
  const list = Object.entries(shown.splits).sort((a, b) => b[1] - a[1]);
  const largest = Math.max(0.001, ...list.map(([, share]) => share), ...Object.values(champion?.splits ?? {}));
  const visible = all ? list : list.slice(0, few);
  return html`
    <h4 class="strong">
      What the trees split on <span class="note">share of splits${champion ? ", champion → candidate" : ""}</span>
    </h4>
    <ul class="splits">
      ${visible.map(([name, share]) => {
        const before = champion?.splits?.[name];
        return html`
          <li key=${name}>
            <code class="cut">${name}</code>
            <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" y="4.5" width="100" height="3" />
              <rect class="share" y="4" width=${(share / largest) * 92} height="4" />
              ${before !== undefined && html`<path class="bound" d="M${(before / largest) * 92} 0v12" />`}
            </svg>
            <span class="right nowrap">
              ${before !== undefined && html`<span class="quiet">${(before * 100).toFixed(1)} → </span>`}
              <strong>${percent(share, 1)}</strong>
            </span>
          </li>
        `;
      })}
    </ul>
    ${list.length > few && html`
      <button class="link" aria-expanded=${all} onClick=${() => setAll(!all)}>
        ${all ? `Show ${few}` : `${list.length - few} more`}
      </button>
    `}
  `;
}

function Drift({ drift }) {
  const [all, setAll] = useState(false);
  if (!drift?.days.length) return html`
    <div class="gate-head"><h2>Drift</h2></div>
    <p class="quiet">No day has had 2,000 events scored by the champion yet.</p>
  `;
  const worst = (item) => Math.max(...item.index);
  const list = [...drift.items].sort((a, b) => worst(b) - worst(a));
  const matter = list.filter((item) => worst(item) >= 0.0005 || item.is_score);
  const first = (matter.length >= 6 ? matter : list).filter((item) => !item.is_score).slice(0, 6);
  // The score is always among them: it stands for all inputs.
  const visible = all ? list : [...first, ...list.filter((item) => item.is_score)];
  const top = Math.max(drift.notable * 1.2, ...list.map(worst));
  const days = drift.days.slice(-3);
  const rest = list.length - visible.length;
  const restWorst = Math.max(0, ...list.filter((item) => !visible.includes(item)).map(worst));
  return html`
    <div class="gate-head">
      <h2>Drift of the champion</h2>
      <span class="note">population stability index by input</span>
    </div>
    <table class="drift">
      <thead>
        <tr>
          <th>Input</th>
          <th class="drift-bar"><span>Worst day</span><span class="bound-name">${drift.notable}</span></th>
          ${days.map((one) => html`<th class="right" key=${one}>${day(`${one}T12:00:00Z`)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${visible.map((item) => html`
          <tr key=${item.name} class=${worst(item) >= drift.notable ? "notable" : ""}>
            <td class="cut"><code>${item.name}</code></td>
            <td>
              <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
                <rect class="track" y="4.5" width="100" height="3" />
                <rect class="found" y="3.5" width=${Math.max(0.6, (worst(item) / top) * 100)} height="5" />
                <path class="limit" d="M${(drift.notable / top) * 100} 0v12" />
              </svg>
            </td>
            ${item.index.slice(-3).map((value, place) => html`
              <td class="right ${value < 0.0005 ? "faint" : value < 0.01 ? "quiet" : ""}" key=${place}>
                ${value < 0.0005 ? "0" : value.toFixed(3)}
              </td>
            `)}
          </tr>
        `)}
      </tbody>
    </table>
    ${(rest > 0 || all) && html`
      <p class="note">
        ${rest > 0 && `${rest} more, each ${restWorst < 0.001 ? "below 0.001" : `at most ${restWorst.toFixed(3)}`} on every day. `}
        <button class="link" onClick=${() => setAll(!all)}>${all ? "Show fewer" : "Show all"}</button>
      </p>
    `}
  `;
}
