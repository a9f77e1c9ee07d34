// Drawn signs. Those that carry meaning have a shape of their own, so that nothing is said by colour alone.

import { html } from "./html.js";

const icon = (path, size = 16) => (props) => html`
  <svg width=${size} height=${size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" class=${props?.class}><path d=${path} /></svg>
`;

export const Chevron = icon("M4 6l4 4 4-4");
export const Left = icon("M10 3.5L5.5 8l4.5 4.5");
export const Right = icon("M6 3.5L10.5 8L6 12.5");
export const Search = icon("M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM11 11l3.5 3.5");
export const Link = icon("M6.5 9.5a3 3 0 0 0 4.2 0l2.4-2.4a3 3 0 0 0-4.2-4.2l-.9.9M9.5 6.5a3 3 0 0 0-4.2 0L2.9 8.9a3 3 0 0 0 4.2 4.2l.9-.9");
export const Keyboard = icon("M1.5 4h13v8.5h-13zM4 6.7h.1M6.7 6.7h.1M9.3 6.7h.1M12 6.7h.1M4.8 9.8h6.4");
export const Tick = icon("M3 8.5l3.2 3.2L13 4.8");
export const Cross = icon("M4 4l8 8M12 4l-8 8");

export const Theme = () => html`
  <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5" />
    <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" />
  </svg>
`;

/** The sign of the product: a pulse. */
export const Mark = () => html`
  <svg class="brand-mark" width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    <path d="M1.5 12.8h4l2.4-6.6 3.9 12 3.2-9 1.6 3.6h5.9" />
  </svg>
`;

const BARS = { info: 0, low: 1, medium: 2, high: 3 };

/** Severity as one to three bars, a filled square with `!` for critical. */
export function Severity({ of, large, label }) {
  const about = label ? { role: "img", "aria-label": `severity ${of}` } : { "aria-hidden": "true" };
  const style = `mark mark-${of}${large ? " large" : ""}`;
  if (of === "critical") {
    return html`
      <svg class=${style} viewBox="0 0 12 12" ...${about}>
        <rect class="on" width="12" height="12" rx="2" />
        <path class="cut-out" d="M5.1 2.2h1.8l-.3 4.9H5.4zM5.1 8.2h1.8V10H5.1z" />
      </svg>
    `;
  }
  const bars = BARS[of] ?? 0;
  return html`
    <svg class=${style} viewBox="0 0 12 12" ...${about}>
      ${[0, 1, 2].map((n) => html`
        <rect class=${n < bars ? "on" : "off"} x=${n * 4.4} y=${8 - n * 4} width="3.2" height=${4 + n * 4} rx="0.5" />
      `)}
    </svg>
  `;
}

/** How a component is: ok, warning, failed or unknown. */
export function Light({ state }) {
  const shape = {
    ok: html`<circle class="body" cx="8" cy="8" r="7" /><path class="sign" d="M5 8.3l2.1 2.1L11 6.2" />`,
    warning: html`<path class="body" d="M8 1.2l7.3 13H.7z" /><path class="sign" d="M8 6.2v3.3M8 11.9v.1" />`,
    failed: html`
      <rect class="body" x="1" y="1" width="14" height="14" rx="2" />
      <path class="sign" d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" />
    `,
  }[state];
  return html`
    <svg class="light light-${shape ? state : "unknown"}" viewBox="0 0 16 16" aria-hidden="true">
      ${shape ?? html`<circle class="ring" cx="8" cy="8" r="6.2" />`}
    </svg>
  `;
}

/** First in its list because it is worse than before. */
export const Diamond = () => html`
  <svg class="diamond" width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
    <path d="M5 .6L9.4 5 5 9.4.6 5z" />
  </svg>
`;
