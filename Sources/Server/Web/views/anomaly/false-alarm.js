// Marks a false alarm, for this one or for more like it. What each choice would hide is shown before.

import { html, useEffect, useRef, useState } from "../../parts/html.js";
import { Failure } from "../../parts/elements.js";
import { path } from "../../data/api.js";
import { useResource } from "../../data/resource.js";
import { give } from "./feedback.js";
import { count, factor, plain, quantity } from "../../text/numbers.js";
import { dayClock } from "../../text/times.js";

export function FalseAlarm({ useCase, anomaly, onClose, onDone }) {
  const scopes = useResource(path(useCase, "anomalies", anomaly.id, "scopes"), { fixed: true });
  const [scope, setScope] = useState("this");
  const [note, setNote] = useState("");
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const panel = useRef();
  useEffect(() => { panel.current.querySelector("input:checked")?.focus(); }, [scopes.data !== null]);
  const items = scopes.data?.items ?? [];
  const chosen = items.find((item) => item.scope === scope) ?? items[0];
  const mark = () => {
    setBusy(true);
    give(useCase, anomaly.id, { verdict: "false_alarm", scope, note: note.trim() || undefined }).then(onDone, (error) => {
      setFailure(error);
      setBusy(false);
    });
  };
  const show = (value, unit) => (value === null || value === undefined ? "" : unit ? quantity(value, unit) : plain(value));
  return html`
    <section class="panel false-alarm" ref=${panel} aria-label="Mark as false alarm">
      <div class="panel-head"><h2 class="grow">Mark as false alarm</h2><kbd>Esc</kbd></div>
      <div class="panel-body">
        ${scopes.error
          ? html`<${Failure} of="The preview" error=${scopes.error} onRetry=${scopes.reload} />`
          : html`
            <fieldset>
              <legend class="unseen">What is meant</legend>
              ${items.map((item) => html`
                <label class="radio" key=${item.scope}>
                  <input type="radio" name="scope" checked=${item.scope === scope}
                    onChange=${() => setScope(item.scope)} />
                  <span class="grow cut">${item.label} <span class="faint">${item.detail ?? ""}</span></span>
                  <span>${count(item.count)}</span>
                </label>
              `)}
            </fieldset>
            ${chosen && html`
              <p class="note">
                ${chosen.count === 1 ? "This one leaves" : `These ${count(chosen.count)} leave`} the lists and counts. ${chosen.count === 1 ? "It stays" : "They stay"} in
                  the store, marked with your name, and can be brought back.
              </p>
              <table class="preview">
                <tbody>
                  ${chosen.examples.map((one) => html`
                    <tr key=${one.id}>
                      <td>${dayClock(one.event_time)}</td>
                      <td class="right quiet">${show(one.measure?.expected, one.measure?.unit)}</td>
                      <td class="right">${show(one.measure?.actual, one.measure?.unit)}</td>
                      <td class="right">
                        ${one.measure?.expected > 0 ? `${factor(one.measure.actual / one.measure.expected)}×` : ""}
                      </td>
                    </tr>
                  `)}
                </tbody>
              </table>
              ${chosen.count > chosen.examples.length && html`
                <p class="note">and ${count(chosen.count - chosen.examples.length)} more</p>
              `}
            `}
            <input class="field" placeholder="Why, for those who read it later" aria-label="Note" value=${note}
              onInput=${(event) => setNote(event.target.value)} maxlength="500" />
            ${failure && html`<p role="alert"><strong>It was not marked:</strong> ${failure.message}</p>`}
            <div class="buttons">
              <button class="button primary" disabled=${!chosen || busy} onClick=${mark}>
                Mark ${chosen ? count(chosen.count) : ""}
              </button>
              <button class="button" onClick=${onClose}>Cancel</button>
            </div>
          `}
      </div>
    </section>
  `;
}
