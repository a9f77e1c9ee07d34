// An isolation forest as the scorer of a detector.

extension IsolationForest: ModelScorer {
  public var featureCount: Int? { trees.featureCount }

  /// The nodes are there once as they are, for explanations, and once in the form that scores, which is no larger.
  public var heldBytes: Int { 2 * trees.nodes.heldBytes }

  public func scores(of rows: inout ScoringRows, for parameters: IsolationForestDefinition) -> [Double] {
    scores(of: rows.matrix())
  }

  /// Contributions add up to the base-2 logarithm of the score.
  public func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, for parameters: IsolationForestDefinition
  ) -> ScoreExplanation {
    let parts = contributions(of: rows.matrix().row(0))
    let bound = threshold.map { ", threshold \(RuleText.rounded($0))" } ?? ""
    return ScoreExplanation(
      base: parts.base, byInput: parts.byFeature,
      reason: "unlike other events: score \(RuleText.rounded(raw))\(bound)", lead: "mostly for")
  }
}

extension UsualContributions {
  /// The scales of a forest.
  /// - Parameter matrix: rows like those it was fitted on; at least one.
  public init(of forest: IsolationForest, _ matrix: FeatureMatrix) {
    self.init(of: matrix) { forest.contributions(of: $0).byFeature }
  }
}
