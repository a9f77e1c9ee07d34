// A learned detector at work: a plan and a model that was fitted for it. It looks at one event at a time and keeps
// nothing, so any worker can run it. Only events that are anomalies are explained.

/// A detector that scores with a model.
public struct LearnedDetector: StatelessDetector {
  public let plan: DetectorPlan
  public let model: FittedModel

  public var name: String { plan.name }

  /// - Parameter isCalibrated: false for a model that is still to be calibrated: it scores, and its scores are raw.
  /// - Throws: what of the model does not fit the plan.
  public init(_ plan: DetectorPlan, model: FittedModel, isCalibrated: Bool = true) throws(ModelMismatch) {
    func mismatch(_ reason: String) -> ModelMismatch {
      ModelMismatch(detector: plan.name, version: model.version, reason: reason)
    }
    if model.detector != plan.name { throw mismatch("it was fitted for the detector \(model.detector)") }
    if let difference = PlanDifference.between(model: model.plan, useCase: plan.fingerprint) {
      throw mismatch("it was fitted for another definition: \(difference)")
    }
    for input in plan.features.inputs {
      guard let kind = input.encoder else { continue }
      guard let encoder = model.encoders[input.name] else { throw mismatch("it has no encoder for `\(input.name)`") }
      if encoder.kind != kind { throw mismatch("its encoder for `\(input.name)` is another one") }
    }
    let featureCount: Int?
    switch (plan.definition.kind, model.scorer) {
    case (.isolationForest, .isolationForest(let forest)): featureCount = forest.trees.featureCount
    case (.expectedValue, .expectedValue(let expectation)): featureCount = expectation.trees.featureCount
    case (.onnx, .external): featureCount = nil
    default: throw mismatch("it is a model of another type than \(plan.definition.kind.name)")
    }
    if let featureCount, featureCount != plan.features.inputs.count {
      throw mismatch("it has \(featureCount) features, the detector \(plan.features.inputs.count)")
    }
    if isCalibrated, plan.definition.effectiveBudget != nil, model.calibration == nil {
      throw mismatch("it is not calibrated, and the detector has a budget")
    }
    if let problem = model.drift?.problem(for: plan)
      ?? model.usualContributions?.problem(features: plan.features.inputs.count)
    {
      throw mismatch(problem)
    }
    self.plan = plan
    self.model = model
  }

  /// What a batch gives.
  public struct Output: Sendable {
    public var findings: [Finding] = []
    /// What the scored events looked like, by day, ascending; empty where the model measures no drift.
    public var drift: [DriftCounts] = []
    /// Conditions that overflowed or whose cast failed, and events that an external model could not score.
    public var failures = 0
    /// An external model that did not come to an end: what it was asked about has no result.
    public var trouble: LimitError?
  }

  public func detect(in batch: EventBatch, into findings: inout [Finding], counts: inout DetectorCounts) {
    let output = run(on: batch, countsDrift: false)
    findings += output.findings
    counts.failures += output.failures
  }

  /// Scores a derived batch.
  public func run(on batch: EventBatch, countsDrift: Bool = true) -> Output {
    var output = Output()
    let reference = countsDrift ? model.drift : nil
    let scored = score(batch, needsMatrix: reference != nil, failures: &output.failures)
    output.trouble = scored.trouble
    guard !scored.rows.isEmpty else { return output }
    for (ordinal, raw) in scored.raw.enumerated() {
      let (score, isAlarm) = calibrated(raw)
      if raw.isNaN { output.failures += 1 }
      guard isAlarm else { continue }
      output.findings.append(finding(explanation(of: scored, at: ordinal, score: score, in: batch), in: batch))
    }
    if let reference, let matrix = scored.matrix {
      output.drift = reference.count(
        matrix, scores: scored.raw, times: scored.rows.map { batch.eventTimes[$0] }, detector: name,
        version: model.version)
    }
    return output
  }

  /// The raw scores of the events that are scored.
  /// - Returns: their rows, ascending, and their scores.
  public func rawScores(of batch: EventBatch, failures: inout Int) -> (rows: [Int], scores: [Double]) {
    let scored = score(batch, needsMatrix: false, failures: &failures)
    return (scored.rows, scored.raw)
  }

  /// What the detector's budget was turned into; nil where it has none.
  private var budgetCalibration: Calibration? { plan.definition.effectiveBudget == nil ? nil : model.calibration }

  /// The raw score that must be exceeded by budget; nil without one.
  var budgetThreshold: Double? { budgetCalibration?.threshold }

  /// The calibrated score of a raw one, 1 at the threshold, and whether it is an anomaly.
  public func calibrated(_ raw: Double) -> (score: Double, isAlarm: Bool) {
    if let calibration = budgetCalibration {
      return (calibration.calibrated(raw), raw > calibration.threshold)
    }
    if case .onnx(let definition) = plan.definition.kind {
      // A threshold of a model of the user's own may be 0 or below: then the distance is what can be told.
      let threshold = definition.threshold
      let score = threshold > 0 ? raw / threshold : 1 + raw - threshold
      return (min(score, Limits.maxRuleScore), raw >= threshold)
    }
    return (raw, raw >= 1)
  }
}

// MARK: - Scoring

extension LearnedDetector {
  /// The events of a batch that are scored.
  struct Scored {
    /// Ascending.
    var rows: [Int]
    var raw: [Double]
    /// A row for each of `rows`, where it was needed.
    var matrix: FeatureMatrix?
    /// For an expected value: of the rows at or above the floor, by ordinal in `rows`.
    var candidates: [Candidate] = []
    /// Why there are no scores.
    var trouble: LimitError?
  }

  /// An event whose expectation was asked for.
  struct Candidate {
    var ordinal: Int
    var actual: Double
    var expected: Double
    /// The output that the expectation comes from.
    var output: Int
    var ranks: EntityQuantiles.Pair?
    var judgement: ExpectedValueRule.Judgement
  }

  func score(_ batch: EventBatch, needsMatrix: Bool, failures: inout Int) -> Scored {
    let selection = plan.scoredRows(of: batch, failures: &failures)
    let rows = selection.setRows
    guard !rows.isEmpty else { return Scored(rows: [], raw: []) }
    func matrix(_ rows: [Int]) -> FeatureMatrix {
      plan.features.matrix(
        of: batch, rows: rows.count == batch.count ? nil : rows, encoders: model.encoders)
    }
    switch model.scorer {
    case .isolationForest(let forest):
      let matrix = matrix(rows)
      return Scored(rows: rows, raw: forest.scores(of: matrix), matrix: matrix)
    case .external(let scorer):
      let matrix = matrix(rows)
      let raw: [Double]
      do throws(LimitError) { raw = try scorer.scores(of: matrix) } catch {
        return Scored(rows: [], raw: [], trouble: error)
      }
      precondition(raw.count == rows.count, "an external model gave \(raw.count) scores for \(rows.count) rows")
      return Scored(rows: rows, raw: raw, matrix: matrix)
    case .expectedValue(let expectation):
      guard case .expectedValue(let definition) = plan.definition.kind else { preconditionFailure("checked at init") }
      let whole = needsMatrix ? matrix(rows) : nil
      var scored = Scored(rows: rows, raw: [Double](repeating: 0, count: rows.count), matrix: whole)
      // Below the floor nothing is an anomaly, whatever was expected.
      let actual = plan.targets(of: batch, rows: rows)
      let ordinals = rows.indices.filter { actual[$0] >= definition.floor }
      guard !ordinals.isEmpty else { return scored }
      var chosen = whole ?? matrix(ordinals.map { rows[$0] })
      if whole != nil, ordinals.count < rows.count { chosen = chosen.rows(ordinals) }
      judge(batch, ordinals, chosen, actual, expectation, definition, into: &scored)
      return scored
    }
  }

  private func judge(
    _ batch: EventBatch, _ ordinals: [Int], _ matrix: FeatureMatrix, _ actual: [Double],
    _ expectation: BoostedExpectation, _ definition: ExpectedValueDefinition, into scored: inout Scored
  ) {
    let rule = ExpectedValueRule(definition)
    let (means, quantiles) = expectation.predict(matrix)
    let entities =
      definition.misrank == nil || expectation.quantiles.count == 0
      ? [] : plan.entities(of: batch, rows: ordinals.map { scored.rows[$0] })
    scored.candidates.reserveCapacity(ordinals.count)
    for (index, ordinal) in ordinals.enumerated() {
      let expected = rule.expected(mean: means[index], quantile: quantiles[index])
      let ranks = entities.isEmpty ? nil : expectation.quantiles[entities[index]]
      let judgement = rule.judge(actual: actual[ordinal], expected: expected, ranks: ranks)
      scored.raw[ordinal] = judgement.score
      scored.candidates.append(
        Candidate(
          ordinal: ordinal, actual: actual[ordinal], expected: expected,
          output: quantiles[index] > means[index] ? 1 : 0, ranks: ranks, judgement: judgement))
    }
  }
}
