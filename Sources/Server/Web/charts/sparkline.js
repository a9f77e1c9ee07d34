// A small line of what a figure did, over that of the window before. Both on one scale that need not begin at zero.

import { html } from "../parts/html.js";
import { linePath } from "./paths.js";

export function Sparkline({ values, previous, width = 160, height = 32, label }) {
  const known = [...values, ...(previous ?? [])].filter((value) => value !== null);
  if (known.length < 2) return html`<svg class="sparkline" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const y = (value) => height - 2 - ((value - least) / (most - least || 1)) * (height - 4);
  const step = width / values.length;
  return html`<svg class="sparkline" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${previous && html`<path class="before" d=${linePath(previous, step, y)} />`}
    <path class="now" d=${linePath(values, step, y)} /></svg>`;
}
