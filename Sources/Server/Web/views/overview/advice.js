// What to do about the problem that is looked at: how often, what its events have in common, and which steps are next.

import { html } from "../../parts/html.js";
import { Failure } from "../../parts/elements.js";
import { Severity } from "../../parts/icons.js";
import { change } from "../../data/address.js";
import { path, withQuery } from "../../data/api.js";
import { rangeParams } from "../../data/range.js";
import { useResource } from "../../data/resource.js";
import { Markdown } from "../../text/markdown.js";
import { count, percent } from "../../text/numbers.js";

export function Advice({ useCase, range, entities, problem, dominant, isKnown, described }) {
  const params = range && problem ? { ...rangeParams(range), step: undefined, entities } : null;
  const advice = useResource(params && withQuery(path(useCase, "recommendations", problem), params));
  const data = advice.data;
  const isFound = params && data?.kind === "detector";
  const common = useResource(isFound ? withQuery(path(useCase, "problems", problem, "common"), params) : null);
  const [intro, steps] = data ? cut(data.markdown) : ["", ""];
  return html`
    <section class="panel advice" aria-label="Advice">
      <div class="panel-head">
        <h2 class="grow">What to do</h2>
        <span class="note fixed">
          ${problem && problem === dominant ? "dominant problem" : problem
            ? html`<button class="link" onClick=${() => change({ problem: undefined })}>Dominant problem</button>`
            : ""}
        </span>
      </div>
      ${advice.error
        ? html`<${Failure} of="Advice" error=${advice.error} onRetry=${advice.reload} />`
        : !problem && isKnown
        ? html`<div class="advice-body"><p class="quiet">No anomaly, nothing to do.</p></div>`
        : !data
        ? html`
          <div class="advice-body ${advice.late ? "late" : ""}">
            <div class="block w60 h24"></div>
            <div class="block w100 h60"></div>
            <div class="block w100 h120"></div>
          </div>
        `
        : html`
          <div class="advice-body">
            <h3>${data.severity && html`<${Severity} of=${data.severity} label /> `}${data.problem}</h3>
            <div class="intro"><${Markdown} text=${intro} /></div>
            ${isFound && common.data?.items.length > 0 && html`
              <${Common} data=${common.data} severity=${data.severity} many=${described?.event.many ?? "events"} />
            `}
            <${Markdown} text=${steps} />
            <div class="advice-foot">
              <button class="link"
                onClick=${() => showAnomalies(data.problem)}>
                ${data.kind === "detector" ? `Show the ${count(data.total)} anomalies` : ""}
              </button>
              <span class="faint">${data.source}</span>
            </div>
          </div>
        `}
    </section>
  `;
}

function showAnomalies(detector) {
  change({ detector, severity: undefined });
  document.getElementById("anomalies")?.scrollIntoView({ block: "start" });
}

/** What is said before the first heading stands apart. */
function cut(markdown) {
  const at = markdown.search(/^#/m);
  return at < 0 ? [markdown, ""] : [markdown.slice(0, at), markdown.slice(at)];
}

/** Shares among the anomalies, beside those among all events. */
function Common({ data, severity, many }) {
  return html`
    <h4>In common, beside ${count(data.all)} ${many}</h4>
    <ul class="common">
      ${data.items.map((item) => html`
        <li key=${item.field}>
          <span class="cut" title=${item.label}>${item.label}</span>
          <svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">
            <rect class="bars severity-${severity}" y="2" height="7" width=${item.share * 100} />
            <rect class="all" y="10" height="4" width=${item.share_of_all * 100} />
          </svg>
          <span class="right nowrap">
            ${percent(item.share, 0)} <span class="faint">: ${percent(item.share_of_all, item.share_of_all < 0.1 ? 1 : 0)}</span>
          </span>
        </li>
      `)}
    </ul>
  `;
}
