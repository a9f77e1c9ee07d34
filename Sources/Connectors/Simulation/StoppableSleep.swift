// A wait that a request to stop ends at once, without holding a thread.

import Synchronization

/// Set once, from any thread; one task at a time sleeps.
final class StoppableSleep: Sendable {
  private struct State: Sendable {
    var isStopped = false
    var sleep: Task<Void, any Error>?
  }

  private let state = Mutex(State())

  var isStopped: Bool { state.withLock { $0.isStopped } }

  func stop() {
    let sleep = state.withLock { state in
      state.isStopped = true
      return state.sleep
    }
    sleep?.cancel()
  }

  /// Waits until `deadline`; false when stopped, before or meanwhile.
  func sleep(until deadline: ContinuousClock.Instant) async -> Bool {
    guard deadline > .now else { return !isStopped }
    let sleep = Task { try await Task.sleep(until: deadline, clock: .continuous) }
    let isStopped = state.withLock { state in
      state.sleep = sleep
      return state.isStopped
    }
    if isStopped { sleep.cancel() }
    _ = await sleep.result
    return !self.isStopped
  }
}
