// /metrics: what Prometheus scrapes. Gauges of use cases are read from their stores, so that a server beside a run tells them
// as well as the run itself.

import Detection
import HTTPTypes
import Operations
import Pipeline

struct MetricsRoutes {
  let services: Services

  var endpoints: [Endpoint] {
    [
      Endpoint(
        method: .get, path: "/metrics", tag: "health", summary: "Metrics for Prometheus",
        details: "In the text format 0.0.4, or that of OpenMetrics 1.0 where `Accept` asks for it. At most "
          + "\(MetricPage.mostSeries) series; `\(MetricPage.droppedName)` says how many are left out.",
        access: .read,
        answers: [
          .init(
            .ok, "Of the process, and of each use case that the caller may see.", .init("text/plain", .string),
            .init("application/openmetrics-text", .string))
        ],
        respond: { [services] call in
          let format = MetricPage.Format(accepted: call.headers[.accept])
          let page = MetricPage(await Self.families(services, for: call.caller), refused: services.metrics.refused)
          return Reply(
            page.text(format), contentType: format.contentType, headers: [.vary: "Accept"], caching: .never)
        })
    ]
  }

  /// What there is to tell a caller, the more important first.
  private static func families(_ services: Services, for caller: Principal) async -> [MetricFamily] {
    var families = MetricFamilies()
    families.add("pulse_build_info", .gauge, [("version", ProductVersion.current)], 1)
    families.add("pulse_http_stream_clients", .gauge, [], Double(services.live.watching))
    for family in ProcessFigures.families() { families.add(family) }
    let recorded = services.metrics.families.map { $0.visible(to: caller) }
    let ofRequests = recorded.filter { $0.name.hasPrefix(HTTPMetrics.prefix) }
    for family in recorded where !family.name.hasPrefix(HTTPMetrics.prefix) { families.add(family) }
    for useCase in services.catalog.all where caller.maySee(useCase.name) {
      await StoredFigures(useCase, services).add(to: &families)
    }
    if let run = services.run, caller.maySee(run.useCase) {
      for total in run.progress.ownMetrics { families.add(MetricFamily(total, of: run.useCase)) }
    }
    // There are at most as many as there are addresses, and only clients make them.
    for family in ofRequests { families.add(family) }
    return families.all
  }
}

extension MetricFamily {
  /// Without series of use cases that a caller may not see.
  fileprivate func visible(to caller: Principal) -> MetricFamily {
    guard caller.useCases != nil else { return self }
    var family = self
    family.series.removeAll { series in
      series.labels.contains { $0.name == "use_case" && !caller.maySee($0.value) }
    }
    return family
  }

  /// A metric of a use case's own.
  fileprivate init(_ total: MetricTotals, of useCase: String) {
    let definition = total.metric.definition
    let kind: Kind =
      switch definition.kind {
      case .counter: .counter
      case .gauge: .gauge
      case .histogram: .histogram
      }
    self.init(name: total.metric.name, kind: kind, help: definition.help)
    series = total.series.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { values, amount in
      let labels = zip(definition.labels, values).map { MetricLabel(name: $0.name, value: $1) }
      let content: Content =
        kind == .histogram
        ? .histogram(HistogramContent(bounds: definition.buckets, counts: amount.buckets, sum: amount.sum))
        : .value(amount.sum)
      return Series(labels: [MetricLabel(name: "use_case", value: useCase)] + labels, content: content)
    }
  }
}
