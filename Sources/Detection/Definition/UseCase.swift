// A use case as data: what `pipeline.yaml` says once it is read and checked for form. Expressions are still text here;
// `Plan` compiles them against the schema. Locations let an error name file, line and column.

/// Everything `pipeline.yaml` declares.
public struct UseCase: Sendable, Hashable {
  public var name: String
  public var event: EventDefinition
  /// Derived columns, in the order of the file; a feature may use the ones before it.
  public var features: [FeatureDefinition]
  /// Features that training fits, in the order of the file.
  public var encoders: [EncoderDefinition]
  public var classification: ClassificationDefinition?
  public var detectors: [DetectorDefinition]
  public var rules: [RuleDefinition]
  public var windows: [WindowDefinition]
  /// How long history is kept behind the watermark, microseconds, by whole days; nil keeps everything.
  public var historyRetention: Int64?
  /// How long anomalies and dead letters are kept behind the watermark, microseconds; nil keeps everything.
  public var resultRetention: Int64?
  public var training: TrainingDefinition
  /// What people see of it; nil where it says nothing about that.
  public var dashboard: DashboardDefinition?
  /// What it counts beside what the product counts; nil where it has no metrics of its own.
  public var metrics: MetricsDefinition?

  public init(
    name: String, event: EventDefinition, features: [FeatureDefinition] = [], encoders: [EncoderDefinition] = [],
    classification: ClassificationDefinition? = nil, detectors: [DetectorDefinition] = [], rules: [RuleDefinition] = [],
    windows: [WindowDefinition] = [], historyRetention: Int64? = nil, resultRetention: Int64? = nil,
    training: TrainingDefinition = TrainingDefinition()
  ) {
    self.name = name
    self.event = event
    self.features = features
    self.encoders = encoders
    self.classification = classification
    self.detectors = detectors
    self.rules = rules
    self.windows = windows
    self.historyRetention = historyRetention
    self.resultRetention = resultRetention
    self.training = training
  }
}

/// The `event:` section.
public struct EventDefinition: Sendable, Hashable {
  public var schema: Schema
  /// Field by which the source is partitioned, where the configuration says so; stateful rules need their `per` here.
  public var partitionedBy: String?
  /// How far the watermark trails the highest event time, microseconds.
  public var outOfOrder: Int64
  /// How far beyond the watermark an event whose time is in doubt counts in its windows, microseconds.
  public var maxAhead: Int64
  /// Index in the schema of the field that says whose clock the event time is; nil where a partition has one clock.
  public var clockOf: Int?
  /// Event time without a word from a clock after which the watermark does not wait for it, microseconds.
  public var clockIdle: Int64
  /// Named conditions over fields that every event must meet; one that is false or NULL makes a dead letter.
  public var checks: [NamedExpression]

  /// Ten minutes: longer than what a producer that still works keeps silent, in most streams.
  public static let defaultClockIdle: Int64 = 600_000_000

  public init(
    schema: Schema, partitionedBy: String? = nil, outOfOrder: Int64 = 0, maxAhead: Int64 = 86_400_000_000,
    clockOf: Int? = nil, clockIdle: Int64 = Self.defaultClockIdle, checks: [NamedExpression] = []
  ) {
    self.schema = schema
    self.partitionedBy = partitionedBy
    self.outOfOrder = outOfOrder
    self.maxAhead = maxAhead
    self.clockOf = clockOf
    self.clockIdle = clockIdle
    self.checks = checks
  }
}

/// A name and an expression.
public struct NamedExpression: Sendable, Hashable {
  public var name: String
  public var expression: LocatedText

  public init(name: String, expression: LocatedText) {
    self.name = name
    self.expression = expression
  }
}

/// One entry of `features:` that is computed by an expression.
public typealias FeatureDefinition = NamedExpression

/// The `classify:` section: ordered cases, first match wins.
public struct ClassificationDefinition: Sendable, Hashable {
  /// Name of the column and of the counts in windows.
  public var into: String
  public var cases: [NamedExpression]
  /// Class of events that match no case.
  public var otherwise: String

  public init(into: String, cases: [NamedExpression], otherwise: String) {
    self.into = into
    self.cases = cases
    self.otherwise = otherwise
  }

  /// The classes, the default last.
  public var classes: [String] { cases.map(\.name) + [otherwise] }
}

/// One entry of `rules:`. Stateless with `when` alone; with `per`, `within` and `having` a sliding window per entity.
public struct RuleDefinition: Sendable, Hashable {
  public var name: String
  public var severity: Severity
  /// Events the rule looks at; nil means all.
  public var when: LocatedText?
  /// Fields or features that make the entity; empty for a stateless rule.
  public var per: [LocatedText]
  /// Length of the sliding window, microseconds; of a streak, a sequence or a journey how long it takes at most.
  public var within: Int64?
  /// Condition over aggregates of the window.
  public var having: LocatedText?
  /// Time after a finding during which the entity raises no further one, microseconds of event time. For a stateful rule
  /// the default is `within`: one episode is one anomaly.
  public var coolDown: Int64?
  /// Template of the reason: `{name}` stands for a field, feature or aggregate (`{count(*)}`); nil for the default one.
  public var reason: LocatedText?
  /// What it remembers of an entity in place of a window; nil for a rule over single events or over a window.
  public var profile: ProfileDefinition?
  public var location: SourceLocation

  public init(
    name: String, severity: Severity, when: LocatedText? = nil, per: [LocatedText] = [], within: Int64? = nil,
    having: LocatedText? = nil, coolDown: Int64? = nil, reason: LocatedText? = nil, profile: ProfileDefinition? = nil,
    location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.severity = severity
    self.when = when
    self.per = per
    self.within = within
    self.having = having
    self.coolDown = coolDown
    self.reason = reason
    self.profile = profile
    self.location = location
  }
}

/// One entry of `windows:`.
public struct WindowDefinition: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable { case tumbling, sliding }

  /// What every window has as a JSON object beside its `by` values and the counts by class, which can have none of these
  /// names.
  public static let ownMembers: Set<String> = [
    "use_case", "window", "start", "end", "closed", "events", "aggregates",
  ]

  public var name: String
  public var kind: Kind
  /// Length, microseconds. Windows start at multiples of `every` since 1970-01-01 00:00 UTC.
  public var size: Int64
  /// Distance between starts, microseconds; equal to `size` for tumbling windows.
  public var every: Int64
  /// Fields or features that group the events; empty for one window over all.
  public var by: [LocatedText]
  /// How long after its end (by watermark) a window still takes events, microseconds.
  public var allowedLateness: Int64
  /// How long a window is kept behind the watermark, microseconds; nil keeps it for ever.
  public var retain: Int64?
  /// Aggregates by name, each one aggregate call (`count(*)`, `quantile(x, 0.99)`), in the order of the file.
  public var aggregates: [NamedExpression]
  public var location: SourceLocation

  public init(
    name: String, kind: Kind, size: Int64, every: Int64? = nil, by: [LocatedText] = [], allowedLateness: Int64 = 0,
    retain: Int64? = nil, aggregates: [NamedExpression], location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.kind = kind
    self.size = size
    self.every = every ?? size
    self.by = by
    self.allowedLateness = allowedLateness
    self.retain = retain
    self.aggregates = aggregates
    self.location = location
  }
}
