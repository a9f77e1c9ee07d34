// One writer for all lanes: what is due together shares a transaction, and what is refused concerns its own lane alone.

import Detection
import TestKit
import Testing

@testable import Pipeline

@Suite("Committer", .timeLimit(.minutes(15)))
struct CommitterTests {
  private static func checkpoint(_ claim: Claim, at offset: Int64) -> Checkpoint {
    Checkpoint(
      claim: claim, position: Position(segment: 0, offset: offset, row: offset), sourceState: [], watermark: offset,
      totals: Totals(), windows: [], windowRetention: [], resultsKeepFrom: nil, states: [], history: HistoryChanges())
  }

  /// Lets commits of results wait.
  private final class SlowStore: Store {
    let store: FaultyStore
    let gate = ScriptedSource.Gate()

    init(_ store: any Store) { self.store = FaultyStore(store) }

    func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
      try await store.claim(useCase: useCase, partition: partition)
    }
    func state(
      of claim: Claim, in space: String, under keys: [[UInt8]]
    ) async throws -> [StateEntry] { [] }
    func activations(useCase: String, partition: PartitionID) async throws -> [Activation] { [] }
    func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {}
    func retract(_ waiting: WaitingResults, under claim: Claim) async throws {}
    func commit(_ results: [Results]) async throws -> Set<Claim> {
      await gate.wait()
      return try await store.commit(results)
    }
    func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome { try await store.commit(checkpoints) }
  }

  @Test("checkpoints of several partitions that are due together are one transaction, refused ones among them")
  func together() async throws {
    let memory = MemoryStore(MemoryHistory())
    let store = SlowStore(memory)
    let committer = Committer(store: store)
    var claims: [Claim] = []
    for number in 0..<5 {
      claims.append(try await store.claim(useCase: "u", partition: MemorySource.partition(number)).claim)
    }
    // What the others come together behind.
    let letter = DeadLetter(
      position: .start, stage: .decode, reason: .malformed, message: "m", raw: [1])
    try await committer.commit(Results(claim: claims[0], deadLetters: [DatedDeadLetter(letter: letter, watermark: 0)]))
    let due = claims
    _ = try await store.claim(useCase: "u", partition: MemorySource.partition(3))
    let outcomes = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
      for (number, claim) in due.enumerated() {
        group.addTask {
          do {
            _ = try await committer.commit(Self.checkpoint(claim, at: Int64(number + 1)))
            return (number, true)
          } catch is Superseded { return (number, false) }
        }
      }
      // They are with the committer before the first transaction ends.
      try await Task.sleep(for: .milliseconds(200))
      store.gate.open()
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    #expect(outcomes == [0: true, 1: true, 2: true, 3: false, 4: true])
    #expect(store.store.checkpointsTogether == [5])
    #expect(
      memory.contents.positions.mapValues(\.offset)
        == [0: 1, 1: 2, 2: 3, 4: 5].reduce(into: [:]) {
          $0[MemorySource.partition($1.key)] = $1.value
        })
    await #expect(throws: Superseded(due[3])) { try await committer.commit(Results(claim: due[3])) }
    try await committer.commit(Results(claim: due[4]))
    await committer.settle()
  }
}
