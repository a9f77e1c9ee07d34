// The numbers at the right of lanes and cells: the total of each line and its change, or what it was at the crosshair.

import { html } from "../../parts/html.js";
import { count, signed } from "../../text/numbers.js";

export function Totals({ lines, index }) {
  return html`
    <ul class="figures-column">
      ${lines.map((line) => html`
        <li key=${line.name}>
          <span>${count(index === null ? line.total : line.values[index] ?? 0)}</span>
          <span class="delta">
            ${index === null && line.previous_total !== null ? signed(line.total - line.previous_total) : ""}
          </span>
        </li>
      `)}
    </ul>
  `;
}
