// Actual and expected on one logarithmic axis, with what is usual for the like of it behind.

import { html } from "../../parts/html.js";
import { useWidth } from "../../parts/elements.js";
import { logScale } from "../../charts/log-scale.js";
import { count, factor, quantity, roundQuantity } from "../../text/numbers.js";

const height = 172, base = 132, barTop = 54;

export function Distribution({ anomaly, resource }) {
  const [box, width] = useWidth();
  const data = resource.isCurrent ? resource.data : null;
  if (resource.error || (data && !data.bins.length)) return null;
  return html`
    <section class="panel" aria-label="Actual against expected">
      <div class="panel-head">
        <h2>Actual against expected</h2>
        <span class="note">${data ? `${data.field}, logarithmic` : ""}</span>
        ${data && html`
          <ul class="key">
            <li><span class="swatch usual"></span>${count(data.group.count)} ${data.group.label}</li>
            ${data.same && html`<li><span class="swatch run"></span>${count(data.same.count)} ${data.same.label}</li>`}
          </ul>
        `}
      </div>
      <div class="panel-body">
        <div ref=${box} class="chart-box distribution ${resource.late ? "late" : ""}">
          ${data && width ? draw(anomaly, data, width) : html`<div class="block fill"></div>`}
        </div>
      </div>
    </section>
  `;
}

function span(bins) {
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  let seen = 0, least = bins[0].from, most = bins.at(-1).to;
  for (const bin of bins) {
    if (seen <= total * 0.003) least = bin.from;
    seen += bin.count;
    if (seen >= total * 0.997) { most = bin.to; break; }
  }
  return [least, most];
}

function draw(anomaly, data, width) {
  const { actual, expected } = anomaly.measure;
  // The axis spans all but the outermost few in a thousand, and what was expected and found.
  const [least, most] = span(data.bins);
  const [low, high] = [Math.min(least, expected || least, actual), Math.max(most, actual * 4, (data.threshold ?? 0) * 4)];
  const x = logScale(low * 0.8, high, width, data.unit);
  const largest = Math.max(...data.bins.map((bin) => bin.count));
  const from = data.threshold !== null ? x(data.threshold) : null;
  const [atExpected, atActual] = [x(expected), x(actual)];
  // Labels that would cross the edges are set to the inside.
  const anchor = (at) => (at < 70 ? "start" : at > width - 70 ? "end" : "middle");
  const labels = data.marks.map(({ value, label }) => ({
    at: x(value), text: `${label} ${roundQuantity(value, data.unit)}`, strong: true,
  }));
  for (const tick of x.ticks) {
    const hasRoom = !labels.some((one) => Math.abs(one.at - x(tick)) < 64);
    if (hasRoom) labels.push({ at: x(tick), text: roundQuantity(tick, data.unit) });
  }
  const ratio = expected > 0 ? actual / expected : null;
  const middle = (atExpected + atActual) / 2;
  const ratioText = ratio === null ? "" : `${ratio >= 100 ? factor(ratio) : ratio.toFixed(ratio >= 10 ? 1 : 2)}×`;
  const wide = Math.abs(atActual - atExpected);
  // Where both labels have no room above their lines they stand beside each other.
  const near = wide < 150;
  const left = Math.min(atActual - 2, width - 118);
  const top = 28;
  const bins = data.bins.filter((bin) => bin.count > 0 && x(bin.to) > 1 && x(bin.from) < width);
  return html`
    <svg width=${width} height=${height} role="img"
      aria-label=${`actual ${quantity(actual, data.unit)}, expected ${quantity(expected, data.unit)}`}>
      ${from !== null && html`
        <rect class="beyond" x=${from} y=${top} width=${Math.max(0, width - from)} height=${base - top} />
        <path class="beyond-edge" d="M${from} ${top}V${base}" />
        ${width - from > 150 && html`
          <text class="faint-text" x=${width - 8} y=${top + 14} text-anchor="end">an anomaly from here on</text>
        `}
      `}
      ${bins.map((bin) => html`
        <rect class="usual" x=${x(bin.from)} y=${base - Math.max(1, (bin.count / largest) * (base - barTop))}
          width=${Math.max(1, Math.min(width, x(bin.to)) - x(bin.from) - 1)}
          height=${Math.max(1, (bin.count / largest) * (base - barTop))} />
      `)}
      <path class="rule" d="M0 ${base + 0.5}H${width}" />
      ${data.same && html`
        <path class="runs" d=${data.same.values.map((value) => `M${x(value).toFixed(1)} ${base + 2}v7`).join("")} />
      `}
      <path class="expected" d="M${atExpected} ${top + 4}V${base}" />
      <path class="actual severity-${anomaly.severity}" d="M${atActual} ${top}V${base + 2}" />
      ${wide > 84 && html`
        <path class="arrow-line" d="M${atExpected + 4} 42H${middle - 26}M${middle + 26} 42H${atActual - 9}" />
        <path class="arrow-head" d="M${atActual - 9} 38l6 4l-6 4z" />
        <text class="ratio-text" x=${middle} y="46" text-anchor="middle">${ratioText}</text>
      `}
      <text class="value-label" x=${near ? Math.min(atExpected, left - 12) : atExpected} y="16"
        text-anchor=${near ? "end" : anchor(atExpected)}>expected <tspan>${quantity(expected, data.unit)}</tspan></text>
      <text class="value-label" x=${near ? left : atActual} y="16" text-anchor=${near ? "start" : anchor(atActual)}>
        actual <tspan>${quantity(actual, data.unit)}</tspan>
      </text>
      ${labels.map((one) => html`
        <text class="tick ${one.strong ? "strong" : ""}" x=${one.at} y=${base + 28}
          text-anchor=${one.at < 24 ? "start" : one.at > width - 30 ? "end" : "middle"}>${one.text}</text>
      `)}
    </svg>
  `;
}
