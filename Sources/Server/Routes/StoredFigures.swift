// What Prometheus is told of a use case that the store and the registry of models know: counts of all runs, how its components
// stand, its models, and what people said of its findings.

import Detection
import Foundation
import Learning
import Logging
import Operations
import Pipeline

/// Figures of one use case.
struct StoredFigures: Sendable {
  private let useCase: ServedUseCase
  private let services: Services

  init(_ useCase: ServedUseCase, _ services: Services) { (self.useCase, self.services) = (useCase, services) }

  /// Adds what can be read. That something cannot is itself told, and takes nothing from the rest.
  func add(to families: inout MetricFamilies) async {
    do {
      let figures = try await Figures(useCase, services)
      families.add("pulse_store_up", .gauge, [("use_case", useCase.name)], 1)
      add(figures, to: &families)
    } catch {
      services.logger.error("the metrics of the use case \(useCase.name) could not be read: \(error)")
      families.add("pulse_store_up", .gauge, [("use_case", useCase.name)], 0)
    }
  }

  // MARK: Reading

  /// What is read of a use case.
  private struct Figures: Sendable {
    var status: UseCaseStatus
    var totals: Totals
    var watermark: Int64?
    var models: [Model]
    var feedback: [String: Feedback]

    init(_ useCase: ServedUseCase, _ services: Services) async throws {
      status = try await services.live.status(of: useCase)
      let (partitions, drift) = try await useCase.store.reader.read { snapshot in
        (
          try await snapshot.status(of: useCase.name, counting: false),
          try await snapshot.drift(of: useCase.name, detector: nil)
        )
      }
      totals = partitions.reduce(Totals()) { $0 + $1.totals }
      watermark = partitions.compactMap(\.watermark).min()
      models = try await blocking {
        useCase.plan.detectors.compactMap { Model($0.name, useCase.versions, drift) }
      }
      feedback = try await useCase.feedback()
    }
  }

  /// The champion of a detector.
  private struct Model: Sendable {
    var detector: String
    var manifest: ModelManifest
    /// Of the newest day that has enough events to tell; empty where there is none.
    var drift: [Drift]

    /// - Returns: nil where there is none, or what is on record about it cannot be read: `pulse models list` says why.
    init?(_ detector: String, _ versions: ModelCatalog, _ counts: [DriftCounts]) {
      guard let version = try? versions.champion(of: detector)?.version,
        let manifest = try? versions.entries(of: detector).first(where: { $0.version == version })?.manifest.get()
      else { return nil }
      (self.detector, self.manifest) = (detector, manifest)
      let days = counts.filter { $0.detector == detector && $0.version == version }.sorted { $1.day < $0.day }
      let reference = versions.drift(of: version, of: detector)
      drift = days.lazy.map { reference?.stability(of: $0) ?? [] }.first { !$0.isEmpty } ?? []
    }
  }

  // MARK: Telling

  private func add(_ figures: Figures, to families: inout MetricFamilies) {
    let own = [("use_case", useCase.name)]
    let status = figures.status
    for component in status.components {
      for state in UseCaseStatus.State.allCases {
        families.add(
          "pulse_component_state", .gauge, own + [("component", component.name), ("state", state.rawValue)],
          component.state == state ? 1 : 0)
      }
    }
    families.add("pulse_stored_records_total", .counter, own, Double(figures.totals.records))
    // One series that is there from the start: where a reason appears with its first dead letter, its rate is 0.
    families.add(
      "pulse_stored_unusable_records_total", .counter, own,
      Double(figures.totals.deadLetters.values.reduce(0, +)))
    // Those that have found nothing yet are there as well, so that a rate has a value before the first finding.
    let detectors = Set(useCase.plan.rules.map(\.name) + useCase.plan.detectors.map(\.name))
    for detector in detectors.union(figures.totals.anomalies.keys).sorted() {
      families.add(
        "pulse_stored_anomalies_total", .counter, own + [("detector", detector)],
        Double(figures.totals.anomalies[detector] ?? 0))
    }
    for (name, count) in figures.totals.deadLetters.sorted(by: { $0.key < $1.key }) {
      let parts = name.split(separator: "/").map(String.init)
      families.add(
        "pulse_stored_dead_letters_total", .counter,
        own + [("stage", parts[0]), ("reason", parts[parts.count - 1])], Double(count))
    }
    if let watermark = figures.watermark {
      families.add("pulse_stored_watermark_timestamp_seconds", .gauge, own, Double(watermark) / 1e6)
    }
    if let lag = status.lagSeconds { families.add("pulse_lag_seconds", .gauge, own, lag) }
    if !useCase.plan.detectors.isEmpty {
      families.add("pulse_model_candidates", .gauge, own, Double(status.candidates))
      if case .every(let interval) = useCase.plan.useCase.training.schedule {
        families.add("pulse_training_interval_seconds", .gauge, own, Double(interval) / 1e6)
      }
    }
    for model in figures.models { add(model, at: status.time, to: &families) }
    add(figures.feedback, to: &families)
  }

  private func add(_ model: Model, at now: Int64, to families: inout MetricFamilies) {
    let own = [("use_case", useCase.name), ("detector", model.detector)]
    families.add("pulse_model_age_seconds", .gauge, own, Double(now.subtractingSaturated(model.manifest.created)) / 1e6)
    for (part, isScore) in [("inputs", false), ("score", true)] {
      guard let index = model.drift.filter({ $0.isScore == isScore }).map(\.index).max() else { continue }
      families.add("pulse_model_drift", .gauge, own + [("of", part)], index)
    }
    guard let gate = model.manifest.gate else { return }
    families.add("pulse_model_gate_passed", .gauge, own, gate.passed ? 1 : 0)
    for check in gate.checks {
      families.add("pulse_model_gate_found", .gauge, own + [("check", check.name)], check.found)
      families.add("pulse_model_gate_bound", .gauge, own + [("check", check.name)], check.bound)
    }
  }

  private func add(_ feedback: [String: Feedback], to families: inout MetricFamilies) {
    var counts: [String: [Feedback.Verdict: Int]] = [:]
    for (finding, last) in feedback {
      guard let detector = AnomalyID.parts(of: finding)?.detector else { continue }
      counts[detector, default: [:]][last.verdict, default: 0] += 1
    }
    for (detector, verdicts) in counts.sorted(by: { $0.key < $1.key }) {
      let own = [("use_case", useCase.name), ("detector", detector)]
      for verdict in Feedback.Verdict.allCases {
        families.add(
          "pulse_feedback_findings", .gauge, own + [("verdict", verdict.word)], Double(verdicts[verdict] ?? 0))
      }
      let (real, wrong) = (verdicts[.real] ?? 0, verdicts[.falseAlarm] ?? 0)
      guard real + wrong > 0 else { continue }
      families.add("pulse_feedback_precision_ratio", .gauge, own, Double(real) / Double(real + wrong))
    }
  }
}
