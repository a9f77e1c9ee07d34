// What is fitted and stored of an expected value.

import Detection
import Foundation

/// Boosted trees for a mean and a quantile, and what is usual for entities.
struct ExpectedValueLearning: DetectorTrainer {
  typealias Scorer = BoostedExpectation

  /// What `model.json` has of an expected value alone.
  struct Part: Codable, Sendable {
    var entityQuantiles: EntityQuantiles?

    enum CodingKeys: String, CodingKey { case entityQuantiles = "entity_quantiles" }
  }

  let isSelfContained = true

  /// How much larger than the champion's a candidate's pinball loss may be: what chance alone makes of one day.
  static let lossTolerance = 1.02

  private static let outputs = ["mean", "quantile"]

  func encode(_ expectation: BoostedExpectation, as name: ModelName) throws -> EncodedModel<Part> {
    EncodedModel(
      part: Part(entityQuantiles: expectation.quantiles),
      bytes: try name.onnx(expectation.trees, outputs: Self.outputs, .expm1))
  }

  func decode(
    _ part: Part, _ file: ModelFile, for parameters: ExpectedValueDefinition?
  ) throws -> BoostedExpectation {
    let trees = try file.trees()
    guard trees.outputNames == Self.outputs, let quantiles = part.entityQuantiles else {
      throw file.damaged("is no expected value: its trees or the quantiles of entities are another model's")
    }
    return BoostedExpectation(trees: trees.ensemble, quantiles: quantiles)
  }

  func facts(of part: Part, _ bytes: [UInt8]) throws -> [ModelFact] {
    let entities = part.entityQuantiles.map { ModelFact(name: "entities", value: .number(Double($0.count))) }
    return try [entities].compactMap(\.self) + .trees(bytes)
  }

  // MARK: Training

  /// There are no quantiles of entities yet.
  func fit(
    _ rows: FittingRows, for definition: ExpectedValueDefinition, progress: (Double) throws -> Void
  ) throws -> BoostedExpectation {
    let logarithms = rows.targets.map { Float(log1p($0)) }
    var outputs: [TreeEnsemble] = []
    for (index, objective) in [BoostedTreesTrainer.Objective.mean, .quantile(definition.quantile)].enumerated() {
      var trainer = BoostedTreesTrainer(objective: objective)
      trainer.trees = definition.trees
      trainer.leaves = definition.leaves
      trainer.learningRate = definition.learningRate
      trainer.threads = rows.threads
      trainer.seed = Int32(truncatingIfNeeded: rows.seed & 0x7fff_ffff)
      outputs.append(
        try trainer.train(rows.matrix, target: logarithms) { tree, total in
          try progress((Double(index) + Double(tree) / Double(total)) / 2)
        })
    }
    return BoostedExpectation(trees: TreeEnsemble.joined(outputs).withMeanValues())
  }

  func complete(
    _ expectation: BoostedExpectation, by held: TrainingRows, _ matrix: FeatureMatrix,
    for definition: ExpectedValueDefinition
  ) -> CompletedModel<BoostedExpectation> {
    let entities = HeldOutEntities(definition, expectation, held, matrix)
    return CompletedModel(scorer: entities.fitted(to: held.learnedRows), scores: entities.crossFittedScores())
  }

  // MARK: Judging

  /// By the loss of its quantile, and by faults planted in the target.
  func checks(
    by gate: ModelGate, _ rows: GateRows, for definition: ExpectedValueDefinition
  ) -> [GateReport.Check] {
    losses(gate, rows, definition) + [targetFaults(gate, rows, definition)]
  }

  private func baseline(_ learned: TrainingRows?, level: Double) -> EntityBaseline? {
    guard let learned else { return nil }
    let rows = learned.learnedRows
    return EntityBaseline(
      entities: rows.map { learned.entities[$0] }, logarithms: rows.map { log1p(learned.targets[$0]) }, level: level)
  }

  private func losses(
    _ gate: ModelGate, _ rows: GateRows, _ definition: ExpectedValueDefinition
  ) -> [GateReport.Check] {
    let learned = rows.events.learnedRows
    let actual = learned.map { log1p(rows.events.targets[$0]) }
    func loss(_ predictions: [Double]) -> Double {
      Quality.pinballLoss(predictions, actual, level: definition.quantile)
    }
    func loss(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      guard let expectation = model.scorer as? BoostedExpectation else { return .infinity }
      return loss(expectation.predict(matrix.rows(learned)).quantiles)
    }
    let found = loss(gate.candidate, rows.matrix)
    var checks: [GateReport.Check] = []
    if let baseline = baseline(gate.learned, level: definition.quantile) {
      let bound = loss(baseline.predict(learned.map { rows.events.entities[$0] }))
      checks.append(
        GateReport.Check(
          name: "baseline_loss", passed: found < bound, found: found, bound: bound,
          message: "pinball loss \(ModelGate.text(found)), below \(ModelGate.text(bound)) of each entity's own quantile"
        ))
    }
    if let champion = gate.champion, let championMatrix = rows.championMatrix {
      let loss = loss(champion, championMatrix)
      let bound = loss * Self.lossTolerance
      checks.append(
        GateReport.Check(
          name: "champion_loss", passed: found <= bound, found: found, bound: bound,
          message:
            "pinball loss \(ModelGate.text(found)), at most \(ModelGate.text(Self.lossTolerance)) times the champion's "
            + ModelGate.text(loss)))
    }
    return checks
  }

  private func targetFaults(
    _ gate: ModelGate, _ rows: GateRows, _ definition: ExpectedValueDefinition
  ) -> GateReport.Check {
    let events = rows.events
    let planted = PlantedFaults.targets(
      events.targets, learned: events.learnedRows, floor: definition.floor, seed: gate.seed)
    if let few = gate.tooFew(planted.faulty.count) { return few }
    // What is small for the use case is judged as well: the area is about the order of scores.
    var judging = definition
    judging.floor = 0
    func area(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      guard let expectation = model.scorer as? BoostedExpectation else { return 0 }
      func scores(_ faults: [PlantedFaults.Target]) -> [Double] {
        let rows = ScoringRows(
          matrix.rows(faults.map(\.row)), targets: faults.map(\.target),
          entities: faults.map { events.entities[$0.row] })
        return expectation.rawScores(of: rows, for: judging)
      }
      return Quality.pairedArea(faulty: scores(planted.faulty), ordinary: scores(planted.ordinary))
    }
    return gate.areaCheck(
      area(gate.candidate, rows.matrix), gate.champion.flatMap { model in rows.championMatrix.map { area(model, $0) } })
  }
}
