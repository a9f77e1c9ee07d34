// Metrics as Prometheus sees them: a family has a name, a type and a sentence; a series of it has labels, and of a histogram
// several numbers.

/// A label of a series.
struct MetricLabel: Sendable, Hashable, Comparable {
  var name: String
  var value: String

  static func < (a: MetricLabel, b: MetricLabel) -> Bool { (a.name, a.value) < (b.name, b.value) }
}

/// A metric with all its series.
struct MetricFamily: Sendable {
  enum Kind: String, Sendable { case counter, gauge, histogram }

  /// What is measured under one set of labels.
  struct Series: Sendable {
    var labels: [MetricLabel]
    var content: Content

    /// Numbers that Prometheus counts as a series each.
    var count: Int {
      switch content {
      case .value: 1
      case .histogram(let histogram): histogram.bounds.count + 3
      }
    }
  }

  enum Content: Sendable {
    case value(Double)
    case histogram(HistogramContent)
  }

  /// Ends with `_total` where it is a counter.
  var name: String
  var kind: Kind
  var help: String
  var series: [Series] = []
}

/// How values are spread.
struct HistogramContent: Sendable {
  /// Upper bounds, ascending, without the infinite one.
  var bounds: [Double]
  /// Values up to each bound, and in all: one more than bounds, each at least the one before.
  var cumulative: [Int]
  var sum: Double
}

/// Families in the making, in the order in which they are first named.
struct MetricFamilies: Sendable {
  private(set) var all: [MetricFamily] = []
  private var places: [String: Int] = [:]

  /// Adds a series with what is known of its name.
  mutating func add(
    _ name: String, _ kind: MetricFamily.Kind = .gauge, _ labels: [(String, String)] = [], _ value: Double
  ) {
    let labels = labels.map { MetricLabel(name: $0.0, value: $0.1) }
    add(
      MetricFamily(
        name: name, kind: kind, help: MetricHelp.text(of: name),
        series: [MetricFamily.Series(labels: labels, content: .value(value))]))
  }

  /// Adds a family, or its series to those of its name.
  mutating func add(_ family: MetricFamily) {
    if let place = places[family.name] {
      all[place].series += family.series
    } else {
      places[family.name] = all.count
      all.append(family)
    }
  }
}
