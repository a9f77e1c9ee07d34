// The `metrics:` section of a use case: what it counts for whoever watches it, beside what the product counts by itself.
// Nothing that is stored depends on it.

/// The metrics of a use case's own.
public struct MetricsDefinition: Sendable, Hashable {
  /// Begins all their names.
  public var prefix: String
  /// In the order of the file.
  public var own: [MetricDefinition]

  public init(prefix: String, own: [MetricDefinition]) {
    self.prefix = prefix
    self.own = own
  }

  /// First words of names that somebody else has: the product, and what is customary for processes and scrapes.
  public static let reservedPrefixes = ["pulse", "process", "scrape", "up", "go"]
}

/// One entry of `metrics: {own: […]}`.
public struct MetricDefinition: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// How many, or how much in all.
    case counter
    /// The value of the last event.
    case gauge
    /// How values are spread.
    case histogram
  }

  /// A label, whose value an event has.
  public struct Label: Sendable, Hashable {
    public var name: String
    public var expression: LocatedText
    /// Values that are told apart, the first ones that are seen.
    public var most: Int

    public init(name: String, expression: LocatedText, most: Int) {
      self.name = name
      self.expression = expression
      self.most = most
    }
  }

  /// Names of labels that somebody else gives: the product, Prometheus, and histograms.
  public static let reservedLabels = ["use_case", "job", "instance", "le", "quantile"]
  /// The value of a label for events whose own value is beyond the bound.
  public static let otherValue = "other"

  public var name: String
  public var kind: Kind
  /// What it says, for people.
  public var help: String
  /// What is added up, shown or spread; nil counts events.
  public var value: LocatedText?
  /// Events that it looks at; nil means all.
  public var when: LocatedText?
  public var labels: [Label]
  /// Upper bounds of a histogram's buckets, ascending; empty for other kinds.
  public var buckets: [Double]
  public var location: SourceLocation

  public init(
    name: String, kind: Kind, help: String, value: LocatedText? = nil, when: LocatedText? = nil, labels: [Label] = [],
    buckets: [Double] = [], location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.kind = kind
    self.help = help
    self.value = value
    self.when = when
    self.labels = labels
    self.buckets = buckets
    self.location = location
  }

  /// The name that it is exposed by.
  public func fullName(prefix: String) -> String { "\(prefix)_\(name)\(kind == .counter ? "_total" : "")" }

  /// Series that one combination of labels makes: of a histogram its buckets, that of all values, their sum and count.
  public var seriesPerLabels: Int { kind == .histogram ? buckets.count + 3 : 1 }
}
