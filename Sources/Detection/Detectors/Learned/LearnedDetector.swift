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
    guard model.scorer.fits(plan.definition.parameters) else {
      throw mismatch("it is a model of another type than \(plan.definition.type)")
    }
    if let featureCount = model.scorer.featureCount, featureCount != plan.features.inputs.count {
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

  /// Bytes of memory that its model takes, nearly.
  public var heldBytes: Int { model.heldBytes }

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
    var scored = score(batch, needsMatrix: reference != nil, failures: &output.failures)
    output.trouble = scored.trouble
    guard !scored.rows.isEmpty else { return output }
    for (ordinal, raw) in scored.raw.enumerated() {
      let calibrated = calibrated(raw)
      if raw.isNaN { output.failures += 1 }
      guard calibrated.isAlarm else { continue }
      let explanation = explanation(of: scored.rows[ordinal], raw: raw, score: calibrated.score, in: batch)
      output.findings.append(finding(explanation, in: batch))
    }
    if let reference {
      output.drift = reference.count(
        scored.events.matrix(), scores: scored.raw, times: scored.rows.map { batch.eventTimes[$0] }, detector: name,
        version: model.version)
    }
    return output
  }

  /// Events that are scored, and their scores.
  public struct RawScores: Sendable {
    /// Rows in the batch, ascending.
    public var rows: [Int]
    public var scores: [Double]
  }

  /// The raw scores of the events that are scored.
  public func rawScores(of batch: EventBatch, failures: inout Int) -> RawScores {
    let scored = score(batch, needsMatrix: false, failures: &failures)
    return RawScores(rows: scored.rows, scores: scored.raw)
  }

  /// What the detector's budget was turned into; nil where it has none.
  private var budgetCalibration: Calibration? { plan.definition.effectiveBudget == nil ? nil : model.calibration }

  /// The raw score that must be exceeded by budget; nil without one.
  var budgetThreshold: Double? { budgetCalibration?.threshold }

  /// The calibrated score of a raw one, 1 at the threshold, and whether it is an anomaly.
  public func calibrated(_ raw: Double) -> CalibratedScore {
    guard let calibration = budgetCalibration else { return plan.definition.parameters.calibrated(raw) }
    return CalibratedScore(calibration.calibrated(raw), isAlarm: raw > calibration.threshold)
  }
}

// MARK: - Scoring

extension LearnedDetector {
  /// The events of a batch that are scored.
  struct Scored {
    /// Ascending.
    var rows: [Int]
    var raw: [Double]
    /// What the model saw of them.
    var events: ScoringRows
    /// Why there are no scores.
    var trouble: LimitError?
  }

  /// - Parameter needsMatrix: whether the matrix of all events is used for something else, too.
  func score(_ batch: EventBatch, needsMatrix: Bool, failures: inout Int) -> Scored {
    let rows = plan.scoredRows(of: batch, failures: &failures).setRows
    var events = ScoringRows(batch, rows: rows, of: plan, encoders: model.encoders)
    guard !rows.isEmpty else { return Scored(rows: [], raw: [], events: events) }
    if needsMatrix { _ = events.matrix() }
    do throws(LimitError) {
      let raw = try model.scorer.scores(of: &events, by: plan.definition)
      precondition(raw.count == rows.count, "a model gave \(raw.count) scores for \(rows.count) rows")
      return Scored(rows: rows, raw: raw, events: events)
    } catch {
      return Scored(rows: [], raw: [], events: events, trouble: error)
    }
  }
}

extension ModelScorer {
  /// Whether it scores for detectors with such parameters.
  func fits(_ parameters: any DetectorParameters) -> Bool { parameters is Parameters }

  /// - Precondition: a definition of its type.
  func scores(of rows: inout ScoringRows, by definition: DetectorDefinition) throws(LimitError) -> [Double] {
    try scores(of: &rows, for: parameters(of: definition))
  }

  /// - Precondition: a definition of its type.
  func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, by definition: DetectorDefinition
  ) -> ScoreExplanation {
    explanation(of: &rows, raw: raw, threshold: threshold, for: parameters(of: definition))
  }

  private func parameters(of definition: DetectorDefinition) -> Parameters {
    guard let parameters = definition.parameters as? Parameters else {
      preconditionFailure("a model of another type than \(definition.type)")
    }
    return parameters
  }
}
