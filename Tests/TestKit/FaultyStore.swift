// A store whose commits fail when a test wants it, whatever keeps what is stored.

public import Detection
public import Pipeline
import Synchronization

/// Hands on to another store; one of its writes fails, before or after it has taken effect, as when a process is killed.
public final class FaultyStore: Store {
  private struct State: Sendable {
    var writes = 0
    var fault: Int?
    var checkpoints: [Int] = []
  }

  private let store: any Store
  private let failsAfter: Bool
  private let state: Mutex<State>

  /// - Parameters:
  ///   - fault: the write that fails, counted from 0; nil: none. What comes after it fails too.
  ///   - afterEffect: whether it has taken effect.
  public init(_ store: any Store, failingAt fault: Int? = nil, afterEffect: Bool = false) {
    self.store = store
    failsAfter = afterEffect
    state = Mutex(State(fault: fault))
  }

  /// How many checkpoints each transaction had.
  public var checkpointsTogether: [Int] { state.withLock { $0.checkpoints } }

  private func write<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    let (isFault, isOver) = state.withLock { state in
      defer { state.writes += 1 }
      guard let fault = state.fault else { return (false, false) }
      return (state.writes == fault, state.writes > fault)
    }
    if isOver || isFault && !failsAfter { throw PlannedFault() }
    let value = try await body()
    if isFault { throw PlannedFault() }
    return value
  }

  public func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
    try await write { try await store.claim(useCase: useCase, partition: partition) }
  }

  public func state(
    of claim: Claim, in space: String, under keys: [[UInt8]]
  ) async throws -> [StateEntry] {
    try await store.state(of: claim, in: space, under: keys)
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] {
    try await store.activations(useCase: useCase, partition: partition)
  }

  public func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {
    try await write { try await store.activate(activation, under: claim, text: text) }
  }

  public func retract(_ waiting: WaitingResults, under claim: Claim) async throws {
    try await write { try await store.retract(waiting, under: claim) }
  }

  public func commit(_ results: [Results]) async throws -> Set<Claim> {
    try await write { try await store.commit(results) }
  }

  public func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome {
    state.withLock { $0.checkpoints.append(checkpoints.count) }
    return try await write { try await store.commit(checkpoints) }
  }
}
