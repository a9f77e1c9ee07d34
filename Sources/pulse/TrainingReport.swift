// What a training shows: a line while it goes on, and what became of each detector.

import Detection
import Foundation
import Learning
import Metrics

/// The live line of a training, with an estimate of what is left.
struct TrainingReport {
  let isShown: Bool
  private let start = ContinuousClock.now
  private var shown: ContinuousClock.Instant?

  init(isShown: Bool) { self.isShown = isShown }

  mutating func show(_ progress: TrainingProgress) {
    guard isShown else { return }
    let now = ContinuousClock.now
    if let shown, now - shown < .milliseconds(100) { return }
    shown = now
    var line = "\(progress.step) · \(Int(progress.share * 100)) %"
    let elapsed = (now - start).seconds
    if progress.share > 0.05 && elapsed > 1 {
      line += " · about \(Int((elapsed / progress.share * (1 - progress.share)).rounded(.up))) s left"
    }
    Terminal.replaceLine(String(line.prefix((Terminal.width(of: STDERR_FILENO) ?? 80) - 1)))
  }

  func clear() { if shown != nil { Terminal.replaceLine("") } }

  static func text(_ outcome: TrainingOutcome) -> String {
    let said =
      switch outcome.result {
      case .promoted: "passed the gate and is the champion now"
      case .passed: "passed the gate; not promoted (pulse models promote)"
      case .refused: "refused by the gate; what is in use stays"
      case .unchanged: "nothing to do"
      case .failed: "no model"
      }
    var lines = ["\(outcome.detector)  \(outcome.version ?? "-")  \(said)"]
    guard let manifest = outcome.manifest, let times = manifest.times, let gate = manifest.gate else {
      return (lines + ["  \(outcome.message)"]).joined(separator: "\n")
    }
    func day(_ time: Int64) -> String { String(Timestamp.formatWithinRange(time).prefix(16)) }
    lines.append(
      "  learned from \(manifest.rows.train.grouped) events since \(day(times.from)), calibrated with "
        + "\(manifest.rows.calibration.grouped) since \(day(times.calibration)), judged by "
        + "\(manifest.rows.gate.grouped) since \(day(times.gate))")
    let metrics = manifest.metrics
    if let rate = metrics["expected_rate"], let reachable = metrics["reachable_rate"], rate > reachable {
      lines.append(
        "  the budget asks for alarms on \(percent(rate)) of the events; at most \(percent(reachable)) have a score above 0, "
          + "so there will be fewer")
    }
    for check in gate.checks { lines.append("  \(check.passed ? "ok  " : "FAIL") \(check.name): \(check.message)") }
    return lines.joined(separator: "\n")
  }

  /// What a report in JSON says of one detector.
  struct ReportedOutcome: Decodable {
    var detector: String
    /// As `TrainingOutcome.Result` is named.
    var result: String
    var version: String?
    var message: String
  }

  /// The outcomes of a report in JSON; nil where the text is none.
  static func outcomes(in report: String) -> [ReportedOutcome]? {
    struct Report: Decodable { var outcomes: [ReportedOutcome] }
    return try? JSONDecoder().decode(Report.self, from: Data(report.utf8)).outcomes
  }

  /// What has not happened yet is counted as well, so that an alert on it can be written.
  static func beginCounting(of useCase: String) {
    for result in ["promoted", "passed", "unchanged", "refused", "failed"] {
      counter(result, useCase).increment(by: 0)
    }
  }

  private static func counter(_ result: String, _ useCase: String) -> Counter {
    Counter(label: "pulse_trainings_total", dimensions: [("use_case", useCase), ("result", result)])
  }

  /// Counts what became of a training for whoever watches this process.
  /// - Parameter outcomes: nil where it ended without a report.
  static func count(_ outcomes: [ReportedOutcome]?, of useCase: String) {
    for result in outcomes.map({ $0.map(\.result) }) ?? ["failed"] { counter(result, useCase).increment() }
  }

  private static func percent(_ share: Double) -> String { String(format: "%.3g %%", share * 100) }

  static func json(_ outcomes: [TrainingOutcome], useCase: String) throws -> String {
    struct Outcome: Encodable {
      var detector: String
      var result: String
      var version: String?
      var message: String
      var manifest: ModelManifest?
    }
    struct Report: Encodable {
      var useCase: String
      var outcomes: [Outcome]
    }
    // A judgement may have compared with what is infinite.
    let encoder = JSONEncoder.sayingNonFinite()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let report = Report(
      useCase: useCase,
      outcomes: outcomes.map {
        Outcome(
          detector: $0.detector, result: "\($0.result)", version: $0.version, message: $0.message,
          manifest: $0.manifest)
      })
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }
}
