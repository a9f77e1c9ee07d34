// What a detector says about an event. Together with the event's identity it becomes a stored anomaly.

/// How much an anomaly matters, as the use case states it.
public enum Severity: String, Sendable, Hashable, CaseIterable, Comparable {
  case info, low, medium, high, critical

  public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

  private var rank: Int {
    switch self {
    case .info: 0
    case .low: 1
    case .medium: 2
    case .high: 3
    case .critical: 4
    }
  }
}

/// Why a score is what it is.
public struct Explanation: Sendable, Hashable {
  /// What one feature added to the score.
  public struct Contribution: Sendable, Hashable {
    public var feature: String
    public var value: Scalar
    public var contribution: Double

    public init(feature: String, value: Scalar, contribution: Double) {
      self.feature = feature
      self.value = value
      self.contribution = contribution
    }
  }

  public var contributions: [Contribution]
  /// The value the detector expected, where it has one.
  public var expected: Double?
  /// The range it would have accepted, inclusive.
  public var range: ClosedRange<Double>?
  /// The clause of a rule that matched.
  public var clause: String?

  public init(
    contributions: [Contribution] = [], expected: Double? = nil, range: ClosedRange<Double>? = nil,
    clause: String? = nil
  ) {
    self.contributions = contributions
    self.expected = expected
    self.range = range
    self.clause = clause
  }
}

/// A detector's finding about one event of a batch.
public struct Finding: Sendable, Hashable {
  /// Row in the batch.
  public var row: Int
  /// Name of the detector or rule.
  public var detector: String
  /// Calibrated score: 1 is the threshold. A rule scores 1, or how far its bound was exceeded where that is a ratio.
  public var score: Double
  public var severity: Severity
  /// A sentence with the numbers.
  public var reason: String
  public var explanation: Explanation
  /// Version of the model that scored; nil for rules and statistics.
  public var model: String?

  public init(
    row: Int, detector: String, score: Double, severity: Severity, reason: String, explanation: Explanation,
    model: String? = nil
  ) {
    self.row = row
    self.detector = detector
    self.score = score
    self.severity = severity
    self.reason = reason
    self.explanation = explanation
    self.model = model
  }
}
