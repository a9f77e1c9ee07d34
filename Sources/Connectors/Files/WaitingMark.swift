// Whether a source waits at the end of what there is: written by the thread that reads, read by whoever serves the run.

import Synchronization

/// Set at the end of what there is, and cleared when something is handed over.
final class WaitingMark: Sendable {
  private let mark = Atomic(false)

  var isSet: Bool { mark.load(ordering: .relaxed) }
  func set() { mark.store(true, ordering: .relaxed) }
  func clear() { mark.store(false, ordering: .relaxed) }
}
