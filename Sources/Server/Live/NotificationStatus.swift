// How it goes with telling, as a light.

import Detection
import Pipeline

extension NotificationService {
  /// Microseconds for which one that was given up is a warning.
  private static let memory: Int64 = 86_400_000_000

  /// How the sinks that are told of a use case do; nil where there is none.
  func component(of useCase: String, at now: Int64) async -> UseCaseStatus.Component? {
    var (troubles, last): ([String], Int64?) = ([], nil)
    let own = sinks.filter { $0.rules.useCases.isEmpty || $0.rules.useCases.contains(useCase) }
    if own.isEmpty { return nil }
    for sink in own {
      do {
        let state = try await state(of: sink)
        last = [last, state.lastDelivery].compactMap(\.self).max()
        if let waiting = state.waiting.first(where: { $0.attempts > 0 }) {
          troubles.append("\(sink.name) is told again soon: \(waiting.trouble ?? "").")
        } else if let lost = state.givenUp.last, now - lost.at < Self.memory {
          troubles.append("\(sink.name) could not be told: \(lost.notification.trouble ?? "").")
        }
      } catch { troubles.append("\(sink.name): \(error)") }
    }
    return UseCaseStatus.Component(
      name: "notifications", state: troubles.isEmpty ? .ok : .warning,
      text: troubles.isEmpty ? "told" : "not taken", since: nil,
      note: troubles.isEmpty && last == nil ? "nothing to tell yet" : nil,
      why: troubles.isEmpty ? nil : troubles.joined(separator: " "))
  }
}
