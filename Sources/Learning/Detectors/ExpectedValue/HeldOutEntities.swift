// What is usual for entities, once the trees are grown.

import Detection

/// What is usual for entities, by predictions for rows that the trees were not grown from.
struct HeldOutEntities {
  private let definition: ExpectedValueDefinition
  private let trees: TreeEnsemble
  private let rows: TrainingRows
  private let expected: [Double]

  /// Parts that are scored by the quantiles of the others: with ten, quantiles come from nearly as many rows as in a run.
  static let folds = 10

  init(
    _ definition: ExpectedValueDefinition, _ expectation: BoostedExpectation, _ rows: TrainingRows,
    _ matrix: FeatureMatrix
  ) {
    (self.definition, self.rows, trees) = (definition, rows, expectation.trees)
    let predicted = expectation.predict(matrix)
    expected = ExpectedValueRule(definition).expected(means: predicted.means, quantiles: predicted.quantiles)
  }

  /// The expectation with the quantiles of some rows.
  func fitted(to chosen: [Int]) -> BoostedExpectation {
    BoostedExpectation(trees: trees, quantiles: quantiles(of: chosen))
  }

  private func quantiles(of chosen: [Int]) -> EntityQuantiles {
    guard let misrank = definition.misrank else { return EntityQuantiles() }
    return EntityQuantiles.fit(
      entities: chosen.map { rows.entities[$0] }, actual: chosen.map { rows.targets[$0] },
      expected: chosen.map { expected[$0] }, misrank: misrank)
  }

  /// The raw score of every row by what is usual according to other rows, as it is for the events of a run. All rows and
  /// all hours of their days have a part in the threshold that way, none in its own score.
  func crossFittedScores() -> [Double] {
    let rule = ExpectedValueRule(definition)
    var scores = [Double](repeating: 0, count: rows.count)
    for fold in 0..<Self.folds {
      let judged = Array(stride(from: fold, to: rows.count, by: Self.folds))
      let quantiles = quantiles(of: rows.learnedRows.filter { $0 % Self.folds != fold })
      let found = rule.scores(
        actual: judged.map { rows.targets[$0] }, expected: judged.map { expected[$0] },
        entities: judged.map { rows.entities[$0] }, quantiles: quantiles)
      for (row, score) in zip(judged, found) { scores[row] = score }
    }
    return scores
  }
}
