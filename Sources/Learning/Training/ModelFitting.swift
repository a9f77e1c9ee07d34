// Fitting one detector's model: from rows to a scorer.

import Detection
import Foundation
import Pipeline

/// The parts of a fitted model that come from rows.
struct ModelFitting {
  let plan: DetectorPlan
  let seed: UInt64
  let threads: Int

  /// Rows without which nothing is learned: fifty leaves of boosted trees, four samples of an isolation tree.
  static let leastRows = 1_000

  /// Fits the scorer; an expected value has no quantiles of entities yet.
  /// - Parameters:
  ///   - matrix: the rows to learn from.
  ///   - progress: called with a share of the work from 0 to 1; what it throws ends fitting.
  func scorer(
    _ matrix: FeatureMatrix, targets: [Double], progress: (Double) throws -> Void
  ) throws -> FittedModel.Scorer {
    switch plan.definition.kind {
    case .isolationForest(let definition):
      let forest = IsolationForest.fit(
        matrix, treeCount: definition.trees, sampleSize: definition.sampleSize, seed: seed)
      try progress(1)
      return .isolationForest(forest)
    case .expectedValue(let definition):
      let logarithms = targets.map { Float(log1p($0)) }
      var outputs: [TreeEnsemble] = []
      for (index, objective) in [BoostedTreesTrainer.Objective.mean, .quantile(definition.quantile)].enumerated() {
        var trainer = BoostedTreesTrainer(objective: objective)
        trainer.trees = definition.trees
        trainer.leaves = definition.leaves
        trainer.learningRate = definition.learningRate
        trainer.threads = threads
        trainer.seed = Int32(truncatingIfNeeded: seed & 0x7fff_ffff)
        outputs.append(
          try trainer.train(matrix, target: logarithms) { tree, total in
            try progress((Double(index) + Double(tree) / Double(total)) / 2)
          })
      }
      return .expectedValue(BoostedExpectation(trees: TreeEnsemble.joined(outputs).withMeanValues()))
    case .onnx:
      throw OperatingError(.configuration, "the detector \(plan.name) has a model of the user's own: it is not trained")
    }
  }
}

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
    let (means, quantiles) = expectation.predict(matrix)
    expected = ExpectedValueRule(definition).expected(means: means, quantiles: quantiles)
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

extension FittedModel.Scorer {
  /// Raw scores of rows, as a run would give them.
  func rawScores(of rows: TrainingRows, _ matrix: FeatureMatrix, _ plan: DetectorPlan) -> [Double] {
    rawScores(matrix, targets: rows.targets, entities: rows.entities, plan: plan)
  }

  /// Raw scores of rows, as a run would give them.
  /// - Parameter floor: in place of the definition's floor, for an expected value.
  func rawScores(
    _ matrix: FeatureMatrix, targets: [Double], entities: [UInt64?], plan: DetectorPlan, floor: Double? = nil
  ) -> [Double] {
    switch self {
    case .isolationForest(let forest): return forest.scores(of: matrix)
    case .external(let scorer):
      // Nothing trains or judges one; without an end it says nothing of any row.
      return (try? scorer.scores(of: matrix)) ?? [Double](repeating: .nan, count: matrix.rowCount)
    case .expectedValue(let expectation):
      guard case .expectedValue(var definition) = plan.definition.kind else {
        preconditionFailure("the model of another type of detector")
      }
      if let floor { definition.floor = floor }
      let rule = ExpectedValueRule(definition)
      let (means, quantiles) = expectation.predict(matrix)
      return rule.scores(
        actual: targets, expected: rule.expected(means: means, quantiles: quantiles), entities: entities,
        quantiles: expectation.quantiles)
    }
  }
}
