// What a user needs to know about a type of detector: the reader of use cases, its errors and `pulse list detectors` are made
// from it.

/// What a user needs to know about a type of detector.
public struct DetectorDescriptor: Sendable, Hashable {
  /// A key of the detector's or rule's section in `pipeline.yaml`.
  public struct Parameter: Sendable, Hashable {
    /// How it is read.
    public enum Form: Sendable, Hashable {
      /// In the same way for all types that have it.
      case shared
      /// A text; `example` stands in the message where it is missing.
      case text(expected: String, example: String)
      case number(NumberRange, standard: Double)
      case integer(ClosedRange<Int>, standard: Int)
      /// Numbers by name, or `none`.
      case mapping([Parameter])
    }

    public var name: String
    /// What may be written: "expression", "duration", "number".
    public var type: String
    /// What holds when it is left out, as it would be written; nil when it must be given.
    public var defaultValue: String?
    public var meaning: String
    public var form: Form

    public init(
      _ name: String, _ type: String, default defaultValue: String? = nil, _ meaning: String, form: Form = .shared
    ) {
      self.name = name
      self.type = type
      self.defaultValue = defaultValue
      self.meaning = meaning
      self.form = form
    }

    /// A number within a range.
    public static func number(
      _ name: String, _ range: NumberRange, default standard: Double, _ meaning: String
    ) -> Parameter {
      let text = Int(exactly: standard).map(String.init) ?? standard.description
      return Parameter(name, "number", default: text, meaning, form: .number(range, standard: standard))
    }

    /// A whole number within a range.
    public static func integer(
      _ name: String, _ range: ClosedRange<Int>, default standard: Int, _ meaning: String
    ) -> Parameter {
      Parameter(name, "int", default: String(standard), meaning, form: .integer(range, standard: standard))
    }
  }

  /// Name of the type.
  public var type: String
  /// One line: what it finds.
  public var summary: String
  /// Whether it remembers earlier events, and so needs all events of an entity in one partition.
  public var isStateful: Bool
  /// Whether it stands in `detectors:` and scores with a model; the others are rules.
  public var isLearned: Bool
  public var parameters: [Parameter]
  /// Whether this version can run it.
  public var isAvailable: Bool

  public init(
    type: String, summary: String, isStateful: Bool, isLearned: Bool = false, parameters: [Parameter] = [],
    isAvailable: Bool = true
  ) {
    self.type = type
    self.summary = summary
    self.isStateful = isStateful
    self.isLearned = isLearned
    self.parameters = parameters
    self.isAvailable = isAvailable
  }

  /// What to tell someone who asks for a detector that this version cannot run; nil when it can.
  public var unavailability: String? { isAvailable ? nil : "detector type `\(type)` is not available yet" }

  /// Whether it has a key of this name.
  public func has(_ parameter: String) -> Bool { parameters.contains { $0.name == parameter } }
}

extension DetectorDescriptor {
  /// Keys of every learned detector.
  public static let scored: [Parameter] = [when, severity]

  /// Keys of every detector that is trained.
  public static let trained: [Parameter] = [
    when, Parameter("train_when", "expression", default: "all of those", "Which of them are learned from."), severity,
  ]

  /// Keys of every rule.
  static let ruled: [Parameter] = [
    severity,
    Parameter(
      "reason", "text", default: "the condition with its values", "Template of the reason: `{name}` is a value."),
  ]

  /// The key of a detector that is trained and has a threshold.
  /// - Parameters:
  ///   - standard: the budget that holds where none is written.
  ///   - addition: what it does to the parameters of the type.
  public static func budget(default standard: String, _ addition: String = "") -> Parameter {
    let meaning =
      "False alarms: {rate: 0.001} of the scored events or {per_entity_per_day: 2}; `tail: pareto` for rare ones."
    return Parameter("budget", "mapping", default: standard, meaning + addition)
  }

  private static let when = Parameter("when", "expression", default: "every event", "Which events are scored.")

  private static let severity = Parameter(
    "severity", "info, low, medium, high or critical", default: "medium", "How much a finding matters.")
}

/// What a number may be.
public enum NumberRange: Sendable, Hashable {
  case finite, notNegative, positive
  /// 0 to 1 with both, without 0, and without both.
  case level, share, inside
  /// What false alarms may be: more than every tenth event, or one a minute, is no anomaly.
  case rare, daily

  public func contains(_ value: Double) -> Bool {
    guard value.isFinite else { return false }
    return switch self {
    case .finite: true
    case .notNegative: value >= 0
    case .positive: value > 0
    case .level: value >= 0 && value <= 1
    case .share: value > 0 && value <= 1
    case .inside: value > 0 && value < 1
    case .rare: value > 0 && value <= Limits.maxAlarmRate
    case .daily: value > 0 && value <= 1_440
    }
  }

  /// For messages.
  public var text: String {
    switch self {
    case .finite: "a number"
    case .notNegative: "a number, 0 or more"
    case .positive: "a number above 0"
    case .level: "a number from 0 to 1"
    case .share: "a number above 0, at most 1"
    case .inside: "a number above 0 and below 1"
    case .rare: "a number above 0, at most 0.1"
    case .daily: "a number above 0, at most 1440"
    }
  }
}
