// What a training asks of a type of detector: from rows to what scores, and by what a candidate is judged beside what all
// are judged by.

import Detection

/// Fits models of detectors of one type. All of it is a function of the rows and the seed.
protocol DetectorTrainer: ModelFormat {
  /// Fits what scores to rows.
  /// - Parameter progress: called with a share of the work from 0 to 1; what it throws ends fitting.
  /// - Throws: `OperatingError`; what `progress` throws.
  func fit(
    _ rows: FittingRows, for parameters: Scorer.Parameters, progress: (Double) throws -> Void
  ) throws -> Scorer

  /// Completes what scores by rows that it was not fitted to, and scores them as the events of a run are: no row has a part
  /// in its own score.
  func complete(
    _ scorer: Scorer, by held: TrainingRows, _ matrix: FeatureMatrix, for parameters: Scorer.Parameters
  ) -> CompletedModel<Scorer>

  /// What explanations are ordered by; nil for the contributions themselves.
  /// - Parameter matrix: the rows it was fitted to, and those beside them.
  func usualContributions(of scorer: Scorer, _ matrix: FeatureMatrix) -> UsualContributions?

  /// What a candidate of this type is judged by beside how much it learned from and how many alarms it raises.
  func checks(by gate: ModelGate, _ rows: GateRows, for parameters: Scorer.Parameters) -> [GateReport.Check]
}

/// What a model is fitted to.
struct FittingRows {
  let matrix: FeatureMatrix
  /// One per row; empty for a detector that predicts nothing.
  let targets: [Double]
  let seed: UInt64
  let threads: Int
}

/// What scores, whole, and the raw scores of held-out rows.
struct CompletedModel<Scorer> {
  var scorer: Scorer
  var scores: [Double]
}

extension DetectorTrainer {
  func complete(
    _ scorer: Scorer, by held: TrainingRows, _ matrix: FeatureMatrix, for parameters: Scorer.Parameters
  ) -> CompletedModel<Scorer> {
    let rows = ScoringRows(matrix, targets: held.targets, entities: held.entities)
    return CompletedModel(scorer: scorer, scores: scorer.rawScores(of: rows, for: parameters))
  }

  func usualContributions(of scorer: Scorer, _ matrix: FeatureMatrix) -> UsualContributions? { nil }

  /// - Precondition: a detector of this type.
  func parameters(of definition: DetectorDefinition) -> Scorer.Parameters {
    guard let parameters = definition.parameters as? Scorer.Parameters else {
      preconditionFailure("the trainer of \(type) for a detector of type \(definition.type)")
    }
    return parameters
  }
}

extension ModelScorer {
  /// Raw scores of rows, as a run would give them. A model that does not come to an end says nothing of any row.
  func rawScores(of rows: ScoringRows, for parameters: Parameters) -> [Double] {
    var rows = rows
    return (try? scores(of: &rows, for: parameters)) ?? [Double](repeating: .nan, count: rows.count)
  }
}
