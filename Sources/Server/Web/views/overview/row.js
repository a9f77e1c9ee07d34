// A row of the table of anomalies.

import { html } from "../../parts/html.js";
import { Time } from "../../parts/elements.js";
import { Severity } from "../../parts/icons.js";
import { to } from "../../data/address.js";
import { factor, plain, quantity } from "../../text/numbers.js";
import { inRow, unitsOf } from "../../text/reason.js";
import { clock, dayClock, zoneName } from "../../text/times.js";

export const columns = [
  { name: "time", text: () => `Time, ${zoneName()}`, sort: "time", style: "c-time" },
  { name: "severity", text: () => "Severity", sort: "severity", style: "c-severity" },
  { name: "detector", text: () => "Detector", sort: "detector", style: "c-detector" },
  { name: "key", text: () => "Key", sort: "key", style: "c-key right" },
  { name: "score", text: () => "Score", sort: "score", style: "c-score right" },
  { name: "reason", text: () => "Reason", style: "c-reason" },
  { name: "expected", text: () => "Expected", style: "c-expected right" },
  { name: "actual", text: () => "Actual", style: "c-actual right" },
  { name: "ratio", text: () => "Actual by expected", style: "c-ratio" },
];

/** The bar is logarithmic and full at a thousand times. */
const length = (ratio) => Math.max(0, Math.min(1, Math.log10(Math.max(ratio, 1)) / 3));

export function Row({ row, isSelected, described, range, onSelect, onOpen }) {
  const [head, rest] = inRow(row.reason, unitsOf(described));
  const { measure } = row;
  const ratio = measure && measure.expected > 0 ? measure.actual / measure.expected : null;
  // A window of less than two days needs no date in each row.
  const show = range && range.length <= 86_400_000 ? clock : dayClock;
  return html`
    <tr data-id=${row.id}
      class=${`${isSelected ? "selected" : ""} ${row.feedback ? `is-${row.feedback.verdict}` : ""}`}
      aria-current=${isSelected ? "true" : undefined}
      onClick=${(event) => { if (!event.target.closest("a")) onSelect(); }} onDblClick=${onOpen}>
      <td class="c-time">
        <a href=${to("anomalies", row.id)}
          onClick=${(event) => { event.preventDefault(); event.stopPropagation(); onOpen(); }}>
          <${Time} at=${row.event_time} show=${show} />
        </a>
      </td>
      <td class="c-severity"><${Severity} of=${row.severity} /><span class="word">${row.severity}</span></td>
      <td class="c-detector cut">${row.detector}</td>
      <td class="c-key right"><span class="of-entity">${described?.entity.one} </span>${row.key}</td>
      <td class="c-score right">${row.score.toFixed(2)}</td>
      <td class="c-reason cut" title=${row.reason}>
        ${row.feedback && html`<span class="tag">${row.feedback.verdict.replace("_", " ")}</span> `}
        ${head}
        ${rest && html`<span class="faint">; ${rest}</span>`}
      </td>
      <td class="c-expected right quiet">${measure ? value(measure.expected, measure.unit) : ""}</td>
      <td class="c-actual right">${measure ? value(measure.actual, measure.unit) : ""}</td>
      <td class="c-ratio">
        ${ratio !== null && html`
          <span class="ratio">
            <svg viewBox="0 0 56 8" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width="56" height="8" rx="1" />
              <rect class="bars severity-${row.severity}" width=${Math.max(1, length(ratio) * 56)} height="8" rx="1" />
            </svg>
            <span>${factor(ratio)}×</span>
          </span>
        `}
      </td>
    </tr>
  `;
}

const value = (number, unit) => (number === null || number === undefined ? "" : unit ? quantity(number, unit) : plain(number));
