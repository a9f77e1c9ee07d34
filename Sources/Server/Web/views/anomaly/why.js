// Why it is an anomaly: the score taken apart. Contributions to a logarithm read as factors, with the logarithm beside.

import { html, useState } from "../../parts/html.js";
import { Failure } from "../../parts/elements.js";
import { MINUS, plain, quantity } from "../../text/numbers.js";
import { inUnits, unitsOf } from "../../text/reason.js";
import { weekday, milliseconds } from "../../text/times.js";

const few = 9;

export function Why({ anomaly, resource, detector, described }) {
  const [all, setAll] = useState(false);
  const units = unitsOf(described);
  if (!anomaly.model) return html`<${Rule} anomaly=${anomaly} detector=${detector} units=${units} />`;
  if (resource.error) return html`
    <section class="panel">
      <${Failure} of="The explanation" error=${resource.error} onRetry=${resource.reload} />
    </section>
  `;
  const data = resource.isCurrent ? resource.data : null;
  const isLog = data?.scale === "log1p";
  const unit = anomaly.measure?.unit;
  const title = isLog ? `Why ${quantity(data.expected, unit)} was expected` : "What sets it apart";
  const note = isLog
    ? `what the model made of what was known before the ${described?.event.one ?? "event"} ran`
    : "what each field adds to the score";
  const parts = data ? [...data.fields].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)) : [];
  const shown = all ? parts : parts.slice(0, few);
  const rest = parts.slice(shown.length);
  const restSum = rest.reduce((sum, part) => sum + part.contribution, 0);
  const sizes = shown.map((part) => part.contribution);
  const [least, most] = [Math.min(0, ...sizes), Math.max(0.001, ...sizes)];
  const scale = (value) => ((value - least) / (most - least)) * 100;
  const asFactor = (value) => (isLog ? `×${Math.exp(value).toFixed(2)}` : "");
  const asLog = (value) => signedNumber(value);
  return html`
    <section class="panel">
      <div class="panel-head"><h2>${data ? title : "Why"}</h2><span class="note">${data ? note : ""}</span></div>
      <div class="panel-body">
        ${!data
          ? html`<div class="chart-box tall ${resource.late ? "late" : ""}"><div class="block fill"></div></div>`
          : html`
            <table class="why">
              <tbody>
                <tr>
                  <th scope="row">
                    starts from <span class="quiet">all ${described?.event.many ?? "events"} learned from</span>
                  </th>
                  <td></td>
                  <td class="right">${isLog ? quantity(Math.expm1(data.base), unit) : ""}</td>
                  <td class="log">${plain(data.base, 4)}</td>
                </tr>
                ${shown.map((part) => html`
                  <tr key=${part.name}>
                    <th scope="row">
                      <span class="cut">
                        ${part.name} <span class="quiet">
                          = ${shownValue(part.name, anomaly.event[part.name], units)}
                        </span>
                      </span>
                    </th>
                    <td>
                      <${Bar} from=${scale(Math.min(0, part.contribution))} to=${scale(Math.max(0, part.contribution))}
                        zero=${scale(0)} down=${part.contribution < 0} />
                    </td>
                    <td class="right">${asFactor(part.contribution)}</td>
                    <td class="log">${asLog(part.contribution)}</td>
                  </tr>
                `)}
                ${rest.length > 0 && html`
                  <tr>
                    <th scope="row">
                      <button class="link" onClick=${() => setAll(true)}>
                        ${rest.length} more field
                        ${rest.length === 1 ? "" : "s"}
                      </button>
                    </th>
                    <td>
                      <${Bar} from=${scale(Math.max(least, Math.min(0, restSum)))}
                        to=${scale(Math.min(most, Math.max(0, restSum)))} zero=${scale(0)} down=${restSum < 0} />
                    </td>
                    <td class="right">${asFactor(restSum)}</td>
                    <td class="log">${asLog(restSum)}</td>
                  </tr>
                `}
                <tr class="sum">
                  <th scope="row">${isLog ? "expected" : "score"}</th>
                  <td></td>
                  <td class="right">${isLog ? quantity(data.expected, unit) : ""}</td>
                  <td class="log">${isLog ? plain(Math.log1p(data.expected), 4) : plain(data.raw_score, 4)}</td>
                </tr>
              </tbody>
            </table>
          `}
      </div>
    </section>
  `;
}

function Bar({ from, to, zero, down }) {
  return html`
    <svg class="contribution" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class=${down ? "down" : "up"} x=${from} width=${Math.max(0.4, to - from)} height="8" />
      <path class="zero" d="M${zero} -6V14" />
    </svg>
  `;
}

function Rule({ anomaly, detector, units }) {
  const clause = anomaly.explanation.clause;
  return html`
    <section class="panel">
      <div class="panel-head">
        <h2>Why</h2>
        <span class="note">a rule found it; ${detector?.description ?? ""}</span>
      </div>
      <div class="panel-body rule">
        <p>${inUnits(anomaly.reason, units)}.</p>
        ${clause && html`<pre class="code">${clause}</pre>`}
        ${anomaly.explanation.contributions.length > 0 && html`
          <table class="why">
            <tbody>
              ${anomaly.explanation.contributions.map((part) => html`
                <tr key=${part.feature}>
                  <th scope="row">${part.feature}</th>
                  <td></td>
                  <td class="right">${shownValue(part.feature, part.value, units)}</td>
                </tr>
              `)}
            </tbody>
          </table>
        `}
      </div>
    </section>
  `;
}

const signedNumber = (value) => (value >= 0 ? "+" : MINUS) + Math.abs(value).toFixed(3);

function shownValue(name, value, units) {
  if (value === null || value === undefined) return "missing";
  if (typeof value === "number") return units[name] ? quantity(value, units[name]) : plain(value, 4);
  // Of a time a model knows the day of the week and the hour, in UTC.
  const isTime = typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) && Number.isFinite(milliseconds(value));
  if (isTime) return `${weekday(value)}, ${new Date(value).getUTCHours()}\u202fh`;
  return String(value);
}
