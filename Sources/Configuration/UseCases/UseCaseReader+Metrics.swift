// The `metrics:` section of `pipeline.yaml`.

import Detection

extension UseCaseReader {
  static let metricKeys = ["name", "type", "help", "value", "when", "labels", "buckets"]
  static let metricsKeys = ["prefix", "own"]
  private static let labelKeys = ["of", "most"]
  /// Words by which Prometheus tells parts of a metric apart, or that the product adds by itself.
  private static let endings = ["total", "count", "sum", "bucket", "info", "created"]
  /// Units that are none of the base units of Prometheus, with what takes their place.
  private static let units: [(words: Set<String>, base: String)] = [
    (
      ["ns", "us", "ms", "s", "sec", "nanoseconds", "microseconds", "milliseconds", "minutes", "hours", "days"],
      "seconds"
    ),
    (
      ["b", "kb", "mb", "gb", "tb", "pb", "kilobytes", "megabytes", "gigabytes", "terabytes", "petabytes", "bits"],
      "bytes"
    ), (["percent"], "ratio"),
  ]

  mutating func metricsDefinition(_ node: YAMLNode, of useCase: String) -> MetricsDefinition? {
    guard let keys = reader.keys(of: node, in: "`metrics`", known: Self.metricsKeys) else { return nil }
    var prefix = String(useCase.map { $0 == "-" ? "_" : $0 })
    var place = keys.location
    if let node = keys["prefix"], let text = reader.text(node, what: "`prefix`", expected: "a name") {
      prefix = reader.name(text, what: "`prefix`") ?? prefix
      place = text.location
    }
    let first = prefix.prefix { $0 != "_" }
    if MetricsDefinition.reservedPrefixes.contains(String(first)) {
      reader.report(
        place, "metrics that begin with `\(first)` are not the use case's own", expected: "another `prefix`",
        found: "`\(prefix)`")
    }
    var names: [String: Int] = [:]
    let items = keys.required("own", "[…]", &reader).flatMap { reader.list($0, what: "`own`") } ?? []
    return MetricsDefinition(prefix: prefix, own: items.compactMap { metric($0, &names) })
  }

  private mutating func metric(_ node: YAMLNode, _ names: inout [String: Int]) -> MetricDefinition? {
    guard let keys = reader.keys(of: node, in: "the metric", known: Self.metricKeys) else { return nil }
    let name = uniqueName(keys, what: "the metric", among: &names)
    if let name, let node = keys["name"] { checkWords(name, at: node.location) }
    let kind = keys.required("type", "counter", &reader).flatMap {
      reader.word($0, what: "the metric type", of: MetricDefinition.Kind.allCases.map(\.rawValue))
    }.flatMap(MetricDefinition.Kind.init)
    let help = keys.required("help", "What it counts.", &reader).flatMap {
      reader.text($0, what: "`help`", expected: "a sentence")
    }
    let value = keys["value"].flatMap { reader.expression($0, what: "`value`") }
    let when = keys["when"].flatMap { reader.expression($0, what: "`when`") }
    if keys["value"] == nil, let kind, kind != .counter {
      reader.report(keys.location, "the \(kind.rawValue) has no `value`", expected: "`value: an expression`")
    }
    let buckets = self.buckets(keys, kind)
    let labels = keys["labels"].map { self.labels($0) } ?? []
    guard let name, let kind, let help else { return nil }
    return MetricDefinition(
      name: name, kind: kind, help: help.text, value: value, when: when, labels: labels, buckets: buckets,
      location: keys.location)
  }

  /// Names that Prometheus reads in another way, or that do not say a base unit.
  private mutating func checkWords(_ name: String, at place: SourceLocation) {
    let words = name.split(separator: "_").map(String.init)
    if let last = words.last, Self.endings.contains(last) {
      reader.report(
        place, "the metric `\(name)` ends with `\(last)`, which Prometheus reads as a part of a metric",
        expected: "a name without it" + (last == "total" ? ": counters get `_total` by themselves" : ""),
        suggestion: words.count > 1 ? words.dropLast().joined(separator: "_") : nil)
    }
    if let kind = MetricDefinition.Kind.allCases.map(\.rawValue).first(where: { words.contains($0) }) {
      reader.report(place, "the name of the metric `\(name)` says its type `\(kind)`", expected: "a name without it")
    }
    for (units, base) in Self.units {
      guard let unit = words.first(where: { units.contains($0) }) else { continue }
      reader.report(
        place, "the metric `\(name)` has the unit `\(unit)`, which is no base unit",
        expected: "`\(base)` in the name, and a `value` in it (such as `duration_ms / 1000.0`)",
        suggestion: words.map { $0 == unit ? base : $0 }.joined(separator: "_"))
    }
  }

  private mutating func buckets(_ keys: Keys, _ kind: MetricDefinition.Kind?) -> [Double] {
    guard kind == .histogram else {
      if keys["buckets"] != nil, kind != nil {
        reader.report(keys.location(of: "buckets"), "`buckets` applies to histograms alone")
      }
      return []
    }
    guard let node = keys.required("buckets", "[0.1, 1, 10]", &reader), let items = reader.list(node, what: "`buckets`")
    else { return [] }
    var bounds: [Double] = []
    for item in items {
      guard case .scalar(let text, false) = item.content, let bound = Double(text.text), bound.isFinite,
        bound > bounds.last ?? -.infinity
      else {
        reader.report(
          item.location, "a bound of `buckets` is not in order", expected: "numbers, each above the one before",
          found: item.description)
        return []
      }
      bounds.append(bound)
    }
    if !(1...Limits.maxMetricBuckets).contains(bounds.count) {
      reader.report(
        node.location, "`buckets` has \(bounds.count) bounds", expected: "1 to \(Limits.maxMetricBuckets)")
    }
    return bounds
  }

  private mutating func labels(_ node: YAMLNode) -> [MetricDefinition.Label] {
    var labels: [MetricDefinition.Label] = []
    for entry in reader.mapping(node, what: "`labels`") ?? [] {
      if let label = label(entry) { labels.append(label) }
    }
    if labels.count > Limits.maxMetricLabels {
      reader.report(
        node.location, "the metric has \(labels.count) labels", expected: "at most \(Limits.maxMetricLabels)")
    }
    return labels
  }

  private mutating func label(_ entry: YAMLEntry) -> MetricDefinition.Label? {
    guard let name = reader.name(entry.key, what: "the label") else { return nil }
    if MetricDefinition.reservedLabels.contains(name) {
      reader.report(entry.key.location, "the label `\(name)` is not the use case's own", expected: "another name")
    }
    let what = "the label `\(name)`"
    guard case .mapping = entry.value.content else {
      return reader.expression(entry.value, what: what).map {
        MetricDefinition.Label(name: name, expression: $0, most: Limits.defaultMetricValues)
      }
    }
    guard let keys = reader.keys(of: entry.value, in: what, known: Self.labelKeys) else { return nil }
    let most = reader.integer("most", keys, 1...Limits.maxMetricSeries, Limits.defaultMetricValues)
    let of = keys.required("of", "an expression", &reader).flatMap { reader.expression($0, what: what) }
    guard let of else { return nil }
    return MetricDefinition.Label(name: name, expression: of, most: most ?? Limits.defaultMetricValues)
  }
}
