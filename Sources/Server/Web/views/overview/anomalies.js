// The table of anomalies: the newest first, sortable, filtered, and new rows wait while one is selected.

import { html, useEffect, useRef, useState } from "../../parts/html.js";
import { Choice, Failure, SearchField } from "../../parts/elements.js";
import { Severity } from "../../parts/icons.js";
import { change, go, to } from "../../data/address.js";
import { path } from "../../data/api.js";
import { arrivals } from "../../data/live.js";
import { useList } from "../../data/list.js";
import { rangeParams } from "../../data/range.js";
import { useStore } from "../../data/store.js";
import { useKeys } from "../frame/keys.js";
import { remember } from "../anomaly/neighbours.js";
import { acknowledge } from "../anomaly/feedback.js";
import { capital, count } from "../../text/numbers.js";
import { milliseconds, round } from "../../text/times.js";
import { Row, columns } from "./row.js";

const severities = ["critical", "high", "medium", "low", "info"];
const states = [
  ["", "Not acknowledged"], ["acknowledged", "Acknowledged"], ["confirmed", "Confirmed"], ["false_alarm", "False alarms"], ["all", "All"],
];

export function Anomalies({ useCase, params, range, entities, described, bySeverity, byDetector }) {
  const [selected, setSelected] = useState(null);
  const chosen = params.severity ? params.severity.split(",") : [];
  // While a row is selected the list stays as it is, though the range goes on.
  const held = useRef(range);
  if (selected === null || held.current?.name !== range?.name) held.current = range;
  const filter = range && {
    ...rangeParams(held.current), step: undefined, entities, state: params.state ?? "open",
    severity: params.severity, detector: params.detector, q: params.q, sort: params.sort,
  };
  const list = useList(range ? path(useCase, "anomalies") : null, filter ?? {}, { hold: selected !== null });
  const waiting = useWaiting(list.rows, filter, selected !== null);
  const search = useRef();
  const table = useRef();
  const { rows } = list;
  const at = rows.findIndex((row) => row.id === selected);

  const { severity, detector, state, q, sort } = params;
  useEffect(() => { setSelected(null); }, [severity, detector, state, q, sort, entities, range?.name]);
  const open = (row) => {
    remember({ rows: rows.map(({ id }) => id), total: list.total, next: list.next });
    go(to("anomalies", row.id));
  };
  const move = (by) => {
    if (!rows.length) return;
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    setSelected(next.id);
    table.current?.querySelector(`tr[data-id="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
    if (next === rows.at(-1) && by > 0 && list.next) list.loadMore();
  };
  useKeys({
    j: () => move(1), k: () => move(-1),
    "/": () => search.current.focus(),
    ...(at >= 0 ? {
      Enter: () => open(rows[at]), Escape: () => setSelected(null),
      a: () => acknowledge(useCase, rows[at]).then((feedback) => list.patch(rows[at].id, { feedback }), () => {}),
    } : {}),
  });

  const toggle = (name, only) => {
    const set = new Set(only ? [name] : chosen);
    if (!only && !set.delete(name)) set.add(name);
    change({ severity: severities.filter((one) => set.has(one)).join(",") || undefined });
  };
  const counts = bySeverity?.series ?? [];
  // Those of which there is none would only be in the way.
  const shownSeverities = severities.filter((name) =>
    chosen.includes(name) || counts.some((series) => series.name === name && series.total > 0));
  const others = (bySeverity?.series ?? []).reduce((sum, series) => sum + series.total, 0);
  const detectors = (byDetector?.series ?? []).map((series) => [series.name, series.name, count(series.total)]);
  const isFiltered = params.severity || params.detector || params.q || params.state;
  return html`
    <section class="panel anomalies" id="anomalies" aria-label="Anomalies">
      <div class="table-head">
        <h2>Anomalies</h2>
        <div class="chips" role="group" aria-label="Severity">
          ${shownSeverities.map((name) => html`
            <button class="chip" key=${name} aria-pressed=${chosen.length === 0 || chosen.includes(name)}
              onClick=${() => toggle(name, chosen.length === 0)}>
              <${Severity} of=${name} />
              ${name}
              <span class="count">${count(counts.find((series) => series.name === name)?.total ?? 0)}</span>
            </button>
          `)}
          <${Choice} label="Detector" chosen=${params.detector ?? ""}
            onChoose=${(value) => change({ detector: value || undefined })}
            options=${[["", "Any detector"], ...detectors]} />
          <${Choice} label="State" chosen=${params.state ?? ""}
            onChoose=${(value) => change({ state: value || undefined })} options=${states} />
        </div>
        <${SearchField} input=${search} value=${params.q ?? ""} name="Search reasons, users, events"
          onText=${(q) => change({ q })} />
      </div>
      ${waiting > 0 && html`
        <button class="waiting" onClick=${() => { setSelected(null); list.reload(); }}>${count(waiting)} new</button>
      `}
      ${list.error
        ? html`<${Failure} of="Anomalies" error=${list.error} onRetry=${list.reload} />`
        : list.of && list.rows.length === 0
        ? html`<${Nothing} range=${range} params=${params} others=${others} isFiltered=${isFiltered} />`
        : html`
          <div class="table-box ${range && range.length > 86_400_000 ? "wide-range" : ""}">
            <table class="table" ref=${table}>
              <thead>
                <tr>
                  ${columns.map((column) => html`
                    <${Heading} key=${column.name} column=${column} sort=${params.sort} described=${described} />
                  `)}
                </tr>
              </thead>
              <tbody>
                ${list.of ? rows.map((row) => html`
                  <${Row} key=${row.id} row=${row} isSelected=${row.id === selected} described=${described}
                    range=${range} onSelect=${() => setSelected(row.id)} onOpen=${() => open(row)} />
                `) : Array.from({ length: 12 }, (_, n) => html`
                  <tr key=${n} class=${list.late ? "late" : ""}>
                    <td colspan=${columns.length}><div class="block w100 h16"></div></td>
                  </tr>
                `)}
              </tbody>
            </table>
          </div>
        `}
      ${rows.length > 0 && html`
        <div class="table-foot">
          <span class="faint">1 to ${count(rows.length)}${list.total !== null ? ` of ${count(list.total)}` : ""}</span>
          ${list.next && html`<button class="link" onClick=${list.loadMore}>Show more</button>`}
          <span class="hints" aria-hidden="true">
            <kbd>j</kbd>
            <kbd>k</kbd> move <kbd>Enter</kbd> open <kbd>a</kbd> acknowledge
          </span>
        </div>
      `}
    </section>
  `;
}

/** How many anomalies came that would stand in the list, while it is held. */
function useWaiting(rows, filter, held) {
  const all = useStore(arrivals);
  if (!held || !filter) return 0;
  const known = new Set(rows.map(({ id }) => id));
  const newest = rows.length ? milliseconds(rows[0].event_time) : 0;
  const severities = filter.severity?.split(",");
  // Whether a text matches is known to the server alone.
  if (filter.q) return 0;
  return all.filter((one) => !known.has(one.id) && milliseconds(one.event_time) > newest
    && (!filter.detector || one.detector === filter.detector) && (!severities || severities.includes(one.severity))).length;
}

function Heading({ column, sort = "-time", described }) {
  const name = column.name === "key" ? capital(described?.entity.one ?? "key") : column.text();
  if (!column.sort) return html`<th class=${column.style} scope="col">${name}</th>`;
  const [down, up] = [`-${column.sort}`, column.sort];
  const now = sort === down ? "descending" : sort === up ? "ascending" : "none";
  const next = now === "descending" ? up : down;
  return html`
    <th class=${column.style} scope="col" aria-sort=${now}>
      <button onClick=${() => change({ sort: next === "-time" ? undefined : next })}>
        ${name}
        <span class="arrow" aria-hidden="true">${now === "descending" ? "↓" : now === "ascending" ? "↑" : ""}</span>
      </button>
    </th>
  `;
}

function Nothing({ range, params, others, isFiltered }) {
  const what = params.severity && !params.severity.includes(",") ? `${params.severity} anomaly` : "anomaly";
  return html`
    <div class="nothing-found">
      <p>
        <strong>
          No ${what}
          ${params.detector ? ` of ${params.detector}` : ""}
          ${params.q ? ` with "${params.q}"` : ""} in ${range ? round(range.length) : "this window"}
          .
        </strong>
      </p>
      ${isFiltered && others > 0 && html`
        <p class="quiet">
          ${count(others)} ${params.severity && !params.detector && !params.q ? "of other severities " : ""}
          are hidden by the filter.
        </p>
        <button class="button"
          onClick=${() => change({ severity: undefined, detector: undefined, state: undefined, q: undefined })}>
          Show all ${count(others)}
        </button>
      `}
    </div>
  `;
}
