// What /metrics answers: the text format of Prometheus, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), or that of OpenMetrics 1.0 where a client asks for it.

import Detection

/// An answer to Prometheus, with a bound on how many series it has.
struct MetricPage: Sendable {
  enum Format: Sendable {
    case text, openMetrics

    /// - Parameter accepted: what `Accept` says.
    init(accepted: String?) {
      let isAsked = (accepted ?? "").lowercased().split(separator: ",").contains { type in
        let parts = type.split(separator: ";").map { $0.filter { $0 != " " } }
        return parts.first == "application/openmetrics-text" && !parts.contains { $0 == "q=0" || $0 == "q=0.0" }
      }
      self = isAsked ? .openMetrics : .text
    }

    var contentType: String {
      switch self {
      case .text: "text/plain; version=0.0.4; charset=utf-8"
      case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
      }
    }
  }

  /// Series of an answer at most, whatever the events hold.
  static let mostSeries = 2_000
  static let droppedName = "pulse_metric_series_dropped"

  private var families: [MetricFamily] = []
  /// Series for which there was no room.
  private(set) var dropped = 0

  /// - Parameters:
  ///   - all: the more important first: what is beyond the bound is left out.
  ///   - refused: series that were left out before.
  init(_ all: [MetricFamily], refused: Int) {
    var room = Self.mostSeries - 1
    dropped = refused
    for var family in all {
      family.series.removeAll { series in
        if series.count <= room {
          room -= series.count
          return false
        }
        dropped += series.count
        return true
      }
      if !family.series.isEmpty { families.append(family) }
    }
    families.append(
      MetricFamily(
        name: Self.droppedName, kind: .gauge, help: MetricHelp.text(of: Self.droppedName),
        series: [MetricFamily.Series(labels: [], content: .value(Double(dropped)))]))
  }

  func text(_ format: Format) -> String {
    var text = ""
    for family in families {
      // In OpenMetrics a counter is named without its ending.
      let isCounter = format == .openMetrics && family.kind == .counter
      let name = isCounter ? String(family.name.dropLast("_total".count)) : family.name
      text += "# HELP \(name) \(Self.escaped(family.help, withQuotes: format == .openMetrics))\n"
      text += "# TYPE \(name) \(family.kind.rawValue)\n"
      for series in family.series { Self.write(series, of: family.name, to: &text) }
    }
    return format == .openMetrics ? text + "# EOF\n" : text
  }

  private static func write(_ series: MetricFamily.Series, of name: String, to text: inout String) {
    let labels = series.labels.map { "\($0.name)=\"\(escaped($0.value, withQuotes: true))\"" }
    func line(_ ending: String, _ value: String, _ more: String? = nil) {
      let all = more.map { labels + [$0] } ?? labels
      text += name + ending + (all.isEmpty ? "" : "{\(all.joined(separator: ","))}") + " \(value)\n"
    }
    switch series.content {
    case .value(let value): line("", number(value))
    case .histogram(let histogram):
      for (bound, count) in zip(histogram.bounds, histogram.cumulative) {
        // As a double in both formats: a label's value names the series.
        line("_bucket", String(count), "le=\"\(bound)\"")
      }
      let count = String(histogram.cumulative.last ?? 0)
      line("_bucket", count, "le=\"+Inf\"")
      line("_sum", number(histogram.sum))
      line("_count", count)
    }
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map { String($0) } ?? "\(value)"
  }

  private static func escaped(_ text: String, withQuotes: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
    var escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    if withQuotes { escaped = escaped.replacing("\"", with: "\\\"") }
    return escaped
  }
}
