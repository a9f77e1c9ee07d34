// Anomalies of each entity over time: a count a cell. What is worse than before stands first, not what is large.

import { html, useMemo, useState } from "../../parts/html.js";
import { cellsPath } from "../../charts/paths.js";
import { Diamond } from "../../parts/icons.js";
import { to } from "../../data/address.js";
import { Totals } from "./totals.js";
import { capital, count } from "../../text/numbers.js";
import { before, round } from "../../text/times.js";

const rowHeight = 20;
const bounds = [0, 1, 2, 3, 5, 7];

/** Where the six shades begin: counts themselves where they are small, else evenly larger. */
function levels(series) {
  const largest = Math.max(0, ...series.flatMap(({ values }) => values));
  const scale = Math.max(1, Math.round(largest / 12));
  return bounds.map((bound, place) => (place === 0 ? 0 : (bound - 1) * scale + 1));
}

export function Heat({ shape, data, late, described, index, criticalOnly, wall }) {
  const [all, setAll] = useState(false);
  // Where there are no classes there is room for more.
  const few = described && !described.classification ? 16 : 8;
  const { range, width, stepWidth } = shape;
  const { one = "entity", many = "entities" } = described?.entity ?? {};
  const series = useMemo(() => (data?.series ?? []).filter((entity) => !criticalOnly || entity.critical), [data, criticalOnly]);
  const rows = all ? series : series.slice(0, wall ? 12 : few);
  const against = range && data?.series[0]?.previous_total !== null ? `against ${before(range.length)} ` : "";
  const from = useMemo(() => levels(series), [series]);
  const drawn = useMemo(() => {
    if (!data || !width) return null;
    const level = (value) => (value === null ? -1 : from.findLastIndex((bound) => value >= bound));
    const cells = (values, place, row) => cellsPath(values, (value) => level(value) === place, stepWidth, row * rowHeight, rowHeight - 1);
    return html`
      <svg width=${width} height=${rows.length * rowHeight} aria-hidden="true">
        ${from.map((_, place) => html`
          <path key=${place} class="heat-${place}"
            d=${rows.map((entity, row) => cells(entity.values, place, row)).join("")} />
        `)}
      </svg>
    `;
  }, [rows.length, series, from, shape]);
  return html`
    <div class="band ${late && !data ? "late" : ""}">
      <div class="band-head">
        <h2>${capital(many)}</h2>
        <span class="note">
          ${range ? `anomalies in ${round(range.step)}, worst ${against}first` : ""}
        </span>
        <ul class="legend" aria-label="Shades by count">
          ${from.map((bound, place) => html`
            <li key=${place}><span class="swatch heat-${place}"></span>${bound}${place === 5 ? "+" : ""}</li>
          `)}
        </ul>
        ${series.length > few && !wall && html`
          <button class="link" aria-expanded=${all} onClick=${() => setAll(!all)}>
            ${all ? `Show ${few}` : `Show all ${count(series.length)}`}
          </button>
        `}
      </div>
      ${data && rows.length === 0
        ? html`
          <p class="note nothing">
            ${criticalOnly
              ? `No ${one} is critical. ${count(data.series.length)} are hidden by "Critical only".`
              : `No ${one} was heard of.`}
          </p>
        `
        : html`
          <div class="plot-row heat">
            <ul class="labels">
              ${rows.map((entity) => html`
                <li key=${entity.name}>
                  <a href=${to("entities", entity.name, { entities: undefined })}
                    class="entity-name ${entity.critical ? "critical" : ""}">
                    <span class="place">
                      ${entity.critical && html`<${Diamond} /><span class="unseen">critical: </span>`}
                    </span>
                    <span class="cut">${one} ${entity.name}</span>
                  </a>
                </li>
              `)}
            </ul>
            <div class="plot">${drawn ?? html`<div class="block fill heat-block"></div>`}</div>
            <${Totals} lines=${rows} index=${index} />
          </div>
        `}
    </div>
  `;
}
