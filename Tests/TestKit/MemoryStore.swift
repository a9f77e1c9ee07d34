// A store in memory that can fail: commits are atomic, and a failure may come before or after one takes effect, as when a
// process is killed. Used to run whole pipelines against seeded faults.

public import Detection
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

  /// Everything of one partition.
  fileprivate struct Part: Sendable {
    var epoch: Int64 = 0
    var anomalies: [String: (position: Position, text: String)] = [:]
    var deadLetters: [Position: String] = [:]
    var windows: [String: String] = [:]
    var history: [String: [String]] = [:]
    var drift: [String: DriftCounts] = [:]
    var snapshot: PartitionSnapshot?
    var entries: [String: (fingerprint: String, entries: [[UInt8]: [UInt8]])] = [:]
    var open: [String: (definition: String, part: WindowPart)] = [:]
    var closed: [String: (window: String, definition: String, through: Int64)] = [:]
    var tails: [HistoryTail] = []
    var nextShard: [String: Int] = [:]
    var activations: [Activation] = []
  }

  private struct State: Sendable {
    var parts: [PartitionID: Part] = [:]
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
        contents.anomalies.merge(part.anomalies.mapValues(\.text)) { $1 }
        for (position, letter) in part.deadLetters { contents.deadLetters["\(name) \(position)"] = letter }
        for (key, window) in part.windows { contents.windows["\(name) \(key)"] = window }
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
        state.parts[activation.partition, default: Part()].activations.append(activation)
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
      state.parts[partition, default: Part()].epoch += 1
      guard let part = state.parts[partition] else { preconditionFailure("the part was just made") }
      let claim = Claim(useCase: useCase, partition: partition, epoch: part.epoch)
      guard var snapshot = part.snapshot else { return ClaimedPartition(claim, nil) }
      snapshot.states = part.entries.mapValues { space in
        let sorted = space.entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return (space.fingerprint, sorted.map { (key: $0.key, value: $0.value) })
      }
      snapshot.openWindows = part.open.sorted { $0.key < $1.key }.map(\.value)
      snapshot.closedWindows = Array(part.closed.values)
      snapshot.tails = part.tails
      snapshot.nextShard = part.nextShard
      snapshot.drift = part.drift.sorted { $0.key < $1.key }.map(\.value)
      return ClaimedPartition(claim, snapshot)
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] { log(of: partition) }

  public func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {
    let refused = try commit([claim]) { part, _ in
      part.activations.append(activation)
      part.anomalies = part.anomalies.filter { $0.value.position < activation.from }
      part.deadLetters = part.deadLetters.filter { $0.key < activation.from }
    }
    if !refused.isEmpty { throw Superseded(claim) }
  }

  public func discardResults(under claim: Claim, from position: Position, waiting: WaitingResults) async throws {
    try state.withLock { state in
      guard var part = state.parts[claim.partition], part.epoch == claim.epoch else { throw Superseded(claim) }
      part.anomalies = part.anomalies.filter { id, anomaly in
        let isYetToCome =
          waiting.events.contains(anomaly.position) && waiting.detectors.contains { id.hasSuffix(".\($0)") }
        return anomaly.position < position && !isYetToCome
      }
      part.deadLetters = part.deadLetters.filter { $0.key < position }
      state.parts[claim.partition] = part
    }
  }

  public func commit(_ results: [Results]) async throws -> Set<Claim> {
    try commit(results.map(\.claim)) { part, index in
      for anomaly in results[index].anomalies { part.anomalies[anomaly.id] = (anomaly.position, "\(anomaly)") }
      for (letter, watermark) in results[index].deadLetters {
        part.deadLetters[letter.position] = "\(letter) \(watermark)"
      }
    }
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
  private func commit(_ claims: [Claim], _ change: (inout Part, Int) -> Void) throws -> Set<Claim> {
    try state.withLock { state in
      defer { state.commits += 1 }
      let isFault = state.faults.contains(state.commits)
      let takesEffect = state.failsAfter ?? (state.commits % 2 == 1)
      var refused: Set<Claim> = []
      if !isFault || takesEffect {
        for (index, claim) in claims.enumerated() {
          if state.parts[claim.partition]?.epoch == claim.epoch {
            change(&state.parts[claim.partition, default: Part()], index)
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

extension MemoryStore.Part {
  fileprivate mutating func commit(_ checkpoint: Checkpoint, shards: [(HistoryShard, rows: [String])]) {
    for (window, startsAfter) in checkpoint.windowsBeyond {
      let gone = open.filter { $0.value.part.window == window && $0.value.part.start > startsAfter }.map(\.key)
      for key in gone {
        open[key] = nil
        windows[key] = nil
      }
    }
    for row in checkpoint.windows {
      let key = "\(row.part.window) \(row.part.start) \(row.part.by)"
      windows[key] = "\(row.part) \(row.result.aggregates) \(row.result.classCounts)"
      open[key] = row.part.closed ? nil : (row.definition, row.part)
      if row.part.closed {
        let key = row.part.window + row.definition
        let through = max(closed[key]?.through ?? .min, row.part.start)
        closed[key] = (row.part.window, row.definition, through)
      }
    }
    for space in checkpoint.states {
      if entries[space.name]?.fingerprint != space.fingerprint {
        entries[space.name] = (space.fingerprint, [:])
      }
      for key in space.changes.deletes { entries[space.name]?.entries[key] = nil }
      for (key, value) in space.changes.puts { entries[space.name]?.entries[key] = value }
    }
    let changes = checkpoint.history
    let gone = Set(changes.droppedTails + changes.tails.map(\.number))
    tails = (tails.filter { !gone.contains($0.number) } + changes.tails).sorted { $0.number < $1.number }
    for (shard, rows) in shards {
      history[shard.day, default: []] += rows
      nextShard[shard.day] = shard.number + 1
    }
    for day in checkpoint.drift { drift["\(day.detector) \(day.version) \(day.day)"] = day }
    if let keepFrom = checkpoint.driftKeepFrom { drift = drift.filter { $0.value.day >= keepFrom } }
    snapshot = PartitionSnapshot(
      position: checkpoint.position, sourceState: checkpoint.sourceState, totals: checkpoint.totals, openWindows: [],
      closedWindows: [], states: [:], tails: [], nextShard: [:])
  }
}

/// Keeps shards as text and tails as numbers into a table.
public final class MemoryHistory: HistoryEncoder {
  private struct State: Sendable {
    var shards: [String: [String]] = [:]
    var tails: [HistoryRows] = []
  }

  private let state = Mutex(State())

  public init() {}

  func rows(at path: String) -> [String] { state.withLock { $0.shards[path] ?? [] } }

  public func writeShard(_ rows: HistoryRows, to path: String) throws -> Int64 {
    let text = (0..<rows.count).map { row in rows.columns.map { "\($0[row])" }.joined(separator: "|") }
    state.withLock { $0.shards[path] = text }
    return Int64(text.count)
  }

  public func encodeTail(_ rows: HistoryRows) throws -> [UInt8] {
    state.withLock { state in
      state.tails.append(rows)
      var writer = ByteWriter()
      writer.write(unsigned: UInt64(state.tails.count - 1))
      return writer.bytes
    }
  }

  public func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows {
    var reader = ByteReader(bytes)
    let index = try reader.readCount(upTo: .max)
    return state.withLock { $0.tails[index] }
  }

  public func publish(_ shards: [HistoryShard]) throws {}

  public func remove(_ paths: [String]) throws {}
}
