// That something was committed, without what: whoever wants to know reads it from the store. Announcing costs a lock and
// waits for nobody.

import Synchronization

/// Wakes those who follow changes.
public final class ChangeSignal: Sendable {
  private struct State: Sendable {
    var count = 0
    var next = 0
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    /// Those whose time was over before they had begun to wait.
    var over: Set<Int> = []
  }

  private let state = Mutex(State())

  public init() {}

  /// How often something was announced.
  public var count: Int { state.withLock { $0.count } }

  /// Something was committed.
  public func announce() {
    let waiting = state.withLock { state in
      state.count += 1
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Waits for an announcement that was not seen, for a time at most, and no longer than the task is not cancelled.
  /// - Parameter seen: the count as of what was seen.
  public func wait(behind seen: Int, atMost time: Duration) async {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    let timer = Task {
      try? await Task.sleep(for: time)
      self.end(id)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let isOver = state.withLock { state in
          let isOver = state.over.remove(id) != nil || state.count != seen
          if !isOver { state.waiting[id] = continuation }
          return isOver
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      end(id)
    }
    timer.cancel()
    await timer.value
    _ = state.withLock { $0.over.remove(id) }
  }

  private func end(_ id: Int) {
    let continuation = state.withLock { state in
      let continuation = state.waiting.removeValue(forKey: id)
      if continuation == nil { state.over.insert(id) }
      return continuation
    }
    continuation?.resume()
  }
}
