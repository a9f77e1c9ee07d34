// How the use case stands: what the server says in a sentence and one of context, and anomalies by severity.

import { html } from "../../parts/html.js";
import { Light, Severity } from "../../parts/icons.js";
import { count, signed } from "../../text/numbers.js";

const order = ["critical", "high", "medium", "low", "info"];

export function Verdict({ headline, severities, late }) {
  if (!headline || !severities) {
    return html`
      <section class="verdict ${late ? "late" : ""}" aria-busy="true">
        <div class="grow"><div class="block w50 h28"></div><div class="block w30 h16"></div></div>
      </section>
    `;
  }
  const counts = order.map((name) => severities.series.find((series) => series.name === name))
    .filter((series) => series && (series.total > 0 || series.previous_total > 0));
  return html`
    <section class="verdict" aria-label="Verdict">
      ${headline.state === "ok" ? html`<${Light} state="ok" />` : html`<${Severity} of=${headline.state} large />`}
      <div class="grow">
        <h1 tabindex="-1">${headline.title}</h1>
        ${headline.context && html`<p class="context">${headline.context}</p>`}
      </div>
      <ul class="severities" aria-label="Anomalies by severity">
        ${counts.map((series) => html`
          <li key=${series.name}>
            <${Severity} of=${series.name} />
            <div>
              <div class="number">${count(series.total)}</div>
              <div class="what">
                ${series.name}
                ${series.previous_total !== null && `, ${signed(series.total - series.previous_total)}`}
              </div>
            </div>
          </li>
        `)}
      </ul>
    </section>
  `;
}
