// Records that could not be read: how many, why, when, their bytes, and whether they would pass now.

import { html, useMemo, useRef } from "../../parts/html.js";
import { Choice, Failure, SearchField, Time } from "../../parts/elements.js";
import { Light, Severity } from "../../parts/icons.js";
import { change, go, to } from "../../data/address.js";
import { path, withQuery } from "../../data/api.js";
import { useList } from "../../data/list.js";
import { useResource } from "../../data/resource.js";
import { useKeys } from "../frame/keys.js";
import { count, percent } from "../../text/numbers.js";
import { dayClock, zoneName } from "../../text/times.js";
import { Reasons, meaning } from "./reasons.js";
import { Detail } from "./detail.js";
import { Replay } from "./replay.js";

export function DeadLetters({ useCase, params, described, status }) {
  const series = useResource(path(useCase, "dead-letters", "series"));
  const filter = { reason: params.reason, field: params.field, q: params.q };
  const list = useList(path(useCase, "dead-letters"), filter, { first: 24, more: 100 });
  const search = useRef();
  const body = useRef();
  const { rows } = list;
  const wanted = rows.findIndex((row) => String(row.position.row) === params.record);
  const selected = wanted >= 0 ? wanted : 0;
  // A record that the address names may be further down than what is loaded.
  const isElsewhere = params.record && list.of && wanted < 0;
  const alone = withQuery(path(useCase, "dead-letters"), { record: params.record, limit: 1 });
  const named = useResource(isElsewhere ? alone : null, { fixed: true });
  const letter = (params.record && wanted < 0 && named.data?.items[0]) || rows[selected] || null;
  const move = (by) => {
    const next = Math.max(0, Math.min(rows.length - 1, selected + by));
    if (!rows[next]) return;
    change({ record: String(rows[next].position.row) });
    body.current?.querySelectorAll("tr")[next]?.scrollIntoView({ block: "nearest" });
    if (next === rows.length - 1 && by > 0) list.loadMore();
  };
  useKeys({ j: () => move(1), k: () => move(-1), "/": () => search.current?.focus(), Escape: () => go(to("overview")) });

  const data = series.data;
  const total = data?.series.reduce((sum, one) => sum + one.total, 0) ?? null;
  const chosen = data?.series.find((one) => one.name === params.reason);
  const fields = useMemo(() => {
    const found = (chosen ? [chosen] : data?.series ?? []).flatMap((one) => Object.keys(one.fields ?? {}));
    return [...new Set(params.field ? [params.field, ...found] : found)].sort();
  }, [data, chosen, params.field]);
  return html`
    <${Title} data=${data} total=${total} status=${status} late=${series.late} chosen=${chosen} />
    ${series.error
      ? html`
        <section class="panel"><${Failure} of="Reasons" error=${series.error} onRetry=${series.reload} /></section>
      `
      : total === 0 ? null : html`
        <${Reasons} data=${data} late=${series.late} chosen=${params.reason}
          onChoose=${(reason) => change({ reason: reason === params.reason ? undefined : reason, record: undefined, field: undefined })} />
      `}
    ${total === 0
      ? html`
        <section class="panel spaced-top">
          <div class="nothing-found">
            <p><strong>Every record could be read.</strong></p>
            <p class="quiet">What cannot be is kept here with its bytes, and why.</p>
          </div>
        </section>
      `
      : html`
        <div class="letters">
          <section class="panel" aria-label="Records">
            <div class="table-head">
              <h2>${chosen ? html`<code>${chosen.stage}/${chosen.name}</code>` : "All reasons"}</h2>
              <span class="quiet">${list.total === null ? "" : `${count(list.total)} records`}</span>
              ${fields.length > 0 && html`
                <${Choice} label="Field" chosen=${params.field ?? ""}
                  onChoose=${(field) => change({ field: field || undefined, record: undefined })}
                  options=${[["", "Any field"], ...fields.map((field) => [field, field])]} />
              `}
              <${SearchField} input=${search} value=${params.q ?? ""} name="Search raw bytes"
                onText=${(q) => change({ q, record: undefined })} />
            </div>
            ${list.error
              ? html`<${Failure} of="Records" error=${list.error} onRetry=${list.reload} />`
              : list.of && rows.length === 0
              ? html`
                <div class="nothing-found">
                  <p><strong>No record matches.</strong></p>
                  <p class="quiet">${count(total)} are hidden by the filter.</p>
                  <button class="button"
                    onClick=${() => change({ reason: undefined, field: undefined, q: undefined, record: undefined })}>
                    Show all ${count(total)}
                  </button>
                </div>
              `
              : html`
                <div class="table-box">
                  <table class="table">
                    <thead>
                      <tr>
                        <th class="l-time" scope="col">Event time reached, ${zoneName()}</th>
                        <th class="l-field" scope="col">Field</th>
                        <th scope="col">Message</th>
                        <th class="l-record right" scope="col">Record</th>
                        <th class="l-bytes right" scope="col">Bytes</th>
                      </tr>
                    </thead>
                    <tbody ref=${body}>
                      ${list.of ? rows.map((row, place) => html`
                        <tr key=${row.id} class=${row === letter ? "selected" : ""}
                          aria-current=${row === letter ? "true" : undefined}
                          onClick=${() => change({ record: String(row.position.row) })}>
                          <td class="l-time">
                            <button class="cell-button" onClick=${() => change({ record: String(row.position.row) })}>
                              ${row.watermark
                                ? html`<${Time} at=${row.watermark} show=${dayClock} />`
                                : "before the first"}
                            </button>
                          </td>
                          <td class="l-field mono cut">${row.field ?? html`<span class="faint">–</span>`}</td>
                          <td class="l-message cut" title=${row.message}>
                            ${chosen ? "" : html`<span class="faint">${row.reason}: </span>`}
                            ${messageOf(row)}
                          </td>
                          <td class="l-record right">${count(row.position.row)}</td>
                          <td class="l-bytes right quiet">${count(row.length)}</td>
                        </tr>
                      `) : Array.from({ length: 12 }, (_, n) => html`
                        <tr key=${n} class=${list.late ? "late" : ""}>
                          <td colspan="5"><div class="block w100 h16"></div></td>
                        </tr>
                      `)}
                    </tbody>
                  </table>
                </div>
              `}
            ${rows.length > 0 && html`
              <div class="table-foot">
                <span class="faint">1 to ${count(rows.length)}${list.total === null ? "" : ` of ${count(list.total)}`}</span>
                ${list.next && html`<button class="link" onClick=${list.loadMore}>Show more</button>`}
                <span class="hints" aria-hidden="true"><kbd>j</kbd><kbd>k</kbd> move</span>
              </div>
            `}
          </section>
          <div class="column">
            ${letter && html`<${Detail} letter=${letter} described=${described} />`}
            ${rows.length > 0 && html`
              <${Replay} useCase=${useCase} filter=${filter} total=${list.total} described=${described} />
            `}
          </div>
        </div>
      `}
  `;
}

/** The field stands in a column of its own. */
function messageOf({ field, message }) {
  return field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
}

function Title({ data, total, status, late, chosen }) {
  if (!data || !status) return html`
    <section class="verdict ${late ? "late" : ""}" aria-busy="true">
      <div class="grow"><div class="block w50 h28"></div><div class="block w30 h16"></div></div>
    </section>
  `;
  const share = status.records ? total / Number(status.records) : 0;
  const worst = Math.max(0, ...data.days.map(({ records, dead_letters: dead }) => (records ? dead / records : 0)));
  const isUsual = share < 0.01;
  const first = [...data.series].sort((a, b) => b.total - a.total)[0];
  const only = chosen?.messages?.length === 1 ? chosen : null;
  const part = first && total ? first.total / total : 0;
  const days = worst > 0 ? `, and no day above ${percent(worst, 3)}` : "";
  const title = `${count(total)} of ${count(status.records)} records could not be read: ${percent(share, 3)}${days}.`;
  return html`
    <section class="verdict" aria-label="Verdict">
      ${isUsual ? html`<${Light} state="ok" />` : html`<${Severity} of="high" large />`}
      <div class="grow">
        <h1 tabindex="-1">
          ${total === 0 ? "No record failed." : title}
        </h1>
        ${total > 0 && html`
          <p class="context">
            ${percent(part, 0)} are ${first.name}
            : ${meaning(first)}
            .
            ${only ? ` All ${count(only.total)} of ${only.name} say "${only.messages[0]}": ask the producer.` : ""}
          </p>
        `}
      </div>
    </section>
  `;
}
