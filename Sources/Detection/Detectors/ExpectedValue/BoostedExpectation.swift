// What is fitted of an expected value, and how it scores: boosted trees say what is to be expected, the rule judges by it.

/// Boosted trees that predict a target before it is known, with what is usual for entities.
public struct BoostedExpectation: Sendable {
  /// Both predictions of log1p(target), one per row.
  public struct Predictions: Sendable, Hashable {
    public var means: [Double]
    public var quantiles: [Double]
  }

  /// Output 0 is the mean of log1p(target), output 1 its quantile. For explanations inner nodes hold the mean of what is
  /// below them, see `TreeEnsemble.withMeanValues`.
  public let trees: TreeEnsemble
  /// Empty where rank does not matter.
  public let quantiles: EntityQuantiles
  private let scorer: TreeScorer

  /// - Precondition: valid trees with two outputs.
  public init(trees: TreeEnsemble, quantiles: EntityQuantiles = EntityQuantiles()) {
    precondition(trees.outputCount == 2, "an expectation has two outputs, not \(trees.outputCount)")
    self.trees = trees
    self.quantiles = quantiles
    scorer = TreeScorer(trees)
  }

  /// Both predictions for each row.
  public func predict(_ matrix: FeatureMatrix) -> Predictions {
    let sums = scorer.sums(of: matrix)
    return Predictions(means: sums[0], quantiles: sums[1])
  }
}

extension BoostedExpectation: ModelScorer {
  public var featureCount: Int? { trees.featureCount }

  /// The nodes are there once as they are, for explanations, and once in the form that scores, which is no larger.
  public var heldBytes: Int { 2 * trees.nodes.heldBytes + quantiles.heldBytes }

  /// An event whose expectation was asked for.
  private struct Candidate {
    var ordinal: Int
    var actual: Double
    var expected: Double
    /// The output that the expectation comes from.
    var output: Int
    var ranks: EntityQuantiles.Pair?
    var judgement: ExpectedValueRule.Judgement
  }

  public func scores(of rows: inout ScoringRows, for definition: ExpectedValueDefinition) -> [Double] {
    var scores = [Double](repeating: 0, count: rows.count)
    for candidate in candidates(of: &rows, definition) { scores[candidate.ordinal] = candidate.judgement.score }
    return scores
  }

  /// The events at or above the floor: below it nothing is an anomaly, whatever was expected.
  private func candidates(of rows: inout ScoringRows, _ definition: ExpectedValueDefinition) -> [Candidate] {
    let actual = rows.targets
    let ordinals = actual.indices.filter { actual[$0] >= definition.floor }
    guard !ordinals.isEmpty else { return [] }
    let rule = ExpectedValueRule(definition)
    let predicted = predict(rows.matrix(of: ordinals))
    let ranked = definition.misrank != nil && quantiles.count > 0
    let entities = ranked ? rows.entities(of: ordinals) : []
    return ordinals.indices.map { index in
      let (mean, quantile) = (predicted.means[index], predicted.quantiles[index])
      let expected = rule.expected(mean: mean, quantile: quantile)
      let ranks = ranked ? quantiles[entities[index]] : nil
      return Candidate(
        ordinal: ordinals[index], actual: actual[ordinals[index]], expected: expected,
        output: quantile > mean ? 1 : 0, ranks: ranks,
        judgement: rule.judge(actual: actual[ordinals[index]], expected: expected, ranks: ranks))
    }
  }

  /// Contributions add up to the prediction that was the higher one: they explain the expectation, and the reason says what
  /// happened.
  public func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, for definition: ExpectedValueDefinition
  ) -> ScoreExplanation {
    let candidate = candidates(of: &rows, definition).first
    let parts = trees.pathContributions(of: rows.matrix().row(0))[candidate?.output ?? 0]
    var explanation = ScoreExplanation(
      base: parts.base, byInput: parts.byFeature, isByMagnitude: candidate != nil, expected: candidate?.expected,
      clause: candidate?.judgement.clause?.rawValue,
      reason: "\(definition.target.text) is below \(RuleText.number(definition.floor))")
    if let candidate {
      explanation.reason = ExpectedValueRule(definition).reason(
        candidate.judgement, target: definition.target.text, actual: candidate.actual, expected: candidate.expected,
        ranks: candidate.ranks, threshold: threshold ?? 1)
      explanation.lead = "expected from"
    }
    return explanation
  }
}
