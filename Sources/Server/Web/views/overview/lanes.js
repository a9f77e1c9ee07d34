// A lane for each detector, on a scale of its own, in the colour of its severity, with the window before as a line.

import { html, useMemo } from "../../parts/html.js";
import { barsPath, stepsPath } from "../../charts/paths.js";
import { Severity } from "../../parts/icons.js";
import { Totals } from "./totals.js";
import { before, round } from "../../text/times.js";

const laneHeight = 32;
const barHeight = 22;

export function Lanes({ shape, data, late, index, problem, onProblem }) {
  const { range, width, stepWidth } = shape;
  const drawn = useMemo(() => {
    if (!data || !width) return null;
    return html`
      <svg width=${width} height=${data.series.length * laneHeight} aria-hidden="true">
        ${data.series.map((series, row) => {
          const base = row * laneHeight + laneHeight - 3.5;
          const largest = Math.max(1, ...series.values, ...(series.previous ?? []));
          return html`
            <g key=${series.name}>
              <path class="bars severity-${series.severity}"
                d=${barsPath(series.values, stepWidth, base, barHeight, largest)} />
              ${series.previous && html`
                <path class="before" d=${stepsPath(series.previous, stepWidth, base, barHeight, largest)} />
              `}
              <path class="base" d="M0 ${base + 0.5}H${width}" />
            </g>
          `;
        })}
      </svg>
    `;
  }, [data, shape]);
  return html`
    <div class="band ${late && !data ? "late" : ""}">
      <div class="band-head">
        <h2>Anomalies</h2>
        <span class="note">
          by detector
          ${range ? `, in ${round(range.step)}` : ""}
          ; each lane has its own scale
          ${data?.series[0]?.previous ? `; the line is ${before(range.length)}` : ""}
        </span>
        <span class="column-name">${index === null && data?.series[0]?.previous ? "change" : ""}</span>
      </div>
      <div class="plot-row lanes">
        <ul class="labels">
          ${(data?.series ?? []).map((series) => html`
            <li key=${series.name}>
              <button class="lane-name" aria-pressed=${series.name === problem} onClick=${() => onProblem(series.name)}
                title="What to do about it">
                <${Severity} of=${series.severity} label />
                <span class="cut">${series.name}</span>
              </button>
            </li>
          `)}
        </ul>
        <div class="plot">${drawn ?? html`<div class="block fill lanes-block"></div>`}</div>
        <${Totals} lines=${data?.series ?? []} index=${index} />
      </div>
    </div>
  `;
}
