// How a fitted model scores events, and how it says why. A type of detector has one of these in its folder; what all have in
// common, from the choice of events to the finding, is `LearnedDetector`.

/// What scores with a model, for detectors of one type.
public protocol ModelScorer: Sendable {
  /// What a use case says of such detectors.
  associatedtype Parameters: DetectorParameters

  /// Bytes of memory that it takes, nearly; 0 where only a runtime of its own knows.
  var heldBytes: Int { get }

  /// Columns of the matrices it scores; nil where only a runtime of its own knows.
  var featureCount: Int? { get }

  /// The raw score of each event, the higher the more anomalous; NaN for one that could not be scored, which is counted and
  /// raises no finding. A function of the event alone, so that batches may be cut anywhere.
  /// - Throws: where it did not come to an end: then there are no scores, and the run cannot go on.
  func scores(of rows: inout ScoringRows, for parameters: Parameters) throws(LimitError) -> [Double]

  /// Why one event has its score.
  /// - Parameters:
  ///   - rows: that event.
  ///   - raw: its raw score.
  ///   - threshold: the raw score that must be exceeded by the budget; nil without one.
  func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, for parameters: Parameters
  ) -> ScoreExplanation
}

/// Events that a model is to score, and what it may see of them. A matrix is made only where it is asked for, and once.
public struct ScoringRows: Sendable {
  /// Where a matrix comes from that is not there yet.
  private struct Origin: Sendable {
    let batch: EventBatch
    /// Rows of the batch, ascending.
    let rows: [Int]
    let plan: DetectorPlan
    let encoders: [String: FittedEncoder]
  }

  public let count: Int
  /// What is predicted, NaN for null; empty for a detector that predicts nothing.
  public let targets: [Double]
  private let entities: [UInt64?]
  private let origin: Origin?
  private var whole: FeatureMatrix?

  /// Events of a derived batch.
  init(_ batch: EventBatch, rows: [Int], of plan: DetectorPlan, encoders: [String: FittedEncoder]) {
    count = rows.count
    targets = plan.target == nil ? [] : plan.targets(of: batch, rows: rows)
    entities = []
    origin = Origin(batch: batch, rows: rows, plan: plan, encoders: encoders)
  }

  /// Events that a matrix was made of before.
  /// - Parameters:
  ///   - targets: one per row; empty where nothing is predicted.
  ///   - entities: one per row; empty where it does not matter.
  public init(_ matrix: FeatureMatrix, targets: [Double] = [], entities: [UInt64?] = []) {
    precondition(targets.isEmpty || targets.count == matrix.rowCount, "targets and rows differ in number")
    precondition(entities.isEmpty || entities.count == matrix.rowCount, "entities and rows differ in number")
    count = matrix.rowCount
    self.targets = targets
    self.entities = entities
    origin = nil
    whole = matrix
  }

  /// What the model sees: a row for each event.
  public mutating func matrix() -> FeatureMatrix {
    if let whole { return whole }
    let matrix = made(of: nil)
    whole = matrix
    return matrix
  }

  /// The same of some events, by their ordinals.
  public mutating func matrix(of ordinals: [Int]) -> FeatureMatrix {
    if ordinals.count == count { return matrix() }
    return whole?.rows(ordinals) ?? made(of: ordinals)
  }

  private func made(of ordinals: [Int]?) -> FeatureMatrix {
    guard let origin else { preconditionFailure("rows without a matrix come from a batch") }
    let rows = ordinals.map { $0.map { origin.rows[$0] } } ?? origin.rows
    return origin.plan.features.matrix(
      of: origin.batch, rows: rows.count == origin.batch.count ? nil : rows, encoders: origin.encoders)
  }

  /// The entities of some events as hashes, by their ordinals; nil for an event without one.
  public func entities(of ordinals: [Int]) -> [UInt64?] {
    if let origin { return origin.plan.entities(of: origin.batch, rows: ordinals.map { origin.rows[$0] }) }
    return entities.isEmpty ? ordinals.map { _ in nil } : ordinals.map { entities[$0] }
  }
}

/// The score of one event, taken apart by inputs of the model.
public struct ScoreExplanation: Sendable {
  /// What the contributions start from.
  public var base: Double
  /// One per input, in the order of the matrix; zeros where the model is not taken apart.
  public var byInput: [Double]
  /// Whether contributions matter by their size in either direction; else the highest come first.
  public var isByMagnitude: Bool
  /// What was expected, and the clause with the largest part in the score.
  public var expected: Double?
  public var clause: String?
  /// What happened, in a sentence without a full stop.
  public var reason: String
  /// What stands between it and the fields that had the largest part ("mostly for"); nil where they are not named.
  public var lead: String?

  public init(
    base: Double, byInput: [Double], isByMagnitude: Bool = false, expected: Double? = nil, clause: String? = nil,
    reason: String, lead: String? = nil
  ) {
    self.base = base
    self.byInput = byInput
    self.isByMagnitude = isByMagnitude
    self.expected = expected
    self.clause = clause
    self.reason = reason
    self.lead = lead
  }
}
