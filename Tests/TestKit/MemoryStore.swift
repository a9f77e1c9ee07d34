// A store in memory that can fail: commits are atomic, and a failure may come before or after one takes effect, as when a
// process is killed. Used to run whole pipelines against seeded faults.

public import Detection
import Foundation
public import Pipeline
import Synchronization

/// Thrown by a store at a planned moment.
public struct PlannedFault: Error {
  public init() {}
}

/// Keeps what a pipeline commits.
public final class MemoryStore: Store {
  /// What is stored; comparable between runs.
  public struct Contents: Sendable, Equatable {
    public var anomalies: [String: String] = [:]
    /// By partition and position, as text.
    public var deadLetters: [String: String] = [:]
    public var windows: [String: String] = [:]
    public var totals = Totals()
    public var positions: [PartitionID: Position] = [:]
    /// Rows of history shards in the order of their numbers, by partition and day.
    public var history: [String: [String]] = [:]
    /// Drift counts of all partitions together, by detector, version and day.
    public var drift: [String: DriftCounts] = [:]

    public init() {}
  }

  private struct State: Sendable {
    var parts: [PartitionID: MemoryPart] = [:]
    var commits = 0
    var faults: Set<Int> = []
    /// Claims of these wait.
    var held: [PartitionID: ScriptedSource.Gate] = [:]
    /// Whether a fault comes after a commit has taken effect; nil goes by its number: after odd ones.
    var failsAfter: Bool?
  }

  private let state = Mutex(State())
  private let encoder: MemoryHistory
  /// What keeps the history of the store.
  public var history: MemoryHistory { encoder }

  public init(_ encoder: MemoryHistory) { self.encoder = encoder }

  public var contents: Contents {
    state.withLock { state in
      var contents = Contents()
      for (partition, part) in state.parts {
        let name = "\(partition.number)"
        for (id, row) in part.anomalies { contents.anomalies[id] = "\(row.value)" }
        for (position, row) in part.deadLetters {
          contents.deadLetters["\(name) \(position)"] = "\(row.value.letter) \(row.value.watermark)"
        }
        for (key, window) in part.allWindows {
          // As one text: an array prints each of its bytes as a number of its own, which takes minutes for large states.
          var part = window.part
          part.state = []
          // What an open one says so far is a matter of its state.
          let said = window.part.closed ? "\(window.result.aggregates) \(window.result.classCounts)" : ""
          contents.windows["\(name) \(key.window) \(key.start) \(key.by)"] =
            "\(part) \(Data(window.part.state).base64EncodedString()) \(said)"
        }
        for (day, rows) in part.history { contents.history["\(name) \(day)"] = rows }
        for (key, day) in part.drift {
          if contents.drift[key] == nil { contents.drift[key] = day } else { contents.drift[key]?.add(day) }
        }
        guard let snapshot = part.snapshot else { continue }
        contents.totals = contents.totals + snapshot.totals
        contents.positions[partition] = snapshot.position
      }
      return contents
    }
  }

  /// The activation log of a partition.
  public func log(of partition: PartitionID) -> [Activation] {
    state.withLock { $0.parts[partition]?.activations ?? [] }
  }

  /// The epoch of the claim that may write a partition; 0 where it was never claimed.
  public func epoch(of partition: PartitionID) -> Int64 { state.withLock { $0.parts[partition]?.epoch ?? 0 } }

  /// Lets claims of a partition wait.
  public func hold(_ partition: PartitionID, until gate: ScriptedSource.Gate) {
    state.withLock { $0.held[partition] = gate }
  }

  /// Puts activations on record, as an earlier run did.
  public func record(_ activations: [Activation]) {
    state.withLock { state in
      for activation in activations {
        state.parts[activation.partition, default: MemoryPart()].activations.append(activation)
      }
    }
  }

  /// Commits (activations among them), counted from now, that fail: an even number before, an odd one after it has taken
  /// effect.
  public func fail(at commits: Set<Int>) {
    state.withLock {
      $0.commits = 0
      $0.faults = commits
      $0.failsAfter = nil
    }
  }

  /// One commit, counted from now, that fails, before or after it has taken effect.
  public func fail(at commit: Int, afterEffect: Bool) {
    state.withLock {
      $0.commits = 0
      $0.faults = [commit]
      $0.failsAfter = afterEffect
    }
  }

  public func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
    await state.withLock { $0.held[partition] }?.wait()
    return state.withLock { state in
      state.parts[partition, default: MemoryPart()].claim(useCase, partition)
      guard let part = state.parts[partition] else { preconditionFailure("the part was just made") }
      let claim = Claim(useCase: useCase, partition: partition, epoch: part.epoch)
      guard var snapshot = part.snapshot else { return ClaimedPartition(claim, nil) }
      snapshot.states = part.entries.mapValues {
        PartitionSnapshot.StoredState(fingerprint: $0.fingerprint, entries: MemoryPart.sorted($0.entries))
      }
      snapshot.configurations = part.configurationTexts
      snapshot.openWindows = part.openWindows
      snapshot.closedWindows = part.closedWindows
      snapshot.tails = part.tails
      snapshot.nextShard = part.nextShard
      snapshot.drift = part.drift.sorted { $0.key < $1.key }.map(\.value)
      return ClaimedPartition(claim, snapshot)
    }
  }

  public func state(
    of claim: Claim, in space: String, under keys: [[UInt8]]
  ) async throws -> [StateEntry] {
    try state.withLock { state in
      guard let part = state.parts[claim.partition], part.epoch == claim.epoch else { throw Superseded(claim) }
      return keys.sorted { $0.lexicographicallyPrecedes($1) }.compactMap { key in
        part.entries[space]?.entries[key].map { StateEntry(key: key, value: $0) }
      }
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] { log(of: partition) }

  public func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {
    let refused = try commit([claim]) { part, _ in
      part.activations.append(activation)
      if let text { part.configurations[activation.version] = text }
      part.retract { $0 >= activation.from }
    }
    if !refused.isEmpty { throw Superseded(claim) }
  }

  public func retract(_ waiting: WaitingResults, under claim: Claim) async throws {
    try state.withLock { state in
      guard state.parts[claim.partition]?.epoch == claim.epoch else { throw Superseded(claim) }
      state.parts[claim.partition]?.retract(waiting)
    }
  }

  public func commit(_ results: [Results]) async throws -> Set<Claim> {
    try commit(results.map(\.claim)) { part, index in part.write(results[index]) }
  }

  public func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome {
    let shards = checkpoints.map { checkpoint in
      checkpoint.history.sealed.map { ($0, encoder.rows(at: $0.temporaryPath)) }
    }
    return CommitOutcome(
      refused: try commit(checkpoints.map(\.claim)) { $0.commit(checkpoints[$1], shards: shards[$1]) })
  }

  /// One commit: the changes of claims that stand.
  /// - Returns: the claims that were refused.
  private func commit(_ claims: [Claim], _ change: (inout MemoryPart, Int) -> Void) throws -> Set<Claim> {
    try state.withLock { state in
      defer { state.commits += 1 }
      let isFault = state.faults.contains(state.commits)
      let takesEffect = state.failsAfter ?? (state.commits % 2 == 1)
      var refused: Set<Claim> = []
      if !isFault || takesEffect {
        for (index, claim) in claims.enumerated() {
          if state.parts[claim.partition]?.epoch == claim.epoch {
            change(&state.parts[claim.partition, default: MemoryPart()], index)
          } else {
            refused.insert(claim)
          }
        }
      }
      if isFault { throw PlannedFault() }
      return refused
    }
  }
}

extension MemoryStore: ResultReader {
  public var place: String { "memory" }

  public func snapshot() async throws -> any ResultSnapshot { MemorySnapshot(state.withLock { $0.parts }) }
}
