// The fitted versions of the learned detectors: which one scores, whether a candidate is better, and whether events still look
// as they did in training. Promote, roll back and train from here.

import { html, useEffect, useState } from "../../parts/html.js";
import { Failure, Time } from "../../parts/elements.js";
import { Light, Severity } from "../../parts/icons.js";
import { go, to } from "../../data/address.js";
import { path, send } from "../../data/api.js";
import { jobs } from "../../data/live.js";
import { revision, useResource } from "../../data/resource.js";
import { useStore } from "../../data/store.js";
import { useKeys } from "../frame/keys.js";
import { Versions } from "./versions.js";
import { Detector } from "./detector.js";
import { Confirm } from "./confirm.js";
import { capital, listed, percent } from "../../text/numbers.js";
import { day, dayMinute } from "../../text/times.js";

export function roleOf(model, version) {
  if (version === model.champion) return "champion";
  return version === model.candidate ? "candidate" : "earlier";
}

export function Models({ useCase, subject, described, status }) {
  const found = useResource(path(useCase, "models"));
  const [action, setAction] = useState(null);
  const asked = useResource(path(useCase, "jobs"));
  const told = useStore(jobs);
  const trainings = Object.values({ ...Object.fromEntries((asked.data?.items ?? []).map((job) => [job.id, job])), ...told });
  const last = trainings.sort((a, b) => Number(b.id) - Number(a.id))[0] ?? null;
  const isTraining = last !== null && !isOver(last);
  // A training that has ended may have brought versions.
  useEffect(() => { if (last && isOver(last)) found.reload(); }, [last?.id, last?.state]);
  useKeys({ Escape: () => (action ? setAction(null) : go(to("overview"))) });
  useEffect(() => {
    if (subject && found.data) document.getElementById(`detector-${subject}`)?.scrollIntoView({ block: "start" });
  }, [subject, found.data !== null]);

  if (found.error) return html`
    <section class="panel verdict-failed">
      <${Failure} of="Models" error=${found.error} onRetry=${found.reload} />
    </section>
  `;
  const data = found.data;
  if (!data) return html`
    <section class="verdict ${found.late ? "late" : ""}" aria-busy="true">
      <div class="grow"><div class="block w50 h28"></div><div class="block w30 h16"></div></div>
    </section>
    <section class="panel ${found.late ? "late" : ""}">
      <div class="panel-body"><div class="block w100 h120"></div></div>
    </section>
  `;
  const candidates = data.items.filter((model) => model.candidate);
  const passed = candidates.filter((model) => model.versions.find((one) => one.version === model.candidate)?.manifest?.gate?.passed);
  const learned = (described?.detectors ?? []).filter((one) => one.learned).map((one) => one.name);
  const said = verdict(data, candidates, passed);
  const done = () => { setAction(null); found.reload(); revision.set(revision.value + 1); };
  return html`
    <section class="verdict" aria-label="Verdict">
      ${["ok", "unknown"].includes(said.state) ? html`<${Light} state=${said.state} />` : html`<${Severity} of=${said.state} large />`}
      <div class="grow">
        <h1 tabindex="-1">${said.title}</h1>
        <p class="context">
          ${said.context}
          ${data.next_training && html`
            ${" "}The next training is due at <${Time} at=${data.next_training} show=${dayMinute} />
            , event time.
          `}
        </p>
      </div>
      <div class="buttons">
        ${passed.length > 1 && html`
          <button class="button primary" onClick=${() => setAction({ kind: "promote", models: passed })}>
            Promote ${passed.length === 2 ? "both" : `all ${passed.length}`}
            …
          </button>
        `}
        ${learned.length > 0 && html`
          <button class="button" disabled=${isTraining} onClick=${() => setAction({ kind: "train", models: learned.map((detector) => ({ detector })) })}>
            Train now…
          </button>
        `}
      </div>
    </section>
    ${(isTraining || (last && told[last.id])) && html`<${Training} useCase=${useCase} job=${last} />`}
    ${isUntrained(data.items)
      ? html`
        <section class="panel">
          <div class="nothing-found">
            <p><strong>No model yet.</strong></p>
            ${learned.length > 0
              ? html`
                <p class="quiet">
                  ${listed(learned)} learn from ${described?.training?.least_hours ?? "some"} hours of events at least:
                </p>
                <code>pulse train ${useCase} --data data</code>
              `
              : html`<p class="quiet">This use case judges by rules alone: there is nothing to learn.</p>`}
          </div>
        </section>
      `
      : html`
        <${Versions} data=${data} />
        ${data.items.map((model) => html`
          <${Detector} key=${model.detector} model=${model} useCase=${useCase} onAction=${setAction} />
        `)}
      `}
    ${action && html`
      <${Confirm} useCase=${useCase} action=${action} status=${status} onClose=${() => setAction(null)} onDone=${done} />
    `}
  `;
}

const isOver = (job) => !["waiting", "running", "cancelling"].includes(job.state);

const endings = { finished: "Training ended", failed: "Training failed", cancelled: "Training was given up" };

/** How far a training is, or what came of it. */
function Training({ useCase, job }) {
  const [asked, setAsked] = useState(false);
  const giveUp = () => {
    setAsked(true);
    send("DELETE", path(useCase, "jobs", job.id)).then((now) => jobs.set({ ...jobs.value, [now.id]: now }), () => setAsked(false));
  };
  return html`
    <section class="panel training" role="status">
      <strong>${endings[job.state] ?? (job.state === "waiting" ? "Training waits" : "Training")}</strong>
      <span class="quiet grow">${isOver(job) ? job.message : `asked for by ${job.who}`}</span>
      ${!isOver(job) && html`
        <progress max="1" value=${job.progress} aria-label="Training"></progress>
        <span class="figure">${percent(job.progress, 0)}</span>
        <button class="button" disabled=${asked} onClick=${giveUp}>Give up</button>
      `}
    </section>
  `;
}

/** What has drifted most, over all detectors. */
function largestDrift(items) {
  let found = null;
  for (const { detector, drift } of items) {
    // Of a detector without a champion there is nothing to tell.
    if (!drift) continue;
    for (const { name, index } of drift.items) {
      index.forEach((value, place) => {
        if (!found || value > found.value) found = { detector, name, value, day: drift.days[place], notable: drift.notable };
      });
    }
  }
  return found;
}

/** Whether no detector has learned anything. */
const isUntrained = (items) => items.every((model) => model.versions.length === 0);

const namesOf = (models) => listed(models.map((model) => model.detector));

/** "Both models are healthy.", "slow_query has no model that scores." */
function healthOf(all, broken, drift) {
  if (broken.length) return `${capital(namesOf(broken))} ${broken.length === 1 ? "has" : "have"} no model that scores.`;
  if (drift && drift.value >= drift.notable) {
    return `Events no longer look as they did in training: ${drift.name} of ${drift.detector} drifted.`;
  }
  if (all.length === 1) return "The model is healthy.";
  return `${all.length === 2 ? "Both" : "All"} models are healthy.`;
}

/** What waits for a decision. */
function candidatesOf(candidates, passed) {
  if (passed.length === 2 && candidates.length === 2) return " Both candidates passed every check and wait for your decision.";
  if (passed.length === 1) return ` The candidate of ${passed[0].detector} passed every check and waits for your decision.`;
  if (passed.length) return ` ${passed.length} candidates passed every check and wait for your decision.`;
  if (candidates.length) return ` ${candidates.length === 1 ? "A candidate" : `${candidates.length} candidates`} did not pass.`;
  return "";
}

function verdict({ items }, candidates, passed) {
  if (isUntrained(items)) return { state: "unknown", title: "No model scores yet.", context: "" };
  const broken = items.filter((model) => !model.champion || model.versions.some((one) => one.champion && one.error));
  const drift = largestDrift(items);
  const drifted = drift !== null && drift.value >= drift.notable;
  const size = drift && `index is ${drift.value.toFixed(3)}, of ${drift.name} on ${day(`${drift.day}T12:00:00Z`)}`;
  return {
    state: broken.length ? "high" : drifted ? "medium" : "ok",
    title: healthOf(items, broken, drift) + candidatesOf(candidates, passed),
    context: !drift ? "No day has had enough events to tell drift."
      : drifted ? `The largest ${size}; ${drift.notable} is notable.`
      : `No input has drifted: the largest ${size}; ${drift.notable} would be notable.`,
  };
}
