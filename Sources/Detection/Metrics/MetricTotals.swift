// What a use case's own metric has come to: amounts by labels, with bounds on how many values a label may have.

/// What a group of events adds to a metric, or what it has come to.
public struct MetricAmount: Sendable, Hashable {
  /// Events, or values.
  public private(set) var count = 0
  /// What they add up to; of a gauge the last one.
  public private(set) var sum = 0.0
  /// Values by bucket of a histogram, those beyond the last bound behind them.
  public private(set) var buckets: [Int]

  /// Nothing yet.
  init(bucketsOf definition: MetricDefinition) {
    buckets = definition.kind == .histogram ? Array(repeating: 0, count: definition.buckets.count + 1) : []
  }

  /// So many events, each of which counts 1.
  init(events: Int) {
    (count, sum) = (events, Double(events))
    buckets = []
  }

  mutating func add(_ value: Double, as definition: MetricDefinition) {
    count += 1
    switch definition.kind {
    case .counter: sum += value
    case .gauge: sum = value
    case .histogram:
      sum += value
      buckets[definition.buckets.firstIndex { value <= $0 } ?? definition.buckets.count] += 1
    }
  }

  fileprivate mutating func add(_ other: MetricAmount, as kind: MetricDefinition.Kind) {
    count += other.count
    sum = kind == .gauge ? other.sum : sum + other.sum
    for index in buckets.indices { buckets[index] += other.buckets[index] }
  }
}

/// What a batch adds to a metric.
public struct MetricCounts: Sendable, Hashable {
  /// Events with the same labels.
  public struct Group: Sendable, Hashable {
    /// In the order of the definition.
    public var labels: [String]
    public var amount: MetricAmount
  }

  public var groups: [Group]

  init(_ groups: [Group]) { self.groups = groups }
}

/// A metric with everything that was counted.
public struct MetricTotals: Sendable {
  public let metric: CompiledMetric
  /// By the values of the labels, in the order of the definition.
  public private(set) var series: [[String]: MetricAmount] = [:]
  /// The values of each label that are told apart.
  private var known: [Set<String>]

  public init(_ metric: CompiledMetric) {
    self.metric = metric
    known = metric.labels.map { _ in [] }
    // What has no labels is there from the beginning, so that a rate has a value before its first increase.
    if metric.labels.isEmpty, metric.definition.kind != .gauge {
      series[[]] = MetricAmount(bucketsOf: metric.definition)
    }
  }

  public mutating func add(_ counts: MetricCounts) {
    let definition = metric.definition
    for group in counts.groups {
      var labels = group.labels
      for (index, label) in metric.labels.enumerated() where !known[index].contains(labels[index]) {
        if known[index].count < label.most {
          known[index].insert(labels[index])
        } else {
          labels[index] = MetricDefinition.otherValue
        }
      }
      series[labels, default: MetricAmount(bucketsOf: definition)].add(group.amount, as: definition.kind)
    }
  }
}
