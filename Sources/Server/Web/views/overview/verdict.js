// One sentence with numbers, one of context, written by rule from what the server counted.

import { html } from "../../parts/html.js";
import { Light, Severity } from "../../parts/icons.js";
import { count, capital, listed, signed, some } from "../../text/numbers.js";
import { before, round } from "../../text/times.js";

const order = ["critical", "high", "medium", "low", "info"];
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);
/** Anomalies that make an entity critical. */
const grave = (entity, previous) => (previous ? entity.previous_severe : entity.severe);

/** What rose most on the critical entities, at most two detectors. */
function rises(critical, detectors, length) {
  const found = critical.flatMap((entity) => Object.entries(entity.detectors ?? {})
    .map(([name, [now, then]]) => ({ entity, name, now, then, rise: now - then })));
  const best = [];
  for (const one of found.filter(({ rise, now }) => rise > 1 && now > 1).sort((a, b) => b.rise - a.rise)) {
    if (!best.some((other) => other.name === one.name)) best.push(one);
  }
  return best.slice(0, 2).map(({ entity, name, now, then }, place) => {
    const what = detectors.find((one) => one.name === name)?.label ?? name;
    const change = then === 0 ? `came ${count(now)} times, not once ${before(length)}` : `rose from ${count(then)} to ${count(now)}`;
    return `${place ? what : capital(what)} on ${entity.name} ${change}`;
  }).join("; ");
}

/** @returns {{state: string, title: string, context: string}} */
function verdict({ entities, severities, described, range, chosen }) {
  const { one, many } = described.entity;
  const total = sum(severities, ({ total }) => total);
  const hasBefore = severities.every(({ previous_total }) => previous_total !== null);
  const worst = order.find((name) => severities.some((series) => series.name === name && series.total > 0)) ?? "info";
  if (total === 0) {
    const heard = some(entities.length, `${one} was`, `${many} were`);
    return { state: "ok", title: `Nothing out of the ordinary in ${round(range.length)}.`, context: `${heard} heard of.` };
  }
  const all = some(total, "anomaly", "anomalies");
  if (!hasBefore) {
    return { state: worst, title: `${all} in ${round(range.length)}.`, context: "There is no earlier window to compare with." };
  }
  const earlier = before(range.length);
  const then = sum(severities, ({ previous_total }) => previous_total);
  const critical = entities.filter((entity) => entity.critical);
  if (critical.length === 0) {
    const names = `${capital(chosen.length > 1 ? many : one)} ${listed(chosen.slice(0, 3))} ${chosen.length > 1 ? "are" : "is"} not`;
    const whose = chosen.length ? names : `No ${one} is`;
    return { state: "ok", title: `${whose} worse than ${earlier}: ${all}, ${count(then)} then.`, context: "" };
  }
  const [now, last] = [sum(critical, (entity) => grave(entity)), sum(critical, (entity) => grave(entity, true))];
  const rise = rises(critical, described.detectors, range.length);
  return {
    state: worst,
    title: `${subject(critical, one, many)} worse than ${earlier}: ${count(now)} high-severity anomalies, ${count(last)} then.`,
    context: `${rest(entities, earlier)}${rise ? `${rise}.` : ""}`,
  };
}

/** "Instances 3, 10 and 16 are": at most four by name. */
function subject(critical, one, many) {
  const names = critical.slice(0, 4).map(({ name }) => name);
  const more = critical.length - names.length;
  const list = more > 0 ? `${names.join(", ")} and ${more} more` : listed(names);
  return `${capital(critical.length > 1 ? many : one)} ${list} ${critical.length > 1 ? "are" : "is"}`;
}

/** How those that are not critical are. */
function rest(entities, earlier) {
  const others = entities.filter((entity) => !entity.critical);
  if (!others.length) return "";
  const [now, last] = [sum(others, (entity) => grave(entity)), sum(others, (entity) => grave(entity, true))];
  const change = last ? Math.abs(now - last) / last : 0;
  const how = change <= 0.15 ? "are as they were" : now > last ? "have more as well" : "have fewer";
  return `The other ${count(others.length)} ${how}: ${count(now)}, ${count(last)} ${earlier}. `;
}

export function Verdict({ entities, severities, described, range, late, chosen }) {
  if (!entities || !severities || !described || !range) {
    return html`
      <section class="verdict ${late ? "late" : ""}" aria-busy="true">
        <div class="grow"><div class="block w50 h28"></div><div class="block w30 h16"></div></div>
      </section>
    `;
  }
  const said = verdict({ entities: entities.series, severities: severities.series, described, range, chosen });
  const counts = order.map((name) => severities.series.find((series) => series.name === name))
    .filter((series) => series && (series.total > 0 || series.previous_total > 0));
  return html`
    <section class="verdict" aria-label="Verdict">
      ${said.state === "ok" ? html`<${Light} state="ok" />` : html`<${Severity} of=${said.state} large />`}
      <div class="grow">
        <h1 tabindex="-1">${said.title}</h1>
        ${said.context && html`<p class="context">${said.context}</p>`}
      </div>
      <ul class="severities" aria-label="Anomalies by severity">
        ${counts.map((series) => html`
          <li key=${series.name}>
            <${Severity} of=${series.name} />
            <div>
              <div class="number">${count(series.total)}</div>
              <div class="what">
                ${series.name}
                ${series.previous_total !== null && `, ${signed(series.total - series.previous_total)}`}
              </div>
            </div>
          </li>
        `)}
      </ul>
    </section>
  `;
}
