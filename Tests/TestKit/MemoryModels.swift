// A place that keeps models in memory: champions change by hand or after a number of calls, versions disappear, and
// loading can be held up.

public import Detection
public import Pipeline
import Synchronization

/// Keeps the models that a test gives it.
public final class MemoryModels: ModelProvider {
  /// A change of champions at a call of `champions()`, counted from 0 over the life of the object.
  public struct Change: Sendable {
    public var call: Int
    public var champions: [String: String]

    public init(at call: Int, _ champions: [String: String]) {
      self.call = call
      self.champions = champions
    }
  }

  private struct State: Sendable {
    var models: [String: FittedModel] = [:]
    var champions: [String: String]
    var changes: [Change]
    var calls = 0
    var loads: [String] = []
    /// Loads of these wait until `champions()` was called that often.
    var held: [String: Int] = [:]
    /// Loads that are still to fail.
    var failing: [String: Int] = [:]
    var waiting: [(calls: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state: Mutex<State>

  public init(_ models: [FittedModel], champions: [String: String] = [:], changes: [Change] = []) {
    state = Mutex(State(champions: champions, changes: changes))
    for model in models { add(model) }
  }

  /// Every version that was asked for, as `detector version`, in order.
  public var loads: [String] { state.withLock { $0.loads } }

  /// Puts a model in its place; under another version's name, to be found damaged, where one is given.
  public func add(_ model: FittedModel, as version: String? = nil) {
    state.withLock { $0.models["\(model.detector) \(version ?? model.version)"] = model }
  }

  public func remove(_ version: String, of detector: String) {
    state.withLock { $0.models["\(detector) \(version)"] = nil }
  }

  public func promote(_ version: String?, of detector: String) { state.withLock { $0.champions[detector] = version } }

  /// Lets a load of this version wait until `champions()` was called that often.
  public func hold(_ version: String, of detector: String, untilCall calls: Int) {
    state.withLock { $0.held["\(detector) \(version)"] = calls }
  }

  /// Lets the next loads of a version fail.
  public func fail(_ version: String, of detector: String, times: Int) {
    state.withLock { $0.failing["\(detector) \(version)"] = times }
  }

  public func champions() -> [String: String] {
    let (champions, released) = state.withLock { state in
      for change in state.changes where change.call == state.calls {
        state.champions.merge(change.champions) { $1 }
      }
      state.calls += 1
      let calls = state.calls
      let released = state.waiting.filter { $0.calls <= calls }.map(\.continuation)
      state.waiting.removeAll { $0.calls <= calls }
      return (state.champions, released)
    }
    for continuation in released { continuation.resume() }
    return champions
  }

  public func load(_ version: String, of detector: String) async throws -> FittedModel {
    let name = "\(detector) \(version)"
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isHeld = state.withLock { state in
        state.loads.append(name)
        guard let calls = state.held[name], calls > state.calls else { return false }
        state.waiting.append((calls, continuation))
        return true
      }
      if !isHeld { continuation.resume() }
    }
    let model = state.withLock { state -> FittedModel? in
      guard let failures = state.failing[name], failures > 0 else { return state.models[name] }
      state.failing[name] = failures - 1
      return nil
    }
    guard let model else {
      throw OperatingError(.input, "there is no model \(version) of \(detector)")
    }
    return model
  }

  /// Everything that is not held up any more: how far a run has come when a model is there is not to depend on how busy
  /// the machine is.
  public func isAtHand(_ version: String, of detector: String) -> Bool {
    state.withLock { state in state.held["\(detector) \(version)"].map { $0 <= state.calls } ?? true }
  }
}
