// The training of one detector, from its first event to a judged candidate.

import Detection
import Foundation
import Pipeline

/// What is collected for one detector, and what is made of it.
struct DetectorTraining {
  /// Why no model came about, as a sentence without a full stop.
  struct Failure: Error {
    var message: String
  }

  /// A candidate with its judgement.
  struct Fitted {
    var model: FittedModel
    var report: GateReport
    var metrics: [String: Double]
    /// Events that were used, by what for.
    var rows: [TrainingWindow.Part: Int]
  }

  let plan: DetectorPlan
  let version: String
  let champion: FittedModel?
  private let trainer: any DetectorTrainer
  private(set) var rows: [TrainingWindow.Part: TrainingRows] = [:]
  private var fitters: EncoderFitters?
  private var encoders: [String: FittedEncoder] = [:]
  private var entityDays: EntityDays?

  /// Rows without which nothing is learned: fifty leaves of boosted trees, four samples of an isolation tree.
  static let leastRows = 1_000

  /// - Parameter trainer: of the detector's type.
  init(_ plan: DetectorPlan, by trainer: any DetectorTrainer, version: String, champion: FittedModel?) {
    self.plan = plan
    self.trainer = trainer
    self.version = version
    self.champion = champion
    fitters = plan.features.makeFitters()
  }

  // MARK: Collecting

  /// Shows the encoders the events to learn from.
  mutating func learnEncoders(_ batch: EventBatch, _ window: TrainingWindow) {
    var failures = 0
    let learned = plan.trainingRows(of: batch, failures: &failures).setRows
    let chosen = learned.filter { window.part(of: batch.eventTimes[$0]) == .training }
    if !chosen.isEmpty { fitters?.add(batch, rows: chosen) }
  }

  mutating func finishEncoders() {
    encoders = fitters?.finish() ?? [:]
    fitters = nil
  }

  /// Takes in what the model sees of a batch.
  mutating func collect(_ batch: EventBatch, _ window: TrainingWindow) {
    var failures = 0
    let scored = plan.scoredRows(of: batch, failures: &failures).setRows
    let learned = plan.trainingRows(of: batch, failures: &failures)
    for (part, chosen) in Dictionary(grouping: scored, by: { window.part(of: batch.eventTimes[$0]) }) {
      guard let part else { continue }
      // Encoders have seen the rows to learn from, and no others.
      for isLearned in [true, false] {
        let chosen = chosen.filter { learned[$0] == isLearned }
        if chosen.isEmpty { continue }
        rows[part, default: TrainingRows()].add(
          batch, rows: chosen, learned: isLearned, of: plan, encoders: encoders,
          leavingOneOut: part == .training && isLearned, champion: part == .gate ? champion : nil)
      }
    }
  }

  /// Counts the days of entities, for a budget that asks for them.
  mutating func countEntityDays(_ batch: EventBatch, _ kept: EventBatch, _ window: TrainingWindow) {
    guard case .perEntityAndDay = plan.definition.effectiveBudget?.amount else { return }
    var days = entityDays ?? EntityDays(window)
    let chosen = batch.eventTimes.indices.filter { days.counts(batch.eventTimes[$0]) }
    if !chosen.isEmpty {
      days.add(entities: plan.entities(of: batch, rows: chosen), times: chosen.map { batch.eventTimes[$0] })
    }
    days.keep(kept.eventTimes.count { window.part(of: $0) == .calibration })
    entityDays = days
  }

  // MARK: Fitting

  /// Fits, calibrates and judges. The rows are let go as they are used.
  /// - Throws: `Failure`; errors of the native library; what `progress` throws.
  mutating func fit(
    seed: UInt64, threads: Int, window: TrainingWindow, leastSpan: Int64, _ progress: (String, Double) throws -> Void
  ) throws -> Fitted {
    try fit(by: trainer, seed: seed, threads: threads, window: window, leastSpan: leastSpan, progress)
  }

  private mutating func fit(
    by trainer: some DetectorTrainer, seed: UInt64, threads: Int, window: TrainingWindow, leastSpan: Int64,
    _ progress: (String, Double) throws -> Void
  ) throws -> Fitted {
    var counts = rows.mapValues(\.count)
    var training = rows.removeValue(forKey: .training) ?? TrainingRows()
    let learned = training.learnedRows
    guard learned.count >= Self.leastRows else {
      throw Failure(
        message: "\(learned.count) events to learn from, at least \(Self.leastRows) are needed")
    }
    counts[.training] = learned.count
    let parameters = trainer.parameters(of: plan.definition)
    let matrix = training.takeMatrix(of: plan)
    let start = ContinuousClock.now
    let fitted = try trainer.fit(
      FittingRows(
        matrix: learned.count == matrix.rowCount ? matrix : matrix.rows(learned),
        targets: plan.target == nil ? [] : learned.map { training.targets[$0] }, seed: seed, threads: threads),
      for: parameters
    ) { try progress("fitting \(plan.name)", 0.9 * $0) }
    var metrics = ["fit_seconds": Self.seconds(since: start)]
    try progress("calibrating \(plan.name)", 0.9)
    var calibrating = rows.removeValue(forKey: .calibration) ?? TrainingRows()
    guard calibrating.count > 0 else { throw Failure(message: "there are no events to calibrate with") }
    let held = calibrating.takeMatrix(of: plan)
    let completed = trainer.complete(fitted, by: calibrating, held, for: parameters)
    let calibration = try calibration(completed.scores, into: &metrics)
    var model = FittedModel(
      detector: plan.name, version: version, plan: plan.fingerprint, encoders: encoders, scorer: completed.scorer,
      calibration: calibration)
    // Rows as they look live: a row that encoders were fitted on would lie beside the values that the same one has later.
    model.drift = DriftReference.fit(plan: plan, matrix: held, scores: completed.scores)
    model.usualContributions = trainer.usualContributions(of: completed.scorer, matrix)
    do { _ = try LearnedDetector(plan, model: model) } catch { throw Failure(message: error.reason) }
    try progress("judging \(plan.name)", 0.95)
    let span = (learned.map { training.times[$0] }.max() ?? 0) - (learned.map { training.times[$0] }.min() ?? 0)
    let gate = ModelGate(
      plan: plan, candidate: model, champion: champion, learned: training, span: span, leastSpan: leastSpan, seed: seed)
    let report = try judge(gate, by: trainer)
    try progress("judging \(plan.name)", 1)
    return Fitted(model: model, report: report, metrics: metrics, rows: counts)
  }

  /// The threshold, by events that were not learned from; nil without a budget.
  private func calibration(_ scores: [Double], into metrics: inout [String: Double]) throws -> Calibration? {
    guard let budget = plan.definition.effectiveBudget else { return nil }
    do {
      let calibration = try Calibration.fit(
        scores: scores.filter { !$0.isNaN }, budget: budget, entityDays: entityDays?.sampled ?? 0)
      metrics["threshold"] = calibration.threshold
      metrics["reachable_rate"] = calibration.reachableRate
      metrics["expected_rate"] = calibration.rate
      return calibration
    } catch let problem { throw Failure(message: problem.description) }
  }

  private mutating func judge(_ gate: ModelGate, by trainer: some DetectorTrainer) throws -> GateReport {
    var held = rows.removeValue(forKey: .gate) ?? TrainingRows()
    guard held.learnedRows.count >= Limits.minGateRows else {
      throw Failure(
        message: "\(held.learnedRows.count) events to judge the model by, at least \(Limits.minGateRows) are needed")
    }
    let matrix = held.takeMatrix(of: plan)
    let championMatrix = champion == nil ? nil : held.takeChampionMatrix(of: plan)
    return gate.judge(GateRows(events: held, matrix: matrix, championMatrix: championMatrix), by: trainer)
  }

  private static func seconds(since start: ContinuousClock.Instant) -> Double {
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    return Double(seconds) + Double(attoseconds) / 1e18
  }
}
