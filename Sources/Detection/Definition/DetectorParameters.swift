// What a type of learned detector is in a use case: its keys with what may be written, what is fitted for it, and what its
// scores mean. Each type is a struct in a folder of its own under `Detectors`; `DetectorCatalog` lists them.

/// The parameters of one type of learned detector, as an entry of `detectors:` gives them.
public protocol DetectorParameters: Sendable, Hashable {
  /// The type, its keys and what they mean.
  static var descriptor: DetectorDescriptor { get }
  /// Whether its models come from stored history; the others are brought by the user.
  static var isTrained: Bool { get }

  /// - Parameters:
  ///   - values: those of `descriptor`, each right by itself.
  ///   - report: is told what does not go together.
  /// - Returns: nil where anything is wrong.
  init?(_ values: ParameterValues, report: (Diagnostic) -> Void)

  /// Adds what has not its usual value. The form may only be extended: stored use cases and models keep the text.
  func write(to members: inout CanonicalMembers)

  /// The field or computed feature that is predicted from what is known before the event; nil where nothing is.
  var predicted: LocatedText? { get }
  /// The value from which on an event is an anomaly by what was expected; nil where that is no one number.
  func anomalous(from expected: Double) -> Double?
  /// The value below which nothing is an anomaly, in the unit of what is predicted; nil where there is none.
  var leastAnomalous: Double? { get }
  /// Whether something is fitted for each entity.
  var isByEntity: Bool { get }
  /// The budget that holds where none is written; nil where scores have a threshold without one.
  var usualBudget: FalseAlarmBudget? { get }
  /// What of the parameters fitted values and raw scores depend on, a thing a line.
  /// - Parameters:
  ///   - entity: name of the events' key, `none` without one.
  ///   - hasBudget: whether a threshold is fitted.
  func fingerprint(entity: String, hasBudget: Bool) -> [String]
  /// What a raw score means where there is no budget.
  func calibrated(_ raw: Double) -> CalibratedScore
}

extension DetectorParameters {
  public static var isTrained: Bool { true }
  public var predicted: LocatedText? { nil }
  public func anomalous(from expected: Double) -> Double? { nil }
  public var leastAnomalous: Double? { nil }
  public var isByEntity: Bool { false }
  public var usualBudget: FalseAlarmBudget? { nil }
  public func fingerprint(entity: String, hasBudget: Bool) -> [String] { [] }
  public func calibrated(_ raw: Double) -> CalibratedScore { CalibratedScore(raw, isAlarm: raw >= 1) }
}

/// A score of which 1 is the threshold, and what follows from it.
public struct CalibratedScore: Sendable, Hashable {
  public var score: Double
  /// Whether the event is an anomaly.
  public var isAlarm: Bool

  public init(_ score: Double, isAlarm: Bool) {
    self.score = score
    self.isAlarm = isAlarm
  }
}
