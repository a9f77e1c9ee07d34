// What `pipeline.yaml` says about learned detectors: fitted features, the detectors themselves, and when they are trained.
// Ranges are checked where the file is read; what names mean is checked by `Plan`.

/// A feature that training fits: a transformation of one column that travels with the model. Only detectors read it.
public struct EncoderDefinition: Sendable, Hashable {
  public var name: String
  public var kind: EncoderKind
  /// The field or computed feature it transforms.
  public var of: LocatedText
  public var location: SourceLocation

  public init(
    name: String, kind: EncoderKind, of: LocatedText, location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.kind = kind
    self.of = of
    self.location = location
  }
}

/// The transformations that training can fit, each with its parameters.
public enum EncoderKind: Sendable, Hashable, Codable {
  /// Occurrences of the value per million training rows; 0 for one that was not seen.
  case frequency
  /// 0 for a value that was not seen, 1 below `rareBelow` per million training rows, 3 from `commonFrom` on, else 2.
  case frequencyBucket(rareBelow: Double, commonFrom: Double)
  /// 1, 2, 3 … by falling number of occurrences; 0 for a value that was not seen.
  case ordinal
  /// The value within two quantiles of the training rows, levels from 0 to 1.
  case clip(lower: Double, upper: Double)
  /// The value less its mean, by its standard deviation, both over the training rows.
  case scale

  public static let defaultRareBelow = 10.0
  public static let defaultCommonFrom = 1_000.0
  public static let defaultLower = 0.001
  public static let defaultUpper = 0.999

  /// The word that names it in `pipeline.yaml`.
  public var name: String {
    switch self {
    case .frequency: "frequency"
    case .frequencyBucket: "frequency_bucket"
    case .ordinal: "ordinal"
    case .clip: "clip"
    case .scale: "scale"
    }
  }

  /// The words that name encoders.
  public static let names = ["clip", "frequency", "frequency_bucket", "ordinal", "scale"]

  /// Whether it looks at values as names and not as amounts.
  public var isCategorical: Bool {
    switch self {
    case .frequency, .frequencyBucket, .ordinal: true
    case .clip, .scale: false
    }
  }

  /// Whether it can transform a column of this type.
  public func accepts(_ type: ValueType) -> Bool {
    isCategorical ? type == .string || type == .int || type == .bool : type == .int || type == .double
  }
}

/// How many false alarms a detector may raise. The threshold follows from it.
public struct FalseAlarmBudget: Sendable, Hashable, Codable {
  public enum Amount: Sendable, Hashable, Codable {
    /// Share of the scored events, above 0 and at most 0.1.
    case rate(Double)
    /// Alarms for each entity and day on which it had events.
    case perEntityAndDay(Double)
  }

  public var amount: Amount
  /// Whether a threshold beyond what calibration can count may be taken from a fitted tail.
  public var fitsTail: Bool

  public init(_ amount: Amount, fitsTail: Bool = false) {
    self.amount = amount
    self.fitsTail = fitsTail
  }
}

/// One entry of `detectors:`: what every learned detector has, and the parameters of its type.
public struct DetectorDefinition: Sendable {
  public var name: String
  /// What is written for its type alone.
  public var parameters: any DetectorParameters
  /// Fields, computed and fitted features, in the order of the file.
  public var features: [LocatedText]
  /// Events it scores; nil for all.
  public var when: LocatedText?
  /// Events it learns from, of those it scores; nil for all of them.
  public var trainWhen: LocatedText?
  public var severity: Severity
  public var budget: FalseAlarmBudget?
  public var location: SourceLocation

  public init(
    name: String, parameters: any DetectorParameters, features: [LocatedText], when: LocatedText? = nil,
    trainWhen: LocatedText? = nil, severity: Severity = .medium, budget: FalseAlarmBudget? = nil,
    location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.parameters = parameters
    self.features = features
    self.when = when
    self.trainWhen = trainWhen
    self.severity = severity
    self.budget = budget
    self.location = location
  }

  /// The word that names its type in `pipeline.yaml`.
  public var type: String { Swift.type(of: parameters).descriptor.type }

  /// Whether its models come from stored history; the others are brought by the user.
  public var isTrained: Bool { Swift.type(of: parameters).isTrained }

  /// The budget that holds: the one that is written, or the usual one of a type that has no threshold of its own.
  public var effectiveBudget: FalseAlarmBudget? { budget ?? parameters.usualBudget }
}

extension DetectorDefinition: Hashable {
  public static func == (a: DetectorDefinition, b: DetectorDefinition) -> Bool {
    a.name == b.name && AnyHashable(a.parameters) == AnyHashable(b.parameters) && a.features == b.features
      && a.when == b.when && a.trainWhen == b.trainWhen && a.severity == b.severity && a.budget == b.budget
      && a.location == b.location
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(AnyHashable(parameters))
    hasher.combine(features)
  }
}

/// The `training:` section.
public struct TrainingDefinition: Sendable, Hashable {
  public enum Schedule: Sendable, Hashable {
    /// Each time this much event time has passed, microseconds.
    case every(Int64)
    /// On demand only.
    case manual
  }

  public var schedule: Schedule
  /// Length of the rolling window of history that is read, microseconds, whole days.
  public var history: Int64
  /// Rows that are read at most, sampled evenly.
  public var maxRows: Int

  public init(
    schedule: Schedule = .every(86_400_000_000), history: Int64 = 14 * 86_400_000_000, maxRows: Int = 400_000
  ) {
    self.schedule = schedule
    self.history = history
    self.maxRows = maxRows
  }
}
