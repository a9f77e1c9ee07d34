// The first view: is something worse than before, since when, where, and what to do about it. Of one entity as well.

import { html } from "../../parts/html.js";
import { Failure } from "../../parts/elements.js";
import { address, change, go, joined, split, to } from "../../data/address.js";
import { path, withQuery } from "../../data/api.js";
import { rangeOf, rangeParams } from "../../data/range.js";
import { figuresUntil } from "../../data/live.js";
import { useResource } from "../../data/resource.js";
import { useStore } from "../../data/store.js";
import { useKeys } from "../frame/keys.js";
import { Filters } from "./filters.js";
import { Verdict } from "./verdict.js";
import { Figures } from "./figures.js";
import { Timeline } from "./timeline.js";
import { Advice } from "./advice.js";
import { Anomalies } from "./anomalies.js";

const rank = { critical: 4, high: 3, medium: 2, low: 1, info: 0 };

/** The gravest problem, and of equally grave ones the most frequent. */
function dominantOf(series) {
  const found = series.filter(({ total }) => total > 0);
  return found.sort((a, b) => rank[b.severity] - rank[a.severity] || b.total - a.total)[0]?.name ?? null;
}

export function Overview({ useCase, subject, params, described }) {
  const isOfEntity = address().view === "entities";
  const range = rangeOf(params, useStore(figuresUntil));
  const wall = params.wall === "1";
  const listed = isOfEntity ? [subject] : split(params.entities);
  const spans = range && rangeParams(range);
  const all = useResource(spans && withQuery(path(useCase, "entities"), spans));
  const isCritical = params.critical === "1";
  const critical = isCritical && all.data ? all.data.series.filter((one) => one.critical).map((one) => one.name) : null;
  const chosen = critical ? (listed.length ? critical.filter((name) => listed.includes(name)) : critical) : listed;
  const entities = chosen.length ? joined(chosen) : undefined;
  const query = range && (params.critical !== "1" || all.data) ? { ...spans, entities } : null;
  const read = (...rest) => query && withQuery(path(useCase, ...rest), query);
  const summary = useResource(read("metrics", "summary"));
  const classes = useResource(read("classification", "series"));
  const detectors = useResource(query && withQuery(path(useCase, "anomalies", "series"), { ...query, by: "detector" }));
  const severities = useResource(query && withQuery(path(useCase, "anomalies", "series"), { ...query, by: "severity" }));
  const activations = useResource(query && withQuery(path(useCase, "activations"), { from: query.from, to: query.to }));

  const some = chosen.length ? all.data?.series.filter((one) => chosen.includes(one.name)) : all.data?.series;
  const shown = all.data && { ...all, data: { ...all.data, series: some } };
  const dominant = detectors.data ? dominantOf(detectors.data.series) : null;
  const problem = params.problem ?? dominant;
  // The page of one entity has its address; with more of them it is the overview.
  const choose = (keys) => {
    const chosenKeys = { entities: joined(keys) || undefined };
    if (!isOfEntity) change(chosenKeys, { replace: false });
    else go(keys.length === 1 ? to("entities", keys[0]) : to("overview", undefined, chosenKeys));
  };
  useKeys(isOfEntity ? { Escape: () => go(to("overview")) } : {});

  return html`
    <${Filters} params=${params} range=${range} entities=${all.data?.series} chosen=${listed}
      entity=${described?.entity}
      onChoose=${choose} />
    ${isOfEntity && html`
      <nav class="crumbs" aria-label="Where">
        <a href=${to("overview")}>Overview</a>
        <span>/</span>
        <span>${described?.entity.one} ${subject}</span>
      </nav>
    `}
    ${severities.error
      ? html`
        <section class="panel verdict-failed">
          <${Failure} of="Severities" error=${severities.error} onRetry=${severities.reload} />
        </section>
      `
      : !summary.error && html`
        <${Verdict} headline=${summary.data?.headline} severities=${severities.data}
          late=${summary.late || severities.late} />
      `}
    ${summary.error
      ? html`
        <section class="panel"><${Failure} of="Figures" error=${summary.error} onRetry=${summary.reload} /></section>
      `
      : html`<${Figures} data=${summary.data} late=${summary.late} range=${range} />`}
    <div class="middle">
      <${Timeline} range=${range} params=${params} described=${described} classes=${classes} detectors=${detectors}
        entities=${shown || all} activations=${activations} problem=${problem}
        onProblem=${(name) => change({ problem: name === dominant ? undefined : name })} wall=${wall} />
      ${!wall && html`
        <${Advice} useCase=${useCase} range=${range} entities=${entities} problem=${problem} dominant=${dominant}
          isKnown=${detectors.data !== null} described=${described} />
      `}
    </div>
    ${!wall && html`
      <${Anomalies} useCase=${useCase} params=${params} range=${query ? range : null} entities=${entities}
        described=${described} bySeverity=${severities.data} byDetector=${detectors.data} />
    `}
  `;
}
