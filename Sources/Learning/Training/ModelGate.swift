// Whether a candidate may replace the champion: measured on events newer than all it was trained and calibrated on, the
// champion on the same ones. Where there is no champion, absolute floors take its place.

import Detection
import Foundation

/// A candidate, what it is compared with, and the events it is judged by.
struct ModelGate {
  let plan: DetectorPlan
  let candidate: FittedModel
  /// Only where it fits the use case as it is now.
  let champion: FittedModel?
  /// For an expected value.
  let baseline: EntityBaseline?
  /// Microseconds of event time that the candidate learned from, and that it should have learned from at least.
  let span: Int64
  let leastSpan: Int64
  let seed: UInt64

  /// How much larger than the champion's a candidate's pinball loss may be: what chance alone makes of one day.
  static let lossTolerance = 1.02
  /// How much lower its area under the curve.
  static let areaTolerance = 0.02
  /// Least area under the curve of a first candidate: half-way between knowing nothing and knowing everything is 0.75.
  static let leastArea = 0.75
  /// Faults without which an area has a standard error of more than 0.04.
  static let leastFaults = 50
  /// Alarms on held-out events, as a multiple of what the budget lets expect, and a count that chance alone may add.
  static let alarmTolerance = (factor: 3.0, count: 10.0)

  /// - Parameters:
  ///   - rows: held-out events.
  ///   - matrix: as the candidate sees them.
  ///   - championMatrix: as the champion sees them; nil without one.
  func judge(_ rows: TrainingRows, matrix: FeatureMatrix, championMatrix: FeatureMatrix?) -> GateReport {
    var checks = [coverage()]
    switch plan.definition.kind {
    case .expectedValue(let definition):
      checks += losses(rows, matrix, championMatrix, definition)
      checks.append(targetFaults(rows, matrix, championMatrix, definition))
    case .isolationForest:
      checks.append(variation(rows, matrix))
      checks.append(featureFaults(matrix, championMatrix))
    case .onnx: break
    }
    if let calibration = candidate.calibration { checks.append(alarms(rows, matrix, calibration)) }
    return GateReport(checks: checks)
  }

  private func coverage() -> GateReport.Check {
    let (found, bound) = (Double(span) / 3_600e6, Double(leastSpan) / 3_600e6)
    return GateReport.Check(
      name: "coverage", passed: span >= leastSpan, found: found, bound: bound,
      message: "learned from \(Self.text(found)) hours of events, at least \(Self.text(bound))")
  }

  private func losses(
    _ rows: TrainingRows, _ matrix: FeatureMatrix, _ championMatrix: FeatureMatrix?,
    _ definition: ExpectedValueDefinition
  ) -> [GateReport.Check] {
    let learned = rows.learnedRows
    let actual = learned.map { log1p(rows.targets[$0]) }
    func loss(_ predictions: [Double]) -> Double {
      Quality.pinballLoss(predictions, actual, level: definition.quantile)
    }
    func loss(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      guard case .expectedValue(let expectation) = model.scorer else { return .infinity }
      return loss(expectation.predict(matrix.rows(learned)).quantiles)
    }
    let found = loss(candidate, matrix)
    var checks: [GateReport.Check] = []
    if let baseline {
      let bound = loss(baseline.predict(learned.map { rows.entities[$0] }))
      checks.append(
        GateReport.Check(
          name: "baseline_loss", passed: found < bound, found: found, bound: bound,
          message: "pinball loss \(Self.text(found)), below \(Self.text(bound)) of each entity's own quantile"))
    }
    if let champion, let championMatrix {
      let loss = loss(champion, championMatrix)
      let bound = loss * Self.lossTolerance
      checks.append(
        GateReport.Check(
          name: "champion_loss", passed: found <= bound, found: found, bound: bound,
          message: "pinball loss \(Self.text(found)), at most \(Self.text(Self.lossTolerance)) times the champion's "
            + Self.text(loss)))
    }
    return checks
  }

  private func targetFaults(
    _ rows: TrainingRows, _ matrix: FeatureMatrix, _ championMatrix: FeatureMatrix?,
    _ definition: ExpectedValueDefinition
  ) -> GateReport.Check {
    let planted = PlantedFaults.targets(
      rows.targets, learned: rows.learnedRows, floor: definition.floor, seed: seed)
    if let few = tooFew(planted.faulty.count) { return few }
    func area(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      func scores(_ events: [(row: Int, target: Double)]) -> [Double] {
        model.scorer.rawScores(
          matrix.rows(events.map(\.row)), targets: events.map(\.target), entities: events.map { rows.entities[$0.row] },
          plan: plan, floor: 0)
      }
      return Quality.pairedArea(faulty: scores(planted.faulty), ordinary: scores(planted.ordinary))
    }
    return areaCheck(area(candidate, matrix), champion.flatMap { model in championMatrix.map { area(model, $0) } })
  }

  /// Columns that faults may be planted in: of the event, not of its time, and seen alike by every model.
  private var plantedColumns: [Int] {
    plan.features.inputs.indices.filter { index in
      let input = plan.features.inputs[index]
      return input.encoder == nil && !plan.isCalendar(input)
    }
  }

  private func featureFaults(_ matrix: FeatureMatrix, _ championMatrix: FeatureMatrix?) -> GateReport.Check {
    let changes = PlantedFaults.changes(matrix, columns: plantedColumns, seed: seed)
    if let few = tooFew(changes.count) { return few }
    func area(_ model: FittedModel, _ matrix: FeatureMatrix) -> Double {
      guard case .isolationForest(let forest) = model.scorer else { return 0 }
      return Quality.areaUnderCurve(
        faulty: forest.scores(of: PlantedFaults.apply(changes, to: matrix)), ordinary: forest.scores(of: matrix))
    }
    return areaCheck(area(candidate, matrix), champion.flatMap { model in championMatrix.map { area(model, $0) } })
  }

  /// Where faults cannot be planted (targets that are all alike, features that are all fitted), nothing is said by them.
  private func tooFew(_ count: Int) -> GateReport.Check? {
    guard count < Self.leastFaults else { return nil }
    return GateReport.Check(
      name: "planted_faults", passed: true, found: Double(count), bound: Double(Self.leastFaults),
      message: "only \(count) faults could be planted, fewer than \(Self.leastFaults): they are not judged by")
  }

  private func areaCheck(_ found: Double, _ champions: Double?) -> GateReport.Check {
    let bound = champions.map { $0 - Self.areaTolerance } ?? Self.leastArea
    let comparison =
      champions.map { "at least \(Self.text(bound)): the champion has \(Self.text($0))" }
      ?? "at least \(Self.text(bound)) for a first model"
    return GateReport.Check(
      name: "planted_faults", passed: found >= bound, found: found, bound: bound,
      message: "area under the curve \(Self.text(found)) on planted faults, \(comparison)")
  }

  private func variation(_ rows: TrainingRows, _ matrix: FeatureMatrix) -> GateReport.Check {
    let scores = rawScores(rows, matrix)
    let range = (scores.max() ?? 0) - (scores.min() ?? 0)
    return GateReport.Check(
      name: "variation", passed: range > 1e-6, found: range, bound: 1e-6,
      message: "scores differ by \(Self.text(range)), more than 0.000001")
  }

  private func alarms(_ rows: TrainingRows, _ matrix: FeatureMatrix, _ calibration: Calibration) -> GateReport.Check {
    let found = Double(rawScores(rows, matrix).count { $0 > calibration.threshold })
    let expected = calibration.rate * Double(rows.count)
    let bound = Self.alarmTolerance.factor * expected + Self.alarmTolerance.count
    return GateReport.Check(
      name: "alarms", passed: found <= bound, found: found, bound: bound,
      message: "\(Self.text(found)) alarms on held-out events, at most \(Self.text(bound)); the budget lets expect "
        + Self.text(expected))
  }

  private func rawScores(_ rows: TrainingRows, _ matrix: FeatureMatrix) -> [Double] {
    candidate.scorer.rawScores(matrix, targets: rows.targets, entities: rows.entities, plan: plan)
  }

  /// To four significant digits, for people.
  static func text(_ value: Double) -> String { String(format: "%.4g", value) }
}
