// Whether records would pass now, tried without storing anything; then they are handed in again, or taken along as a file.

import { html, useEffect, useState } from "../../parts/html.js";
import { Dialog, Failure } from "../../parts/elements.js";
import { download, path, send, withQuery } from "../../data/api.js";
import { count, some } from "../../text/numbers.js";

export function Replay({ useCase, filter, total, described }) {
  const [tried, setTried] = useState(null);
  const [failure, setFailure] = useState(null);
  const [text, setText] = useState("");
  // What is wrong with the text of another configuration.
  const [wrong, setWrong] = useState(null);
  const [dialog, setDialog] = useState(null);
  const [done, setDone] = useState(null);
  const letters = (name) => withQuery(path(useCase, ...name.split("/")), filter);
  const key = JSON.stringify(filter);
  const attempt = async () => {
    try {
      setTried(await send("POST", letters("dead-letters/dry-run")));
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
  };
  const attemptWith = async (configuration) => {
    try {
      setTried(await send("POST", letters("dead-letters/dry-run"), { configuration }));
      setWrong(null);
      setDialog(null);
    } catch (error) {
      setWrong(error.message);
    }
  };
  useEffect(() => { setTried(null); setDone(null); attempt(); }, [key]);
  const replay = async () => {
    setDialog(null);
    try {
      setDone(await send("POST", letters("dead-letters/replay")));
      attempt();
    } catch (error) {
      setFailure(error);
    }
  };
  const passing = tried?.passing ?? 0;
  const hindrance = !tried || tried.can_replay ? (tried?.is_current ? null : "Put the configuration into use first.")
    : "The run that is served reads another source: nothing can be handed in.";
  return html`
    <section class="panel replay" aria-label="Replay">
      <div class="panel-head"><h2>Replay</h2></div>
      <div class="panel-body">
        ${failure
          ? html`<${Failure} of="Replay" error=${failure} onRetry=${attempt} />`
          : !tried
          ? html`<p class="quiet">Trying them against the configuration in use…</p>`
          : html`
            <p class="quiet">
              Tried against configuration <code>${tried.configuration}</code>
              , ${tried.is_current ? "in use now" : "which you gave"}: <strong>${count(passing)} of ${count(tried.tried)} would pass</strong>
              ${passing === 0 && tried.is_current && tried.tried > 0
                ? ", because it is the one that refused them. Change the use case, or mend the records."
                : "."}
              ${tried.partial > 0 && ` Of ${count(tried.partial)} more, only a part is kept.`}
            </p>
            ${passing > 0 && tried.remaining.length > 0 && html`
              <p class="note">
                The rest: ${tried.remaining.map((one) => `${count(one.count)} ${one.reason}`).join(", ")}.
              </p>
            `}
            ${passing > 0 && hindrance && html`<p class="note">${hindrance}</p>`}
          `}
        ${done && html`
          <p role="status">
            <strong>${some(done.handed_in, "record was", "records were")} handed in</strong>
            ${" "}and will be read like new ones.
            ${done.repeated > 0 && ` ${some(done.repeated, "was", "were")} handed in before, within the last day.`}
          </p>
        `}
        <div class="buttons">
          <button class="button" disabled=${passing === 0 || hindrance !== null} onClick=${() => setDialog("replay")}>
            Replay ${count(passing)}…
          </button>
          <button class="button" onClick=${() => setDialog("configuration")}>Try another configuration…</button>
          <a class="button" download href=${download(letters("dead-letters.ndjson"))}>
            Download ${total === null ? "these" : count(total)} as NDJSON
          </a>
        </div>
        ${dialog === "replay" && html`
          <${Dialog} title="Replay ${some(passing, "record", "records")}?" onClose=${() => setDialog(null)}
            foot=${html`
              <button class="button primary confirm" onClick=${replay}>Replay ${count(passing)}</button>
              <button class="button" onClick=${() => setDialog(null)}>Cancel</button>
            `}>
            <p>
              They are put into the inbox and read like new events: classified, scored and counted, at their own event
              time. Where it is behind the watermark they are late.
            </p>
            <p>The records stay among the dead letters.</p>
          <//>
        `}
        ${dialog === "configuration" && html`
          <${Dialog} wide title="Try another configuration" onClose=${() => setDialog(null)}
            foot=${html`
              <button class="button primary" disabled=${!text.trim()}
                onClick=${() => attemptWith(text)}>Try</button>
              <button class="button" onClick=${() => setDialog(null)}>Cancel</button>
            `}>
            <p>The text of a <code>pipeline.yaml</code>. Nothing is stored, and the one in use stays.</p>
            <textarea class="field" rows="16" spellcheck="false" aria-label="pipeline.yaml"
              placeholder=${`name: ${described?.name ?? ""}\nevent:\n  …`} value=${text}
              onInput=${(event) => setText(event.target.value)}></textarea>
            ${wrong && html`<pre class="code" role="alert">${wrong}</pre>`}
          <//>
        `}
      </div>
    </section>
  `;
}
