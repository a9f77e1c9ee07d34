// The events around it on the same entity, by what was measured, with the anomalies among them.

import { html, useMemo } from "../../parts/html.js";
import { useWidth } from "../../parts/elements.js";
import { logScale } from "../../charts/log-scale.js";
import { go, to } from "../../data/address.js";
import { count, factor, quantity, roundQuantity, some } from "../../text/numbers.js";
import { milliseconds, ticks, clock } from "../../text/times.js";

const height = 208, left = 56, bottom = 24;
const shapes = {
  critical: "M-5-5h10v10h-10z",
  high: "M0-5.5L5.5 4.5H-5.5z",
  medium: "M-4.5-4.5h9v9h-9z",
  low: "M0-5L5 0 0 5-5 0z",
  info: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
};

export function Around({ anomaly, resource, described }) {
  const [box, width] = useWidth();
  const data = resource.isCurrent ? resource.data : null;
  const drawn = useMemo(() => (data && width ? draw(anomaly, data, width) : null), [data, width, anomaly]);
  if (resource.error || (data && data.items.length === 0)) {
    return html`
      <section class="panel">
        <div class="panel-head"><h2>Around it</h2></div>
        <div class="panel-body">
          <p class="quiet">
            ${resource.error
              ? `The events around it could not be read: ${resource.error.message}.`
              : "History does not hold its events any more."}
          </p>
        </div>
      </section>
    `;
  }
  const severities = data ? [...new Set(data.anomalies.map((one) => one.severity))] : [];
  const measured = data?.field.replace(/_ms$|_mb$/i, "").replace(/_/g, " ");
  return html`
    <section class="panel">
      <div class="panel-head">
        <h2>Around it on ${described?.entity.one ?? ""} ${anomaly.key}</h2>
        <span class="note">
          ${data
            ? `${count(data.total)} ${described?.event.many} by ${measured}; ${some(data.anomalies.length, "anomaly", "anomalies")}`
            : ""}
        </span>
        ${data && html`
          <ul class="key">
            ${data.same_label && html`
              <li>
                <svg width="10" height="10" viewBox="-5 -5 10 10" aria-hidden="true">
                  <circle class="same" r="3.5" />
                </svg>
                ${data.same_label}
              </li>
            `}
            ${severities.map((name) => html`
              <li key=${name}>
                <svg width="12" height="12" viewBox="-6 -6 12 12" aria-hidden="true">
                  <path class="severity-${name} bars" d=${shapes[name]} />
                </svg>
                ${name}
              </li>
            `)}
          </ul>
        `}
      </div>
      <div class="panel-body">
        <div ref=${box} class="chart-box around ${resource.late ? "late" : ""}">
          ${drawn ?? html`<div class="block fill"></div>`}
        </div>
      </div>
    </section>
  `;
}

function draw(anomaly, data, width) {
  const [from, until] = [milliseconds(data.from), milliseconds(data.to)];
  const inner = width - left;
  const x = (time) => left + ((milliseconds(time) - from) / (until - from)) * inner;
  const values = [...data.items, ...data.anomalies].map(({ value }) => value).filter((value) => value > 0);
  const least = Math.max(Math.min(...values), Math.max(...values) / 1e7, data.unit === "ms" ? 10 : 0);
  const scale = logScale(least, Math.max(...values) * 1.4, height - bottom - 16, data.unit);
  const y = (value) => height - bottom - scale(value);
  const others = data.items.filter(({ same, value }) => !same && value !== null);
  const dots = others.map(({ time, value }) => `M${x(time).toFixed(1)} ${y(value).toFixed(1)}h0`).join("");
  let lastLabel = { x: -100, y: 0 };
  return html`
    <svg width=${width} height=${height} role="group" aria-label="Events around it">
      ${scale.ticks.map((tick) => html`
        <path class="grid" d="M${left} ${Math.round(y(tick)) + 0.5}H${width}" />
        <text class="tick" x=${left - 8} y=${y(tick) + 4} text-anchor="end">${roundQuantity(tick, data.unit)}</text>
      `)}
      ${ticks(from, until, Math.max(2, Math.floor(inner / 90))).map(({ time, label }) => html`
        <text class="tick" x=${x(time)} y=${height - 4} text-anchor="middle">${label}</text>
      `)}
      <path class="dots" d=${dots} />
      ${data.items.filter(({ same, value }) => same && value !== null).map(({ time, value }) => html`
        <circle class="same" cx=${x(time)} cy=${y(value)} r="4" />
      `)}
      ${data.anomalies.map((one) => {
        const [at, level] = [x(one.time), y(one.value)];
        const isThis = one.id === anomaly.id;
        // Its label stands where others are fewer: behind it, where there is room.
        const isRight = isThis && at + 80 < width;
        const text = isThis ? "this one" : one.ratio ? `${factor(one.ratio)}×` : one.detector;
        const hasRoom = isThis || Math.abs(at - lastLabel.x) > 44 || Math.abs(level - lastLabel.y) > 14;
        if (hasRoom) lastLabel = { x: at, y: level };
        const mark = html`
          <g transform="translate(${at} ${level})">
            <path class="severity-${one.severity} bars" d=${shapes[one.severity]} />
            ${isThis && html`<circle class="ring" r="11" />`}
          </g>
        `;
        return html`
          <g key=${one.id}>
            ${isThis ? mark : html`
              <a href=${to("anomalies", one.id)}
                onClick=${(event) => { event.preventDefault(); event.stopPropagation(); go(to("anomalies", one.id)); }}
                aria-label=${`${one.detector} ${quantity(one.value, data.unit)} at ${clock(one.time)}`}>
                <title>${`${one.detector}, ${quantity(one.value, data.unit)}, ${clock(one.time)}`}</title>
                <circle r="10" cx=${at} cy=${level} class="target" />
                ${mark}
              </a>
            `}
            ${hasRoom && html`
              <text class=${isThis ? "this-label" : "tick"} x=${at + (isRight ? 17 : isThis ? -17 : -9)} y=${level + 4}
                text-anchor=${isRight ? "start" : "end"}>${text}</text>
            `}
          </g>
        `;
      })}
    </svg>
  `;
}
