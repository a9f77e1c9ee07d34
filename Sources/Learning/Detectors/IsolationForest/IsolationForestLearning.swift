// What is fitted and stored of an isolation forest.

import Detection

/// Trees over samples of the rows.
struct IsolationForestLearning: DetectorTrainer {
  typealias Scorer = IsolationForest

  /// What `model.json` has of a forest alone.
  struct Part: Codable, Sendable {
    /// Rows that each tree was fitted on.
    var sampleSize: Int?

    enum CodingKeys: String, CodingKey { case sampleSize = "sample_size" }
  }

  let isSelfContained = true

  func encode(_ forest: IsolationForest, as name: ModelName) throws -> EncodedModel<Part> {
    let norm = Double(forest.trees.roots.count) * IsolationForest.averagePathLength(of: forest.sampleSize)
    // Trees of a single row have no path lengths to take to a power; every score is 0.5 then.
    let transformation = norm > 0 ? TreeModel.Transformation.powerOfTwo(factor: -1 / norm) : .none
    return EncodedModel(
      part: Part(sampleSize: forest.sampleSize),
      bytes: try name.onnx(forest.trees, outputs: ["score"], transformation))
  }

  func decode(
    _ part: Part, _ file: ModelFile, for parameters: IsolationForestDefinition?
  ) throws -> IsolationForest {
    let trees = try file.trees()
    guard let sampleSize = part.sampleSize, sampleSize > 0, trees.ensemble.baseValues == [0] else {
      throw file.damaged("is no isolation forest: its trees or its sample size are another model's")
    }
    return IsolationForest(trees: trees.ensemble, sampleSize: sampleSize)
  }

  func facts(of part: Part, _ bytes: [UInt8]) throws -> [ModelFact] { try .trees(bytes) }

  // MARK: Training

  func fit(
    _ rows: FittingRows, for definition: IsolationForestDefinition, progress: (Double) throws -> Void
  ) throws -> IsolationForest {
    let forest = IsolationForest.fit(
      rows.matrix, treeCount: definition.trees, sampleSize: definition.sampleSize, seed: rows.seed)
    try progress(1)
    return forest
  }

  func usualContributions(of forest: IsolationForest, _ matrix: FeatureMatrix) -> UsualContributions? {
    UsualContributions(of: forest, matrix)
  }

  // MARK: Judging

  /// By whether its scores differ at all, and by faults planted in features.
  func checks(
    by gate: ModelGate, _ rows: GateRows, for definition: IsolationForestDefinition
  ) -> [GateReport.Check] {
    [variation(rawScores(of: gate.candidate, rows, for: definition)), featureFaults(gate, rows)]
  }

  private func variation(_ scores: [Double]) -> GateReport.Check {
    let range = (scores.max() ?? 0) - (scores.min() ?? 0)
    return GateReport.Check(
      name: "variation", passed: range > 1e-6, found: range, bound: 1e-6,
      message: "scores differ by \(ModelGate.text(range)), more than 0.000001")
  }

  /// Columns that faults may be planted in: of the event, not of its time, and seen alike by every model.
  private func plantedColumns(_ plan: DetectorPlan) -> [Int] {
    plan.features.inputs.indices.filter { index in
      let input = plan.features.inputs[index]
      return input.encoder == nil && !plan.isCalendar(input)
    }
  }

  private func featureFaults(_ gate: ModelGate, _ rows: GateRows) -> GateReport.Check {
    let changes = PlantedFaults.changes(rows.matrix, columns: plantedColumns(gate.plan), seed: gate.seed)
    if let few = gate.tooFew(changes.count) { return few }
    func area(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      guard let forest = model.scorer as? IsolationForest else { return 0 }
      return Quality.areaUnderCurve(
        faulty: forest.scores(of: PlantedFaults.apply(changes, to: matrix)), ordinary: forest.scores(of: matrix))
    }
    return gate.areaCheck(
      area(gate.candidate, rows.matrix), gate.champion.flatMap { model in rows.championMatrix.map { area(model, $0) } })
  }
}
