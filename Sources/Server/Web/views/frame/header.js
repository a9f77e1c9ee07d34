// Which use case, which view, and how it stands.

import { html } from "../../parts/html.js";
import { Keyboard, Light, Mark, Theme } from "../../parts/icons.js";
import { Menu } from "../../parts/elements.js";
import { to, go } from "../../data/address.js";
import { connection } from "../../data/api.js";
import { useResource } from "../../data/resource.js";
import { useStore } from "../../data/store.js";
import { count, quantity, some } from "../../text/numbers.js";
import { clock, exact } from "../../text/times.js";

const names = { stream: "Stream", detection: "Detection", store: "Store" };

export function Header({ useCase, view, described, status, onHelp, onTheme }) {
  const tabs = [
    ["overview", "Overview", null, ["overview", "entities", "anomalies"]],
    ["models", "Models", status?.candidates ? some(status.candidates, "candidate", "candidates") : null, ["models"]],
    ["dead-letters", "Dead letters", status?.dead_letters ? count(status.dead_letters) : null, ["dead-letters"]],
  ];
  return html`
    <header class="header">
      <a class="brand" href=${to("overview")} aria-label="pulse, overview"><${Mark} /><span>pulse</span></a>
      <${UseCases} useCase=${useCase} described=${described} />
      <nav class="views" aria-label="Views">
        ${tabs.map(([name, text, note, shownBy]) => html`
          <a key=${name} href=${to(name)} aria-current=${shownBy.includes(view) ? "page" : undefined}>
            ${text}
            ${note && html`<span class="count">${note}</span>`}
          </a>
        `)}
      </nav>
      <${Lights} status=${status} />
      ${status?.records_per_second !== undefined && html`
        <dl class="rates">
          <div><dd>${count(status.records_per_second)}</dd><dt>records a second</dt></div>
          <div><dd>${status.lag_seconds === null ? "–" : quantity(status.lag_seconds, "s")}</dd><dt>lag</dt></div>
        </dl>
      `}
      <div class="tools">
        <button class="button icon plain" onClick=${onTheme} aria-label="Light or dark" title="Light or dark">
          <${Theme} />
        </button>
        <button class="button icon plain" onClick=${onHelp} aria-label="Keyboard and settings"
          title="Keyboard and settings"><${Keyboard} /></button>
      </div>
    </header>
  `;
}

function UseCases({ useCase, described }) {
  const all = useResource("/use-cases", { fixed: true });
  const text = html`<span>${useCase}</span>${described?.simulated && html`<span class="tag">simulated</span>`}`;
  return html`
    <${Menu} label="Use case" style="use-case" text=${text}>
      ${(close) => (all.data?.items ?? []).map((one) => html`
        <button class="item" key=${one.name} aria-pressed=${one.name === useCase}
          onClick=${() => { close(); go(`/${encodeURIComponent(one.name)}/overview`); }}>
          ${one.name}
          <span class="count">${one.simulated ? "simulated" : ""}</span>
        </button>
      `)}
    <//>
  `;
}

/** What the lights say: without an answer they do not know. */
function Lights({ status }) {
  const { state, known } = useStore(connection);
  const components = Object.keys(names).map((name) => {
    const found = status?.components.find((one) => one.name === name);
    if (state === "lost") {
      const seen = html`<span class="wide">last </span>seen ${clock(known)}`;
      return { name, state: "unknown", text: "unknown", note: known ? seen : "not seen yet", title: "" };
    }
    if (!found) return { name, state: "unknown", text: "asking", note: "", title: "" };
    const title = [found.why, exact(found.since)].filter(Boolean).join("; ");
    return { ...found, note: found.note ?? `${found.label} ${clock(found.since)}`, title };
  });
  return html`
    <ul class="lights" aria-label="State">
      ${components.map((one) => html`
        <li key=${one.name} title=${one.title}>
          <${Light} state=${one.state} />
          <div>
            <div><span class="name">${names[one.name]}</span> <span class="text">${one.text}</span></div>
            <div class="since">${one.note}</div>
          </div>
        </li>
      `)}
    </ul>
  `;
}
