// Shares of the classes over time, stacked, without the normal one, which would flatten the rest.

import { html, useMemo, useState } from "../../parts/html.js";
import { areaPath, linePath, niceTop, spread } from "../../charts/paths.js";
import { NARROW, percent } from "../../text/numbers.js";

const least = 152;
const top = 8;

export function Classes({ shape, data, late, described, index, problem, onProblem, extra = 0 }) {
  const height = least + extra;
  const [withNormal, setWithNormal] = useState(false);
  const stacked = useMemo(() => (data && described ? stack(data, described, withNormal) : null), [data, described, withNormal]);
  const [y, drawn] = useMemo(() => {
    if (!stacked || !shape.width) return [null, null];
    const scale = (value) => top + (1 - value / stacked.top) * (height - top);
    return [scale, html`
      <svg width=${shape.width} height=${height} role="img" aria-label=${summary(stacked)}>
        ${stacked.ticks.map((tick) => html`
          <path class="grid" d="M0 ${Math.round(scale(tick)) - 0.5}H${shape.width}" />
        `)}
        ${stacked.layers.map((layer) => html`
          <path key=${layer.name} class="area class-${layer.colour}"
            d=${areaPath(layer.upper, layer.lower, shape.stepWidth, scale)} />
        `)}
        ${stacked.layers.map((layer) => html`
          <path key=${layer.name} class="line class-${layer.colour}" d=${linePath(layer.upper, shape.stepWidth, scale)} />
        `)}
      </svg>
    `];
  }, [stacked, shape, height]);

  const event = described?.event;
  const { says, else: rest } = described?.classification ?? {};
  const note = withNormal ? "share of all" : event && data && rest ? `share of ${event.many} that ${says}; the rest is ${rest}` : "";
  // A use case need not classify.
  if (described && !described.classification) return null;
  return html`
    <div class="band classes ${late && !data ? "late" : ""}">
      <div class="band-head">
        <h2>${event ? `${event.one[0].toUpperCase()}${event.one.slice(1)} classes` : "Classes"}</h2>
        <span class="note">
          ${note}
        </span>
        ${data && html`
          <button class="link" aria-pressed=${withNormal} onClick=${() => setWithNormal(!withNormal)}>
            ${withNormal ? "Hide" : "Show"} ${described?.classification?.else ?? "normal"}
          </button>
        `}
      </div>
      <div class="plot-row">
        <div class="scale" aria-hidden="true">
          ${y && stacked.ticks.map((tick) => html`
            <span style=${{ top: `${y(tick)}px` }}>${tickText(tick, stacked.top)}</span>
          `)}
        </div>
        <div class="plot" style=${{ height: `${height}px` }}>${drawn ?? html`<div class="block fill"></div>`}</div>
        <div class="end-labels">
          ${y && html`
            <${EndLabels} stacked=${stacked} y=${y} index=${index} height=${height} problem=${problem}
              onProblem=${onProblem} />
          `}
        </div>
      </div>
    </div>
  `;
}

function tickText(tick, most) {
  const text = String(Math.round(tick * 1000) / 10);
  return tick === most ? `${text}${NARROW}%` : text;
}

/** Layers from the bottom up, in the order of the use case; null where nothing came at all. */
function stack(data, described, withNormal) {
  const { classes = [], else: rest } = described.classification ?? {};
  const byName = new Map(data.series.map((series) => [series.name, series]));
  const steps = data.series[0]?.values.length ?? 0;
  const all = Array.from({ length: steps }, (_, step) => data.series.reduce((sum, series) => sum + (series.values[step] ?? 0), 0));
  const total = data.series.reduce((sum, series) => sum + series.total, 0);
  const names = classes.map(({ name, label }, place) => ({ name, label, colour: (place % 6) + 1 }));
  if (withNormal) names.push({ name: rest, label: rest, colour: "rest" });
  let lower = all.map((sum) => (sum ? 0 : null));
  const layers = names.filter(({ name }) => byName.has(name)).map(({ name, label, colour }) => {
    const { values, total: own } = byName.get(name);
    const shares = all.map((sum, step) => (sum ? (values[step] ?? 0) / sum : null));
    const upper = shares.map((share, step) => (share === null ? null : share + lower[step]));
    const layer = { name, label: label ?? name, colour, shares, share: total ? own / total : null, upper, lower };
    lower = upper;
    return layer;
  });
  const largest = withNormal ? 1 : Math.max(0, ...lower.filter((value) => value !== null));
  const normal = byName.get(rest);
  return {
    layers, ...niceTop(largest), rest,
    normal: withNormal || !normal ? null : {
      share: total ? normal.total / total : null,
      shares: all.map((sum, step) => (sum ? (normal.values[step] ?? 0) / sum : null)),
    },
  };
}

const summary = (stacked) => stacked.layers.map(({ label, share }) => `${label} ${percent(share)}`).join(", ");

/** Names and figures where the layers end; the figures become those of the crosshair's moment. */
function EndLabels({ stacked, y, index, height, problem, onProblem }) {
  const shown = (layer) => (index === null ? layer.share : layer.shares[index]);
  const middle = (layer) => {
    const last = layer.upper.findLastIndex((value) => value !== null);
    return last < 0 ? height : y((layer.upper[last] + layer.lower[last]) / 2);
  };
  const layers = [...stacked.layers].reverse();
  const places = spread(layers.map((layer) => middle(layer)), 17, height - 8);
  const first = Math.min(...places);
  // The normal class is above all others; its place is at the top of the plot.
  const topPlace = Math.min(top, first - 17);
  return html`
    ${stacked.normal && html`
      <div class="end-label" style=${{ top: `${topPlace}px` }}>
        <span class="name rest">${stacked.rest}</span>
        <span class="figure-text">${percent(shown(stacked.normal))}</span>
      </div>
    `}
    ${layers.map((layer, place) => html`
      <div class="end-label" key=${layer.name} style=${{ top: `${places[place]}px` }}>
        <span class="swatch class-${layer.colour}"></span>
        <button class="name" aria-pressed=${layer.name === problem} title="What to do about it"
          onClick=${() => onProblem(layer.name)}>${layer.label}</button>
        <span class="figure-text">${percent(shown(layer))}</span>
      </div>
    `)}
  `;
}
