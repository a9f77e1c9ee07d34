// The partitions of a source that nobody else reads: files, standard input, a simulation. They are assigned once, at the
// beginning, and never revoked.

public import Detection
import Synchronization

/// Assigns the partitions of a source and waits for the answers.
public final class OwnPartitions: Sendable {
  private struct State: Sendable {
    var unassigned: ArraySlice<PartitionID>
    /// Assigned and not answered yet.
    var unanswered: Set<PartitionID> = []
    /// Those that may be read.
    var resumed: Set<PartitionID> = []
    var isStopped = false
    var waiting: CheckedContinuation<Void, Never>?

    var mayGoOn: Bool { unanswered.isEmpty || isStopped }
  }

  private let state: Mutex<State>

  public init(_ partitions: [PartitionID]) { state = Mutex(State(unassigned: partitions[...])) }

  /// What the source has to say before it reads: each partition is assigned, and all are waited for until they are answered;
  /// the end where none is left to be read, or the source was stopped before all were answered.
  /// - Returns: nil where the source may read on.
  public func next() async -> SourceEvent? {
    let assigned = state.withLock { state -> PartitionID? in
      guard !state.isStopped, let partition = state.unassigned.popFirst() else { return nil }
      state.unanswered.insert(partition)
      return partition
    }
    if let assigned { return .assigned(assigned) }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let goesOn = state.withLock { state in
        if state.mayGoOn { return true }
        precondition(state.waiting == nil, "a source has one reader")
        state.waiting = continuation
        return false
      }
      if goesOn { continuation.resume() }
    }
    return state.withLock { $0.resumed.isEmpty || !$0.unanswered.isEmpty } ? .end : nil
  }

  /// A partition may be read.
  public func resume(_ partition: PartitionID) {
    update { state in
      state.unanswered.remove(partition)
      state.resumed.insert(partition)
    }
  }

  /// A partition is not to be read any more.
  public func release(_ partition: PartitionID) {
    update { state in
      state.unanswered.remove(partition)
      state.resumed.remove(partition)
    }
  }

  /// Waits no longer. What may be read is the source's to end.
  public func stop() { update { $0.isStopped = true } }

  private func update(_ change: @Sendable (inout State) -> Void) {
    let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
      change(&state)
      guard state.mayGoOn else { return nil }
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume()
  }
}
