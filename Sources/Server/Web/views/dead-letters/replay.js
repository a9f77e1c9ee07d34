// Whether records would pass now, tried without storing anything; then they are handed in again.

import { html, useEffect, useState } from "../../parts/html.js";
import { Dialog, Failure } from "../../parts/elements.js";
import { download, path, send, withQuery } from "../../data/api.js";
import { count, some } from "../../text/numbers.js";

export function Replay({ useCase, filter, total, described }) {
  const [tried, setTried] = useState(null);
  const [failure, setFailure] = useState(null);
  const [text, setText] = useState("");
  const [used, setUsed] = useState(null);
  const [dialog, setDialog] = useState(null);
  const [done, setDone] = useState(null);
  const where = path(useCase, "dead-letters", "replay");
  const key = JSON.stringify(filter);
  const attempt = async (configuration) => {
    try {
      setTried(await send("POST", where, { ...filter, dry_run: true, configuration }));
      setUsed(configuration ?? null);
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
  };
  useEffect(() => { setTried(null); setDone(null); attempt(); }, [key]);
  const replay = async () => {
    try {
      setDone(await send("POST", where, { ...filter, dry_run: false }));
      attempt();
    } catch (error) {
      setFailure(error);
    }
    setDialog(null);
  };
  const passing = tried?.passing ?? 0;
  return html`
    <section class="panel replay" aria-label="Replay">
      <div class="panel-head"><h2>Replay</h2></div>
      <div class="panel-body">
        ${failure
          ? html`<${Failure} of="Replay" error=${failure} onRetry=${() => attempt()} />`
          : !tried
          ? html`<p class="quiet">Trying them against the configuration in use…</p>`
          : html`
            <p class="quiet">
              Tried against ${used ? "the configuration that you gave" : html`
                configuration <code>${tried.configuration}</code>
                , in use now
              `}
              : <strong>${count(passing)} of ${count(tried.tried)} would pass</strong>
              ${passing === 0 && tried.is_same
                ? ", because it is the one that refused them. Change the use case, or mend the records, then replay."
                : "."}
            </p>
            ${tried.remaining?.length > 0 && passing > 0 && html`
              <p class="note">
                The rest: ${tried.remaining.map((one) => `${count(one.count)} ${one.reason}`).join(", ")}
                .
              </p>
            `}
          `}
        ${done && html`
          <p role="status">
            <strong>${some(done.handed_in, "record was", "records were")} handed in</strong> and will be read like new
              ones.
          </p>
        `}
        <div class="buttons">
          <button class="button" disabled=${passing === 0 || used !== null}
            title=${used ? "Put the configuration into use first" : ""} onClick=${() => setDialog("replay")}>
            Replay ${count(passing)} records
          </button>
          <button class="button" onClick=${() => setDialog("configuration")}>Try another configuration…</button>
          <a class="button" download href=${download(withQuery(path(useCase, "dead-letters.ndjson"), filter))}>
            Download ${count(total)} as NDJSON
          </a>
        </div>
        ${dialog === "replay" && html`
          <${Dialog} title="Replay ${count(passing)} records?" onClose=${() => setDialog(null)}
            foot=${html`
              <button class="button primary" onClick=${replay}>Replay ${count(passing)}</button>
              <button class="button" onClick=${() => setDialog(null)}>Cancel</button>
            `}>
            <p>
              They are put into the inbox and read like new events: they are classified, scored and counted, at their
                own event time. Where it is behind the watermark they are late.
            </p>
            <p>The records stay among the dead letters, marked as replayed.</p>
          <//>
        `}
        ${dialog === "configuration" && html`
          <${Dialog} wide title="Try another configuration" onClose=${() => setDialog(null)}
            foot=${html`
              <button class="button primary" disabled=${!text.trim()}
                onClick=${() => { setDialog(null); attempt(text); }}>Try</button>
              <button class="button" onClick=${() => setDialog(null)}>Cancel</button>
            `}>
            <p>The text of a <code>pipeline.yaml</code>. Nothing is stored, and the one in use stays.</p>
            <textarea class="field" rows="16" spellcheck="false" aria-label="pipeline.yaml"
              placeholder=${`name: ${described?.name ?? ""}\nevent:\n  …`} value=${text}
              onInput=${(event) => setText(event.target.value)}></textarea>
          <//>
        `}
      </div>
    </section>
  `;
}
