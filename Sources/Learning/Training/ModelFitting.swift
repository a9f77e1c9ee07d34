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

  /// What is usual for entities, by predictions for rows that were not learned from.
  static func withQuantiles(
    _ expectation: BoostedExpectation, _ definition: ExpectedValueDefinition, _ matrix: FeatureMatrix,
    targets: [Double], entities: [UInt64?]
  ) -> BoostedExpectation {
    guard let misrank = definition.misrank else { return expectation }
    let (means, quantiles) = expectation.predict(matrix)
    let expected = ExpectedValueRule(definition).expected(means: means, quantiles: quantiles)
    return BoostedExpectation(
      trees: expectation.trees,
      quantiles: EntityQuantiles.fit(entities: entities, actual: targets, expected: expected, misrank: misrank))
  }
}

extension FittedModel.Scorer {
  /// Raw scores of rows, as a run would give them.
  /// - Parameter floor: in place of the definition's floor, for an expected value.
  func rawScores(
    _ matrix: FeatureMatrix, targets: [Double], entities: [UInt64?], plan: DetectorPlan, floor: Double? = nil
  ) -> [Double] {
    switch self {
    case .isolationForest(let forest): return forest.scores(of: matrix)
    case .external(let scorer): return scorer.scores(of: matrix)
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
