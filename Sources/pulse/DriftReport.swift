// Whether events still look as they did when the models were trained, as `pulse status` says it.

import Detection
import Learning
import Pipeline

/// The drift of the last days of a use case.
struct DriftReport {
  /// Days that are looked at, the newest ones with events.
  static let days: Int64 = 14

  /// Newest first, then by detector, the largest change first.
  let notable: [PartitionStatus.NotableDrift]
  /// Detectors and days with enough events to tell.
  private let compared: Int
  private let hasCounts: Bool

  /// - Parameter models: the folder of all models.
  init(_ results: any ResultSnapshot, useCase: String, models: String) async throws {
    let counts = try await results.drift(of: useCase, detector: nil)
    let newest = counts.map(\.day).max() ?? 0
    let registry = ModelRegistry(folder: models, useCase: useCase)
    var references: [String: DriftReference?] = [:]
    var found: [PartitionStatus.NotableDrift] = []
    var compared = 0
    for day in counts where day.day > newest - Self.days {
      let key = "\(day.detector)/\(day.version)"
      // A version that is gone cannot be compared with.
      let reference = references[key] ?? (try? registry.drift(of: day.version, of: day.detector))
      references[key] = .some(reference)
      let drifts = reference?.stability(of: day) ?? []
      if !drifts.isEmpty { compared += 1 }
      found += drifts.filter(\.isNotable).map {
        PartitionStatus.NotableDrift(detector: day.detector, version: day.version, day: day.day, drift: $0)
      }
    }
    notable = found.sorted { ($1.day, $0.detector, $1.drift.index) < ($0.day, $1.detector, $0.drift.index) }
    self.compared = compared
    hasCounts = !counts.isEmpty
  }

  /// For a person; nil where no model has scored.
  var text: String? {
    guard hasCounts else { return nil }
    let head = "  drift         "
    guard !notable.isEmpty else {
      return head
        + (compared == 0
          ? "not known yet: no day with \(Limits.minDriftRows.grouped) scored events"
          : "none: the events of \(compared) days (of a model each) look as they did in training")
    }
    var lines: [String] = []
    var shown: (day: Int64, detector: String)?
    for change in notable.prefix(20) {
      if let shown, shown == (change.day, change.detector) {
        lines[lines.count - 1] += ", \(change.drift.name) \(change.drift.index.fixed(2))"
      } else {
        lines.append("\(change.date) \(change.detector): \(change.drift.name) \(change.drift.index.fixed(2))")
      }
      shown = (change.day, change.detector)
    }
    if notable.count > 20 { lines.append("and \(notable.count - 20) more") }
    let note = "(population stability index, notable from \(Drift.notable.fixed(2)))"
    return head + (lines + [note]).joined(separator: "\n" + String(repeating: " ", count: head.count))
  }
}
