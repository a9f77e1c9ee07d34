// A sink that fails now and then, before or after it has taken something, as a network does.

public import Pipeline
import Synchronization

/// Keeps what it was given.
public final class FaultySink: Sink {
  /// How a delivery goes wrong.
  public enum Fault: Sendable { case before, halfway, after }

  private struct State: Sendable {
    var deliveries: [[ResultChange]] = []
    var calls = 0
  }

  private let faults: @Sendable (Int) -> Fault?
  private let state = Mutex(State())

  /// - Parameter faults: what goes wrong with a delivery, by its number from 0.
  public init(faults: @escaping @Sendable (Int) -> Fault? = { _ in nil }) { self.faults = faults }

  /// What was taken, delivery by delivery.
  public var deliveries: [[ResultChange]] { state.withLock { $0.deliveries } }

  public func deliver(_ changes: [ResultChange]) async throws {
    let fault = state.withLock { state in
      defer { state.calls += 1 }
      let fault = faults(state.calls)
      switch fault {
      case .before: break
      case .halfway: state.deliveries.append(Array(changes.prefix(changes.count / 2)))
      case .after, nil: state.deliveries.append(changes)
      }
      return fault
    }
    if fault != nil { throw PlannedFault() }
  }

  /// What somebody has who keeps what was delivered by its identity and forgets what was retracted.
  public var contents: [String: ResultChange] {
    state.withLock { state in
      var kept: [String: ResultChange] = [:]
      for change in state.deliveries.joined() {
        switch change.content {
        case .anomaly, .deadLetter, .window: kept[change.id] = change
        case .retraction: kept[change.id] = nil
        case .reset: kept = kept.filter { ($0.value.useCase, $0.value.partition) != (change.useCase, change.partition) }
        }
      }
      return kept
    }
  }
}
