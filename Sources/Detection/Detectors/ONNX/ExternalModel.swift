// A model that scores outside the core.

/// A network in a runtime of its own, for example.
public protocol ExternalScorer: Sendable {
  /// One raw score for each row, the higher the more anomalous; NaN for a row that could not be scored. A function of the
  /// row alone.
  /// - Throws: where it did not come to an end.
  func scores(of matrix: FeatureMatrix) throws(LimitError) -> [Double]
}

/// Scores with a model of the user's own.
public struct ExternalModel: ModelScorer {
  public let scorer: any ExternalScorer

  public init(_ scorer: any ExternalScorer) { self.scorer = scorer }

  public var featureCount: Int? { nil }
  /// What its runtime takes is not known.
  public var heldBytes: Int { 0 }

  public func scores(of rows: inout ScoringRows, for parameters: ONNXDefinition) throws(LimitError) -> [Double] {
    try scorer.scores(of: rows.matrix())
  }

  /// It is not taken apart.
  public func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, for parameters: ONNXDefinition
  ) -> ScoreExplanation {
    ScoreExplanation(
      base: 0, byInput: rows.matrix().names.map { _ in 0 },
      reason: "score \(RuleText.number(raw)), threshold \(RuleText.number(parameters.threshold))")
  }
}
