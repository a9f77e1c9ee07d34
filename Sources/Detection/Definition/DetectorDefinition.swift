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

/// One entry of `detectors:`.
public struct DetectorDefinition: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    case isolationForest(IsolationForestDefinition)
    case expectedValue(ExpectedValueDefinition)
    case onnx(ONNXDefinition)

    /// The word that names it in `pipeline.yaml`, as in `DetectorCatalog`.
    public var name: String {
      switch self {
      case .isolationForest: "isolation_forest"
      case .expectedValue: "expected_value"
      case .onnx: "onnx"
      }
    }
  }

  public var name: String
  public var kind: Kind
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
    name: String, kind: Kind, features: [LocatedText], when: LocatedText? = nil, trainWhen: LocatedText? = nil,
    severity: Severity = .medium, budget: FalseAlarmBudget? = nil,
    location: SourceLocation = SourceLocation(line: 1, column: 1)
  ) {
    self.name = name
    self.kind = kind
    self.features = features
    self.when = when
    self.trainWhen = trainWhen
    self.severity = severity
    self.budget = budget
    self.location = location
  }

  /// Whether its models come from stored history; the others are brought by the user.
  public var isTrained: Bool { if case .onnx = kind { false } else { true } }

  /// The budget that holds: a forest has no threshold of its own, and gets a thousandth of its events.
  public var effectiveBudget: FalseAlarmBudget? {
    if case .isolationForest = kind { return budget ?? FalseAlarmBudget(.rate(0.001)) }
    return budget
  }
}

/// The parameters of an isolation forest (Liu, Ting, Zhou, "Isolation Forest", ICDM 2008).
public struct IsolationForestDefinition: Sendable, Hashable {
  public var trees: Int
  /// Rows that each tree is grown from, drawn without replacement.
  public var sampleSize: Int

  public init(trees: Int = 100, sampleSize: Int = 256) {
    self.trees = trees
    self.sampleSize = sampleSize
  }
}

/// The parameters of an expected value.
public struct ExpectedValueDefinition: Sendable, Hashable {
  /// When an event is out of the order of its entity: actually among the highest, expectedly not.
  public struct Misrank: Sendable, Hashable {
    /// Quantile of the entity's actual values that is exceeded, 0 to 1.
    public var actual: Double
    /// Quantile of the entity's expected values that is not, 0 to 1.
    public var expected: Double
    /// Rows without which an entity has no quantiles.
    public var minRows: Int

    public init(actual: Double = 0.99, expected: Double = 0.9, minRows: Int = 200) {
      self.actual = actual
      self.expected = expected
      self.minRows = minRows
    }
  }

  /// The field or computed feature that is predicted: a number from 0 on.
  public var target: LocatedText
  /// Level of the second prediction, above 0 and below 1.
  public var quantile: Double
  /// Target below which nothing is an anomaly; in the target's unit, as `delta` and `leastExpected`.
  public var floor: Double
  /// Actual by expected from which on an event is an anomaly.
  public var ratio: Double
  /// Actual less expected from which on an event is an anomaly.
  public var delta: Double
  /// Nil where rank does not matter.
  public var misrank: Misrank?
  /// Smallest expectation that is believed.
  public var leastExpected: Double
  public var trees: Int
  public var leaves: Int
  public var learningRate: Double

  public init(
    target: LocatedText, quantile: Double = 0.9, floor: Double = 60_000, ratio: Double = 10, delta: Double = 120_000,
    misrank: Misrank? = Misrank(), leastExpected: Double = 1, trees: Int = 300, leaves: Int = 31,
    learningRate: Double = 0.1
  ) {
    self.target = target
    self.quantile = quantile
    self.floor = floor
    self.ratio = ratio
    self.delta = delta
    self.misrank = misrank
    self.leastExpected = leastExpected
    self.trees = trees
    self.leaves = leaves
    self.learningRate = learningRate
  }
}

/// A model that the user brings.
public struct ONNXDefinition: Sendable, Hashable {
  /// Path of the file, from the folder of the use case.
  public var model: LocatedText
  /// Threads that score a batch.
  public var threads: Int
  /// Execution provider of the runtime.
  public var provider: String
  /// Name of the model's input; nil for its only one.
  public var input: String?
  /// Name of the model's output that is the score; nil for its only one.
  public var output: String?
  /// Score from which on an event is an anomaly.
  public var threshold: Double

  public init(
    model: LocatedText, threads: Int = 1, provider: String = "cpu", input: String? = nil, output: String? = nil,
    threshold: Double = 0.5
  ) {
    self.model = model
    self.threads = threads
    self.provider = provider
    self.input = input
    self.output = output
    self.threshold = threshold
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
