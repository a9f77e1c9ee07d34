// Whether events still look as they did when the models were trained.

import Detection
import Learning
public import Pipeline

/// The drift of the last days of a use case.
public struct DriftSummary: Sendable {
  /// Days that are looked at, the newest ones with events.
  public static let days: Int64 = 14

  /// Newest first, then by detector, the largest change first.
  public let notable: [PartitionStatus.NotableDrift]
  /// Detectors and days with enough events to tell.
  public let compared: Int
  /// Whether any model has scored.
  public let hasCounts: Bool

  /// - Parameter models: the folder of all models.
  public init(_ results: any ResultSnapshot, useCase: String, models: String) async throws {
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
}
