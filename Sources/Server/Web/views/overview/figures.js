// The strip of figures: name and rate, value, sparkline over the window before, change in words.

import { html, useState } from "../../parts/html.js";
import { Chevron } from "../../parts/icons.js";
import { Value } from "../../parts/elements.js";
import { Sparkline } from "../../charts/sparkline.js";
import { MINUS, percent, quantity, rate } from "../../text/numbers.js";
import { before } from "../../text/times.js";

const shown = 4;

/** [what it is, what it is against] */
function changeInWords(figure, range) {
  const { total, previous_total: last, unit } = figure;
  if (last === null || last === undefined || total === null) return ["no earlier window", ""];
  const against = `than ${before(range.length)}`;
  if (unit === "share") {
    const points = (total - last) * 100;
    if (Math.abs(points) < 0.005) return ["as much", `as ${before(range.length)}`];
    return [`${Math.abs(points).toFixed(2)} points ${points < 0 ? "less" : "more"}`, `${against} ${(last * 100).toFixed(2)}`];
  }
  if (last === 0) return total === 0 ? ["none", `as ${before(range.length)}`] : ["more", `${against}: none`];
  const change = (total - last) / last;
  if (Math.abs(change) < 0.0005) return ["as much", `as ${before(range.length)}`];
  return [`${percent(Math.abs(change))} ${change < 0 ? "less" : "more"}`, `${against} ${quantity(last, unit)}`];
}

function note(figure) {
  if (figure.about) return figure.about;
  if (!figure.rate) return "";
  return `${rate(figure.rate.value, figure.rate.unit)} ${figure.rate.of ?? ""}`.trim();
}

function Figure({ figure, range }) {
  const [change, against] = changeInWords(figure, range);
  const value = figure.total;
  return html`
    <li class="figure">
      <div class="figure-head"><h2>${figure.label}</h2><span class="note">${note(figure)}</span></div>
      <div class="figure-body">
        <div class="value"><${Value} of=${value} unit=${figure.unit} /></div>
        <${Sparkline} values=${figure.values} previous=${figure.previous}
          label=${`${figure.label}, ${change} ${against}`.replace(MINUS, "minus ")} />
      </div>
      <p class="change"><span class="what">${change}</span> <span class="against">${against}</span></p>
    </li>
  `;
}

export function Figures({ data, late, range }) {
  const [all, setAll] = useState(false);
  if (!data || !range) {
    return html`
      <ul class="panel figures ${late ? "late" : ""}" aria-busy="true">
        ${[1, 2, 3, 4].map(() => html`
          <li class="figure">
            <div class="block w40 h20"></div>
            <div class="block w60 h40"></div>
            <div class="block w70 h16"></div>
          </li>
        `)}
      </ul>
    `;
  }
  const figures = all ? data.series : data.series.slice(0, shown);
  const others = data.series.slice(shown).map((figure) => figure.label.toLowerCase()).join(", ");
  const more = all ? "Fewer figures" : `More figures: ${others}`;
  return html`
    <div class="panel figure-strip">
      <ul class="figures">
        ${figures.map((figure) => html`<${Figure} key=${figure.name} figure=${figure} range=${range} />`)}
      </ul>
      ${others && html`
        <button class="more-figures" aria-expanded=${all} aria-label=${more} title=${more}
          onClick=${() => setAll(!all)}><${Chevron} /></button>
      `}
    </div>
  `;
}
