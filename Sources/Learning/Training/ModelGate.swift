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
  /// The rows that the candidate learned from, without what the model saw of them; nil where they are not known.
  let learned: TrainingRows?
  /// Microseconds of event time that the candidate learned from, and that it should have learned from at least.
  let span: Int64
  let leastSpan: Int64
  let seed: UInt64

  /// How much lower than the champion's its area under the curve may be.
  static let areaTolerance = 0.02
  /// Least area under the curve of a first candidate: half-way between knowing nothing and knowing everything is 0.75.
  static let leastArea = 0.75
  /// Faults without which an area has a standard error of more than 0.04.
  static let leastFaults = 50
  /// Alarms on held-out events, as a multiple of what the budget lets expect, and a count that chance alone may add.
  static let alarmTolerance = (factor: 3.0, count: 10.0)

  /// - Parameter trainer: of the detector's type.
  func judge(_ rows: GateRows, by trainer: some DetectorTrainer) -> GateReport {
    var checks = [coverage()]
    let parameters = trainer.parameters(of: plan.definition)
    checks += trainer.checks(by: self, rows, for: parameters)
    if let calibration = candidate.calibration {
      checks.append(alarms(trainer.rawScores(of: candidate, rows, for: parameters), calibration))
    }
    return GateReport(checks: checks)
  }

  private func coverage() -> GateReport.Check {
    let (found, bound) = (Double(span) / 3_600e6, Double(leastSpan) / 3_600e6)
    return GateReport.Check(
      name: "coverage", passed: span >= leastSpan, found: found, bound: bound,
      message: "learned from \(Self.text(found)) hours of events, at least \(Self.text(bound))")
  }

  /// Where faults cannot be planted (targets that are all alike, features that are all fitted), nothing is said by them.
  func tooFew(_ count: Int) -> GateReport.Check? {
    guard count < Self.leastFaults else { return nil }
    return GateReport.Check(
      name: "planted_faults", passed: true, found: Double(count), bound: Double(Self.leastFaults),
      message: "only \(count) faults could be planted, fewer than \(Self.leastFaults): they are not judged by")
  }

  /// By the area under the curve on planted faults: not much below the champion's, or enough for a first model.
  func areaCheck(_ found: Double, _ champions: Double?) -> GateReport.Check {
    let bound = champions.map { $0 - Self.areaTolerance } ?? Self.leastArea
    let comparison =
      champions.map { "at least \(Self.text(bound)): the champion has \(Self.text($0))" }
      ?? "at least \(Self.text(bound)) for a first model"
    return GateReport.Check(
      name: "planted_faults", passed: found >= bound, found: found, bound: bound,
      message: "area under the curve \(Self.text(found)) on planted faults, \(comparison)")
  }

  private func alarms(_ scores: [Double], _ calibration: Calibration) -> GateReport.Check {
    let found = Double(scores.count { $0 > calibration.threshold })
    let expected = calibration.rate * Double(scores.count)
    let bound = Self.alarmTolerance.factor * expected + Self.alarmTolerance.count
    return GateReport.Check(
      name: "alarms", passed: found <= bound, found: found, bound: bound,
      message: "\(Self.text(found)) alarms on held-out events, at most \(Self.text(bound)); the budget lets expect "
        + Self.text(expected))
  }

  /// To four significant digits, for people.
  static func text(_ value: Double) -> String { String(format: "%.4g", value) }
}

/// Held-out events that a candidate is judged by.
struct GateRows {
  let events: TrainingRows
  /// As the candidate sees them.
  let matrix: FeatureMatrix
  /// As the champion sees them; nil without one.
  let championMatrix: FeatureMatrix?
}

extension DetectorTrainer {
  /// Raw scores of held-out events.
  /// - Precondition: a model of this type.
  func rawScores(of model: FittedModel, _ rows: GateRows, for parameters: Scorer.Parameters) -> [Double] {
    guard let scorer = model.scorer as? Scorer else { preconditionFailure("a model of another type than \(type)") }
    let events = ScoringRows(rows.matrix, targets: rows.events.targets, entities: rows.events.entities)
    return scorer.rawScores(of: events, for: parameters)
  }
}
