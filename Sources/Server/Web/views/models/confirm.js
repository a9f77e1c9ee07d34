// Before a model is promoted, rolled back or trained: what will change, and what cannot be undone.

import { html, useState } from "../../parts/html.js";
import { Dialog, Failure } from "../../parts/elements.js";
import { path, send, withQuery } from "../../data/api.js";
import { jobs } from "../../data/live.js";
import { useResource } from "../../data/resource.js";
import { count, listed, percent, plain } from "../../text/numbers.js";
import { exact } from "../../text/times.js";

const titles = { promote: "Promote", rollback: "Roll back", train: "Train now", compare: "Compare" };
const of = (model, version) => model.versions.find((one) => one.version === version);

export function Confirm({ useCase, action, status, onClose, onDone }) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const { kind, models } = action;
  const target = (model) => (kind === "rollback" ? model.previous : model.candidate);
  const carryOut = async () => {
    setBusy(true);
    try {
      if (kind === "train") {
        const job = await send("POST", path(useCase, "models", "train"), {});
        jobs.set({ ...jobs.value, [job.id]: job });
      }
      for (const model of models) {
        if (kind === "promote") await send("POST", path(useCase, "models", model.detector, "promote"), { version: target(model) });
        if (kind === "rollback") await send("POST", path(useCase, "models", model.detector, "rollback"), {});
      }
      onDone();
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  const names = listed(models.map((model) => model.detector));
  const isNamed = models.length > 1 || kind === "compare" || kind === "train";
  const subject = isNamed ? names : `${names} to ${target(models[0])}`;
  const foot = kind === "compare" ? html`<button class="button" onClick=${onClose}>Close</button>`
    : html`
      <button class="button primary confirm" disabled=${busy} onClick=${carryOut}>${titles[kind]}</button>
      <button class="button" onClick=${onClose}>Cancel</button>
    `;
  return html`
    <${Dialog} title=${`${titles[kind]} ${subject}${kind === "compare" ? "" : "?"}`} wide=${kind === "compare"}
      onClose=${onClose} foot=${foot}>
      ${kind === "compare"
        ? html`<${Comparison} useCase=${useCase} model=${models[0]} />`
        : kind === "train" ? html`
          <p>
            It learns anew from history, in a process of its own with the lowest priority. What scores goes on scoring.
            A version that passes its gate becomes the champion.
          </p>
        `
        : html`
          ${models.map((model) => html`<${Change} key=${model.detector} model=${model} version=${target(model)} />`)}
          <p>
            It scores from the next batch on
            ${status ? `, behind record ${count(status.records)}` : ""}
            . What is stored stays as it was found
            ${kind === "promote" ? "; Roll back goes to the champion of now" : ""}
            .
          </p>
        `}
      ${failure && html`<${Failure} of="It was not done:" error=${failure} onRetry=${carryOut} />`}
    <//>
  `;
}

function Change({ model, version }) {
  const [now, next] = [of(model, model.champion), of(model, version)];
  const gate = next?.manifest?.gate;
  const failed = gate?.checks.filter((check) => !check.passed) ?? [];
  return html`
    <table class="change-table">
      <thead><tr><th>${model.detector}</th><th>now</th><th>then</th></tr></thead>
      <tbody>
        <tr>
          <th>version</th>
          <td class="mono">${model.champion ?? "none"}</td>
          <td class="mono"><strong>${version}</strong></td>
        </tr>
        <tr>
          <th>learned from</th>
          <td>${now?.manifest ? `${count(now.manifest.rows.train)} events` : "–"}</td>
          <td>${next?.manifest ? `${count(next.manifest.rows.train)} events` : "–"}</td>
        </tr>
        ${next?.manifest?.times && html`
          <tr>
            <th>until</th>
            <td>${now?.manifest?.times ? exact(now.manifest.times.until).slice(0, 16) : "–"}</td>
            <td>${exact(next.manifest.times.until).slice(0, 16)}</td>
          </tr>
        `}
        ${next?.manifest?.metrics.threshold !== undefined && html`
          <tr>
            <th>threshold</th>
            <td>${plain(now?.manifest?.metrics.threshold ?? null, 4)}</td>
            <td>${plain(next.manifest.metrics.threshold, 4)}</td>
          </tr>
        `}
        <tr>
          <th>gate</th>
          <td>${now?.manifest?.gate?.passed ? "passed" : "–"}</td>
          <td>
            ${gate ? (gate.passed ? `passed all ${gate.checks.length} checks` : html`
              <strong>not passed: ${failed.map((check) => check.name).join(", ")}</strong>
            `) : "none"}
          </td>
        </tr>
      </tbody>
    </table>
  `;
}

function Comparison({ useCase, model }) {
  const versions = { first: model.champion, second: model.candidate };
  const found = useResource(withQuery(path(useCase, "models", model.detector, "compare"), versions), { fixed: true });
  if (found.error) return html`<${Failure} of="The comparison" error=${found.error} onRetry=${found.reload} />`;
  const value = (what, one) => {
    if (one === null || one === undefined) return "–";
    if (typeof one !== "number") return String(one);
    return what.startsWith("splits.") ? percent(one, 1) : plain(one, 4);
  };
  return html`
    <div class="table-box">
      <table class="change-table differences">
        <thead><tr><th>what</th><th>${model.champion}, champion</th><th>${model.candidate}, candidate</th></tr></thead>
        <tbody>
          ${(found.data?.differences ?? []).map((one) => html`
            <tr key=${one.what}>
              <th class="mono">${one.what}</th>
              <td>${value(one.what, one.first)}</td>
              <td>${value(one.what, one.second)}</td>
            </tr>
          `)}
        </tbody>
      </table>
    </div>
  `;
}
