// Why records could not be read, over the event time that was reached before them, all on one scale.

import { html, useMemo } from "../../parts/html.js";
import { useWidth } from "../../parts/elements.js";
import { barsPath } from "../../charts/paths.js";
import { count } from "../../text/numbers.js";
import { milliseconds, round, ticks } from "../../text/times.js";

const rowHeight = 24;

const meanings = {
  malformed: "not JSON", invalid_utf8: "not UTF-8", too_large: "larger than a record may be", too_deep: "nested too deep",
  not_an_object: "no object", duplicate_key: "a key occurs twice", unknown_field: "a field that is not known",
  wrong_column_count: "other columns than the head", missing: "a required field is missing", wrong_type: "another type than the field has",
  out_of_range: "outside of min and max", too_long: "longer than max_length", not_allowed: "none of the allowed values",
  pattern_mismatch: "does not match its pattern", invalid_timestamp: "not a time", failed_check: "a check of the use case failed",
};
export const meaning = (series) => meanings[series.name] ?? series.name.replaceAll("_", " ");

export function Reasons({ data, late, chosen, onChoose }) {
  const [box, width] = useWidth();
  const rows = data?.series ?? [];
  const drawn = useMemo(() => {
    if (!data || !width) return null;
    const [from, to] = [milliseconds(data.from), milliseconds(data.to)];
    const steps = Math.max(1, Math.ceil((to - from) / (data.step * 1000)));
    const stepWidth = width / steps;
    const largest = Math.max(1, ...rows.flatMap(({ values }) => values));
    return html`
      <svg width=${width} height=${rows.length * rowHeight + 24} aria-hidden="true">
        ${rows.map((series, row) => {
          const base = row * rowHeight + rowHeight - 4.5;
          return html`
            <g key=${series.name}>
              <path class=${series.name === chosen ? "reason chosen" : "reason"}
                d=${barsPath(series.values, stepWidth, base, 17, largest)} />
              <path class="base" d="M0 ${base + 0.5}H${width}" />
            </g>
          `;
        })}
        <g transform="translate(0 ${rows.length * rowHeight})">
          ${ticks(from, to, Math.max(2, Math.floor(width / (width > 600 ? 90 : 48)))).map(({ time, isDay, label }) => {
            const x = ((time - from) / (to - from)) * width;
            return html`
              <g key=${time}>
                <path class="base" d="M${x} -4v4" />
                <text class=${isDay ? "day" : ""} x=${x} y="14"
                  text-anchor=${x < 20 ? "start" : x > width - 20 ? "end" : "middle"}>${label}</text>
              </g>
            `;
          })}
        </g>
      </svg>
    `;
  }, [data, width, chosen]);
  return html`
    <section class="panel reasons ${late ? "late" : ""}" aria-label="Reasons">
      <div class="panel-head">
        <h2>Reasons</h2>
        <span class="note">
          ${data ? `records in ${round(data.step * 1000)}; one scale, by the event time reached` : ""}
        </span>
      </div>
      <div class="panel-body reason-row">
        <ul class="labels">
          ${rows.map((series) => html`
            <li key=${series.name}>
              <button class="lane-name" aria-pressed=${series.name === chosen} onClick=${() => onChoose(series.name)}>
                <code>${series.stage}/${series.name}</code>
                <span class="meaning cut">${meaning(series)}</span>
              </button>
            </li>
          `)}
        </ul>
        <div class="plot" ref=${box}>${drawn ?? html`<div class="block fill"></div>`}</div>
        <ul class="figures-column">
          ${rows.map((series) => html`<li key=${series.name}>${count(series.total)}</li>`)}
        </ul>
      </div>
    </section>
  `;
}
