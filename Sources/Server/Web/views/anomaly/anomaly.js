// One anomaly: what happened, why that was not expected, what was around it, and what somebody thinks of it.

import { html, useEffect, useRef, useState } from "../../parts/html.js";
import { Failure, Time } from "../../parts/elements.js";
import { Left, Right, Severity } from "../../parts/icons.js";
import { go, to } from "../../data/address.js";
import { path } from "../../data/api.js";
import { useResource } from "../../data/resource.js";
import { useKeys } from "../frame/keys.js";
import { acknowledge, give, takeBack } from "./feedback.js";
import { neighbours } from "./neighbours.js";
import { Distribution } from "./distribution.js";
import { Why } from "./why.js";
import { Around } from "./around.js";
import { TakeAlong } from "./take-along.js";
import { FalseAlarm } from "./false-alarm.js";
import { EventPanel, Proof } from "./aside.js";
import { capital, count, quantity } from "../../text/numbers.js";
import { inRow, unitsOf } from "../../text/reason.js";
import { dayClock, dayInFull, fineClock, round, zoneName } from "../../text/times.js";

const words = { acknowledged: "acknowledged", confirmed: "confirmed", false_alarm: "marked as a false alarm" };

export function AnomalyView({ useCase, subject, described }) {
  const of = (...rest) => path(useCase, "anomalies", subject, ...rest);
  const found = useResource(of(), { fixed: true });
  const current = found.isCurrent ? found.data : null;
  const detector = described?.detectors.find((one) => one.name === current?.detector);
  // A rule has no model to ask, and only who foresees a value has something to compare with.
  const explanation = useResource(current?.model ? of("explanation") : null, { fixed: true });
  const distribution = useResource(current && detector?.target ? of("distribution") : null, { fixed: true });
  const around = useResource(current ? of("events") : null, { fixed: true });
  const [feedback, setFeedback] = useState(undefined);
  const [falseAlarm, setFalseAlarm] = useState(false);
  const [tab, setTab] = useState("test");
  const [failure, setFailure] = useState(null);
  const along = useRef();

  useEffect(() => { setFeedback(undefined); setFalseAlarm(false); setFailure(null); }, [subject]);
  const given = feedback === undefined ? current?.feedback ?? null : feedback;
  // What was confirmed or marked is taken back first.
  const isOver = given?.verdict === "false_alarm" || given?.verdict === "confirmed";
  const next = neighbours(subject);
  const visit = (id) => { if (id) go(to("anomalies", id), { replace: true }); };
  const trying = (work) => work.then((result) => { setFeedback(result); setFailure(null); }, setFailure);
  const onAcknowledge = () => current && trying(acknowledge(useCase, { id: subject, feedback: given }));
  const show = (name) => {
    setTab(name);
    along.current?.scrollIntoView({ block: "center" });
    along.current?.querySelector(".copy-it")?.focus();
  };
  useKeys({
    Escape: () => (falseAlarm ? setFalseAlarm(false) : go(to("overview"))),
    a: onAcknowledge, f: () => setFalseAlarm(!falseAlarm), t: () => show("test"), s: () => show("sql"),
    j: () => visit(next?.later), k: () => visit(next?.earlier),
  });

  if (found.error) {
    return html`
      <div class="alone">
        <h1>
          ${found.error.status === 404 ? "This anomaly is not there any more." : "The anomaly could not be read."}
        </h1>
        <p class="quiet">
          ${found.error.status === 404 ? "It was retracted, or is older than what is kept." : found.error.message}
        </p>
        <div class="buttons">
          <a class="button" href=${to("overview")}>Overview</a>
          <button class="button" onClick=${found.reload}>Try again</button>
        </div>
      </div>
    `;
  }
  const entity = described?.entity.one ?? "";
  return html`
    <div class="anomaly-top">
      <nav class="crumbs" aria-label="Where">
        <a href=${to("overview")}>Overview</a>
        ${current && html`
          <span>/</span>
          <a href=${to("overview", undefined, { detector: current.detector })}>${current.detector}</a>
          <span>/</span>
          <a href=${to("entities", current.key, { entities: undefined })}>${entity} ${current.key}</a>
        `}
      </nav>
      ${next && html`
        <div class="pager">
          <span class="faint">${count(next.place)} of ${count(next.of)}</span>
          <button class="button icon plain" aria-label="Earlier in the list" disabled=${!next.earlier}
            onClick=${() => visit(next.earlier)}><${Left} /></button>
          <button class="button icon plain" aria-label="Later in the list" disabled=${!next.later}
            onClick=${() => visit(next.later)}><${Right} /></button>
        </div>
      `}
    </div>
    <header class="anomaly-head">
      <div class="grow">
        ${current
          ? html`
            <h1 tabindex="-1">
              ${current.headline ?? headline(current, described)}
              <${Rank} anomaly=${current} distribution=${distribution.isCurrent ? distribution.data : null} />
            </h1>
          `
          : html`
            <div class=${found.late ? "late" : ""}>
              <div class="block w60 h28"></div>
              <div class="block w40 h20"></div>
            </div>
          `}
      </div>
      <div class="buttons">
        <button class="button ${given ? "" : "primary"}" disabled=${!current}
          onClick=${isOver ? () => trying(takeBack(useCase, subject)) : onAcknowledge}>
          ${!given ? "Acknowledge" : given.verdict === "false_alarm" ? "Bring back" : "Take back"} <kbd
            aria-hidden="true">a</kbd>
        </button>
        <button class="button toggles" disabled=${!current} aria-expanded=${falseAlarm}
          onClick=${() => setFalseAlarm(!falseAlarm)}>False alarm… <kbd aria-hidden="true">f</kbd></button>
        <button class="button" disabled=${!current} onClick=${() => show("test")}>
          Copy as test <kbd aria-hidden="true">t</kbd>
        </button>
        <button class="button" disabled=${!current} onClick=${() => show("sql")}>
          Open in SQL <kbd aria-hidden="true">s</kbd>
        </button>
      </div>
      ${current && html`
        <p class="facts">
          <span><${Severity} of=${current.severity} /> ${current.severity}</span>
          <span>score ${current.score.toFixed(2)} <span class="faint">an anomaly from 1 on</span></span>
          <${Time} at=${current.event_time} show=${(at) => `${dayInFull(at)} ${fineClock(at)} ${zoneName()}`} />
          <span>
            ${peopleOf(current, described)}
          </span>
          <span class=${given ? "" : "faint"}>
            ${given ? `${words[given.verdict]} by ${given.who}, ${dayClock(given.time)}` : "not acknowledged"}
          </span>
          ${given?.verdict !== "confirmed" && given?.verdict !== "false_alarm" && html`
            <button class="link"
              onClick=${() => trying(give(useCase, subject, { verdict: "confirmed", scope: "this" }))}>
              It was real
            </button>
          `}
        </p>
      `}
    </header>
    ${failure && html`
      <section class="panel spaced">
        <${Failure} of="Your word" error=${{ message: `it was not kept: ${failure.message}`, status: failure.status }}
          onRetry=${onAcknowledge} />
      </section>
    `}
    ${current && html`
      <div class="anomaly-columns">
        <div class="column">
          ${detector?.target && html`<${Distribution} anomaly=${current} resource=${distribution} />`}
          <${Why} anomaly=${current} resource=${explanation} detector=${detector} described=${described} />
          <${Around} anomaly=${current} resource=${around} described=${described} />
          <div ref=${along}><${TakeAlong} anomaly=${current} described=${described} tab=${tab} onTab=${setTab} /></div>
        </div>
        <div class="column">
          ${falseAlarm && html`
            <${FalseAlarm} useCase=${useCase} anomaly=${current} onClose=${() => setFalseAlarm(false)}
              onDone=${(word) => { setFeedback(word); setFalseAlarm(false); }} />
          `}
          <${Proof} anomaly=${current} resource=${explanation} described=${described} />
          <${EventPanel} anomaly=${current} resource=${explanation} described=${described} />
        </div>
      </div>
    `}
  `;
}

/** "user 1000, database 10" */
function peopleOf(anomaly, described) {
  const known = (described?.people ?? []).filter(({ field }) => anomaly.event[field] !== undefined);
  return known.map(({ field, one }) => `${one} ${anomaly.event[field]}`).join(", ");
}

/** Where the use case has no sentence of its own for a detector. */
function headline(anomaly, described) {
  const units = unitsOf(described);
  const { measure } = anomaly;
  const who = `${described?.entity.one ?? ""} ${anomaly.key}`.trim();
  if (measure && measure.expected !== null && measure.unit) {
    const [actual, expected] = [quantity(measure.actual, measure.unit), quantity(measure.expected, measure.unit)];
    return `${capital(who)}: ${measure.field} was ${actual}; ${expected} was expected.`;
  }
  const [head] = inRow(anomaly.reason, units);
  return `${capital(head)}.`;
}

/** How it stands among other runs of the same. */
function Rank({ anomaly, distribution }) {
  const same = distribution?.same;
  if (!same || same.values.length < 5 || !anomaly.measure) return null;
  const above = same.values.filter((value) => value > anomaly.measure.actual).length;
  const [most, more] = ["ms", "s"].includes(distribution.unit) ? ["slowest", "slower"] : ["largest", "larger"];
  const length = same.hours === 168 ? "a week" : round(same.hours * 3_600_000);
  const all = `of the ${count(same.count)} ${same.label} in ${length}`;
  if (above > same.values.length * 0.05) return null;
  return html`<br />${above === 0 ? `It is the ${most} ${all}.` : `${count(above)} ${all} were ${more}.`}`;
}
