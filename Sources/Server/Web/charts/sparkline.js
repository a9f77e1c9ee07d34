// A small line of what a figure did, over that of the window before. Both on one scale that need not begin at zero.

import { html } from "../parts/html.js";
import { linePath } from "./paths.js";

const most = 24;

/** The mean of neighbours, so that a small line says which way it goes and no more. */
function coarse(values) {
  const size = Math.ceil(values.length / most);
  return size < 2 ? values : Array.from({ length: Math.ceil(values.length / size) }, (_, place) => {
    const part = values.slice(place * size, (place + 1) * size).filter((value) => value !== null);
    return part.length ? part.reduce((sum, value) => sum + value, 0) / part.length : null;
  });
}

export function Sparkline({ values: all, previous: before, width = 160, height = 32, label }) {
  const [values, previous] = [coarse(all), before && coarse(before)];
  const known = [...values, ...(previous ?? [])].filter((value) => value !== null);
  if (known.length < 2) return html`<svg class="sparkline" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const y = (value) => height - 2 - ((value - least) / (most - least || 1)) * (height - 4);
  const step = width / values.length;
  return html`
    <svg class="sparkline" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label=${label}>
      ${previous && html`<path class="before" d=${linePath(previous, step, y)} />`}
      <path class="now" d=${linePath(values, step, y)} />
    </svg>
  `;
}
