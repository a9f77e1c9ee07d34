// The axis of event time that all plots share, with what was put into force on it.

import { html } from "../../parts/html.js";
import { stepStart } from "../../data/range.js";
import { exact, milliseconds, span, ticks } from "../../text/times.js";

const signs = { model: "M0 6L4 0L8 6z", configuration: "M0 0h7v6h-7z", gap: "M1 0l6 6M7 0l-6 6" };

export function Axis({ shape, index, marks }) {
  const { range, width, stepWidth } = shape;
  const x = (time) => ((time - range.from) / (range.to - range.from)) * width;
  const within = marks.filter(({ time }) => time !== null && milliseconds(time) >= range.from && milliseconds(time) < range.to);
  const most = Math.max(3, Math.floor(width / 58));
  const [from, to] = index === null ? [] : [stepStart(range, index), Math.min(range.to, stepStart(range, index + 1))];
  const text = index === null ? "" : span(from, to);
  // The label stays within the plot.
  const half = text.length * 3.2 + 8;
  const place = index === null ? 0 : Math.max(half, Math.min(width - half, (index + 0.5) * stepWidth));
  return html`
    <div class="axis-row">
      <div></div>
      <div class="axis">
        <svg width=${width} height="24" aria-hidden="true">
          <path class="rule" d="M0 .5H${width}" />
          ${ticks(range.from, range.to, most).map(({ time, isDay, label }) => {
            const at = x(time);
            return html`
              <g key=${time}>
                <path class="rule" d="M${Math.round(at) + 0.5} 1v4" />
                <text class=${isDay ? "day" : ""} x=${at} y="17" text-anchor="middle">${label}</text>
              </g>
            `;
          })}
        </svg>
        ${within.map((mark) => html`
          <span key=${mark.sequence} class="axis-mark" tabindex="0" role="img"
            style=${{ left: `${x(milliseconds(mark.time))}px` }} aria-label=${`${mark.text}, ${exact(mark.time)}`}
            title=${`${mark.text}\n${exact(mark.time)}`}>
            <svg width="8" height="7" class="mark-${mark.kind}" aria-hidden="true">
              <path d=${signs[mark.kind] ?? signs.configuration} />
            </svg>
          </span>
        `)}
        ${index !== null && html`<div class="axis-label" style=${{ left: `${place}px` }} role="status">${text}</div>`}
      </div>
      <div></div>
    </div>
  `;
}
