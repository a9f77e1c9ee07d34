// Activations with a time, so that they can be drawn beside figures: a position has none itself, the findings behind it do.

import Detection
import Pipeline

/// Activations of a use case as JSON.
enum ActivationView {
  /// Activations in order, with the event time of the first finding at or behind each.
  static func timed(_ useCase: ServedUseCase) async throws -> [(activation: Activation, time: Int64?)] {
    let all = try await useCase.store.reader.read { try await $0.activations(of: useCase.name) }
    let anomalies = try useCase.figures.now.anomalies
    return all.map { ($0, anomalies.firstTime(from: $0.from, in: $0.partition)) }
  }

  static func items(of useCase: ServedUseCase, _ filter: ResultFilter) async throws -> [String] {
    try await timed(useCase).enumerated().compactMap { number, entry in
      if filter.from != nil || filter.to != nil {
        guard let time = entry.time, time >= filter.from ?? .min, time < filter.to ?? .max else { return nil }
      }
      let activation = entry.activation
      return JSONText.object([
        ("sequence", String(number)), ("kind", JSONText.string(activation.kind.rawValue)),
        ("detector", JSONText.optional(activation.detector)), ("version", JSONText.string(activation.version)),
        ("record", String(activation.from.row)), ("time", entry.time.map(JSONText.time) ?? "null"),
        ("text", JSONText.string(text(of: activation))),
      ])
    }
  }

  private static func text(of activation: Activation) -> String {
    switch activation.kind {
    case .configuration: "configuration \(activation.version.prefix(12))"
    case .model:
      activation.version.isEmpty
        ? "\(activation.detector ?? "a detector") is silent"
        : "\(activation.detector ?? "a detector") scores by \(activation.version)"
    case .gap: activation.version
    case .close: "the input was closed"
    }
  }
}
