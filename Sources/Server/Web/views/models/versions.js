// What each version learned from, was calibrated with and judged by, and from where on it scored, over event time.

import { html } from "../../parts/html.js";
import { useWidth } from "../../parts/elements.js";
import { count } from "../../text/numbers.js";
import { exact, milliseconds, ticks } from "../../text/times.js";
import { roleOf } from "./models.js";

const rowHeight = 24;

/** Detectors whose versions are the same in everything that is drawn share their rows. */
function groups(items) {
  const found = new Map();
  for (const model of items) {
    const key = JSON.stringify([model.versions.map(({ version, manifest }) => [version, manifest?.times]), model.champion, model.scores_from]);
    found.set(key, [...(found.get(key) ?? []), model]);
  }
  return [...found.values()];
}

export function Versions({ data }) {
  const [box, width] = useWidth();
  const all = groups(data.items);
  const [from, to] = [milliseconds(data.from), milliseconds(data.to)];
  const x = (time) => ((milliseconds(time) - from) / (to - from)) * width;
  return html`
    <section class="panel versions" aria-label="Versions">
      <div class="panel-head">
        <h2>Versions</h2>
        <span class="note">
          over event time
          ${all.length === 1 && data.items.length > 1 ? `; the same for ${data.items.length === 2 ? "both" : "all"} detectors` : ""}
        </span>
      </div>
      <div class="panel-body">
        <div class="version-row measure"><div></div><div ref=${box}></div></div>
        ${all.map((models) => models[0].versions.filter(({ manifest }) => manifest?.times).map((one) => {
          const { times } = one.manifest;
          const scores = models[0].scores_from.filter((start) => start.version === one.version).at(-1);
          const isScoring = roleOf(models[0], one.version) === "champion" && scores?.time;
          const parts = [
            ["learns", "learns", times.from, times.calibration],
            ["calibrates", "calibrates", times.calibration, times.gate],
            ["judged", "is judged", times.gate, times.until],
          ...(isScoring ? [["scores", `scores, from record ${count(scores.record)} on`, scores.time, data.to]] : [])];
          return html`
            <div class="version-row" key=${one.version}>
              <div class="cut">
                <code>${one.version}</code> <span class="quiet">
                  ${roleOf(models[0], one.version)}
                  ${all.length > 1 ? ` of ${models.map((model) => model.detector).join(", ")}` : ""}
                </span>
              </div>
              <svg width=${width} height=${rowHeight} role="img"
                aria-label=${parts.map(([, text, begin]) => `${text} from ${exact(begin)}`).join(", ")}>
                ${parts.map(([kind, text, begin, end]) => {
                  const [left, right] = [x(begin), x(end)];
                  return html`
                    <g key=${kind}>
                      <title>${`${text}, ${exact(begin)} to ${exact(end)}`}</title>
                      <rect class="stretch ${kind}" x=${left} y="3" width=${Math.max(1, right - left - 1)} height="18"
                        rx="2" />
                      ${right - left > text.length * 6 + 12 && html`
                        <text class=${kind} x=${left + 8} y="16">${text}</text>
                      `}
                    </g>
                  `;
                })}
              </svg>
            </div>
          `;
        }))}
        <div class="version-row">
          <div></div>
          <svg width=${width} height="20" aria-hidden="true">
            ${ticks(from, to, Math.max(2, Math.floor(width / (width > 600 ? 90 : 48)))).map(({ time, isDay, label }) => html`
              <text key=${time} class="tick ${isDay ? "day" : ""}" x=${x(time)} y="15"
                text-anchor=${x(time) < 16 ? "start" : x(time) > width - 20 ? "end" : "middle"}>${label}</text>
            `)}
          </svg>
        </div>
      </div>
    </section>
  `;
}
