// What keys do, and whether they do.

import { html } from "../../parts/html.js";
import { Dialog } from "../../parts/elements.js";
import { choose, useSetting } from "../../data/settings.js";
import { hasOwnZone } from "../../text/times.js";

const keys = [
  [["g o"], "overview"], [["g m"], "models"], [["g d"], "dead letters"], [["1", "2", "3"], "live, 24 hours, 7 days"],
  [["e"], "choose entities"], [["c"], "critical ones only"], [["/"], "search"], [["j", "k"], "next and previous row, also in the detail"],
  [["Enter"], "open"], [["Esc"], "back"], [["a"], "acknowledge"], [["f"], "false alarm"], [["t"], "copy as a test"], [["s"], "as SQL"],
  [["←", "→"], "move the crosshair"], [["y"], "copy the link to this view"], [["?"], "this list"],
];

export function Help({ onClose }) {
  const on = useSetting("keys");
  const zone = useSetting("zone");
  return html`
    <${Dialog} title="Keyboard" onClose=${onClose}>
      <dl class="key-list">
        ${keys.map(([names, what]) => html`
          <dt>${names.flatMap((name) => name.split(" ")).map((key) => html`<kbd>${key}</kbd>`)}</dt>
          <dd>${what}</dd>
        `)}
      </dl>
      <label class="check">
        <input type="checkbox" checked=${on === "on"}
          onChange=${(event) => choose("keys", event.target.checked ? "on" : "off")} />
        Single letters are commands
      </label>
      ${hasOwnZone && html`
        <label class="check">
          <input type="checkbox" checked=${zone === "utc"}
            onChange=${(event) => choose("zone", event.target.checked ? "utc" : "local")} />
          Show times in UTC
        </label>
      `}
      <p class="note"><a href="/docs">The API</a> has everything that this page shows.</p>
    <//>
  `;
}
