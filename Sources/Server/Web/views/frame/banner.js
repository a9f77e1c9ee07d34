// What everybody has to know first: the server does not answer, or nothing is read any more.

import { html, useEffect, useState } from "../../parts/html.js";
import { Light } from "../../parts/icons.js";
import { Dialog } from "../../parts/elements.js";
import { connection } from "../../data/api.js";
import { nextAttempt, tryNow } from "../../data/live.js";
import { useStore } from "../../data/store.js";
import { clock, dayClock, lasting, milliseconds } from "../../text/times.js";
import { plain } from "../../text/numbers.js";

/** The clock, for as long as it is looked at. */
function useSeconds(active) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!active) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}

/** Whole seconds, also where there are few. */
const inSeconds = (length) => {
  const seconds = Math.max(0, Math.round(length / 1000));
  return seconds < 60 ? `${seconds}\u202fs` : lasting(seconds * 1000);
};

export function Banner({ status }) {
  const { state, since, known } = useStore(connection);
  const next = useStore(nextAttempt);
  const [checks, setChecks] = useState(false);
  const stream = status?.components.find((one) => one.name === "stream");
  const isStalled = state === "ok" && stream?.state === "warning" && stream.stalled;
  const now = useSeconds(state === "lost" || isStalled);

  if (state === "lost") {
    return html`
      <div class="banner" role="alert">
        <${Light} state="failed" />
        <p class="grow">
          <strong>No answer from the server for <span aria-live="off">${inSeconds(now - since)}</span>.</strong>
          ${" "}
          ${known ? `Known until ${clock(known)}.` : "Nothing is known yet."} <span class="more quiet">
            The run itself may go on: <code>pulse status</code> tells on its machine.
          </span>
        </p>
        ${next && html`<span class="quiet nowrap" aria-live="off">again in ${inSeconds(next - now)}</span>`}
        <button class="button small" onClick=${tryNow}>Try now</button>
      </div>
    `;
  }
  if (!isStalled) return null;
  return html`
    <div class="banner" role="status">
      <${Light} state="warning" />
      <p class="grow">
        <strong>No record for <span aria-live="off">${inSeconds(now - milliseconds(stream.since))}</span></strong>
        ${ stream.usual_per_second ? `; ${plain(stream.usual_per_second, 2)} a second are usual` : ""}
        .
        ${status.watermark && ` Watermark ${dayClock(status.watermark)}.`}
      </p>
      <button class="link" onClick=${() => setChecks(true)}>What to check</button>
      ${checks && html`
        <${Dialog} title="Nothing is read" onClose=${() => setChecks(false)}>
          <p>${stream.why}</p>
          <ol class="steps">
            <li>Does the producer still write? Look at the end of what the source reads.</li>
            <li>Is the run still there? <code>pulse status --data …</code> on its machine says how far it is.</li>
            <li>Was the input moved or rotated? The run's log names the file that it waits for.</li>
          </ol>
        <//>
      `}
    </div>
  `;
}
