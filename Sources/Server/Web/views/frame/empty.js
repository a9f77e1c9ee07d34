// A use case that runs and has not seen an event yet: what to do, and what stays silent until when.

import { html } from "../../parts/html.js";
import { Copy } from "../../parts/elements.js";
import { listed } from "../../text/numbers.js";

export function Empty({ status, described }) {
  const name = described?.name ?? "";
  const command = `pulse simulate ${name} --events 100000 |\n  pulse run --use-case ${name} --source - --data data --serve`;
  const learned = (described?.detectors ?? []).filter((one) => one.learned).map((one) => one.name);
  const silent = learned.length === 1 ? "is silent until it has" : "are silent until they have";
  return html`
    <section class="empty">
      <h1>Waiting for the first event.</h1>
      <p class="quiet">
        ${name} is checked
        ${status.source ? ` and listening on ${status.source}` : ""}
        . Send something:
      </p>
      <pre class="code">${command}</pre>
      <p class="quiet">
        Rules and windows answer from the first event on.
        ${learned.length > 0 && ` ${listed(learned)} ${silent} learned from ${described.training?.least_hours ?? "some"} hours of events.`}
      </p>
      <div class="buttons">
        <${Copy} style="button primary" text=${command}>Copy command<//>
        <a class="button" href="/docs">Send one event…</a>
      </div>
    </section>
  `;
}
