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
  }

  /// Everything of one partition.
  private struct Part: Sendable {
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

  public func restore(useCase: String, source: String) async throws -> [PartitionID: PartitionSnapshot] {
    state.withLock { state in
      var snapshots: [PartitionID: PartitionSnapshot] = [:]
      for (partition, part) in state.parts {
        guard var snapshot = part.snapshot else { continue }
        snapshot.states = part.entries.mapValues { space in
          let sorted = space.entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
          return (space.fingerprint, sorted.map { (key: $0.key, value: $0.value) })
        }
        snapshot.openWindows = part.open.sorted { $0.key < $1.key }.map(\.value)
        snapshot.closedWindows = Array(part.closed.values)
        snapshot.tails = part.tails
        snapshot.nextShard = part.nextShard
        snapshot.drift = part.drift.sorted { $0.key < $1.key }.map(\.value)
        snapshots[partition] = snapshot
      }
      return snapshots
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] { log(of: partition) }

  public func activate(_ activation: Activation, useCase: String, text: String?) async throws {
    try commit(to: activation.partition) { part in
      part.activations.append(activation)
      part.anomalies = part.anomalies.filter { $0.value.position < activation.from }
      part.deadLetters = part.deadLetters.filter { $0.key < activation.from }
    }
  }

  public func discardResults(
    useCase: String, partition: PartitionID, from position: Position, waiting: WaitingResults
  ) async throws {
    state.withLock { state in
      guard var part = state.parts[partition] else { return }
      part.anomalies = part.anomalies.filter { id, anomaly in
        let isYetToCome =
          waiting.events.contains(anomaly.position) && waiting.detectors.contains { id.hasSuffix(".\($0)") }
        return anomaly.position < position && !isYetToCome
      }
      part.deadLetters = part.deadLetters.filter { $0.key < position }
      state.parts[partition] = part
    }
  }

  public func commit(_ results: [Results]) async throws {
    guard let partition = results.first?.partition else { return }
    precondition(results.allSatisfy { $0.partition == partition }, "results of one lane are of one partition")
    try commit(to: partition) { part in
      for batch in results {
        for anomaly in batch.anomalies { part.anomalies[anomaly.id] = (anomaly.position, "\(anomaly)") }
        for (letter, watermark) in batch.deadLetters { part.deadLetters[letter.position] = "\(letter) \(watermark)" }
      }
    }
  }

  public func commit(_ checkpoint: Checkpoint) async throws -> [String] {
    let shards = checkpoint.history.sealed.map { ($0, encoder.rows(at: $0.temporaryPath)) }
    try commit(to: checkpoint.partition) { part in
      for (window, startsAfter) in checkpoint.windowsBeyond {
        let gone = part.open.filter { $0.value.part.window == window && $0.value.part.start > startsAfter }.map(\.key)
        for key in gone {
          part.open[key] = nil
          part.windows[key] = nil
        }
      }
      for row in checkpoint.windows {
        let key = "\(row.part.window) \(row.part.start) \(row.part.by)"
        part.windows[key] = "\(row.part) \(row.result.aggregates) \(row.result.classCounts)"
        part.open[key] = row.part.closed ? nil : (row.definition, row.part)
        if row.part.closed {
          let key = row.part.window + row.definition
          let through = max(part.closed[key]?.through ?? .min, row.part.start)
          part.closed[key] = (row.part.window, row.definition, through)
        }
      }
      for space in checkpoint.states {
        if part.entries[space.name]?.fingerprint != space.fingerprint {
          part.entries[space.name] = (space.fingerprint, [:])
        }
        for key in space.changes.deletes { part.entries[space.name]?.entries[key] = nil }
        for (key, value) in space.changes.puts { part.entries[space.name]?.entries[key] = value }
      }
      let changes = checkpoint.history
      let gone = Set(changes.droppedTails + changes.tails.map(\.number))
      part.tails = (part.tails.filter { !gone.contains($0.number) } + changes.tails).sorted { $0.number < $1.number }
      for (shard, rows) in shards {
        part.history[shard.day, default: []] += rows
        part.nextShard[shard.day] = shard.number + 1
      }
      for day in checkpoint.drift { part.drift["\(day.detector) \(day.version) \(day.day)"] = day }
      if let keepFrom = checkpoint.driftKeepFrom { part.drift = part.drift.filter { $0.value.day >= keepFrom } }
      part.snapshot = PartitionSnapshot(
        position: checkpoint.position, sourceState: checkpoint.sourceState, totals: checkpoint.totals, openWindows: [],
        closedWindows: [], states: [:], tails: [], nextShard: [:])
    }
    return []
  }

  private func commit(to partition: PartitionID, _ change: (inout Part) -> Void) throws {
    try state.withLock { state in
      defer { state.commits += 1 }
      let isFault = state.faults.contains(state.commits)
      let takesEffect = state.failsAfter ?? (state.commits % 2 == 1)
      if !isFault || takesEffect { change(&state.parts[partition, default: Part()]) }
      if isFault { throw PlannedFault() }
    }
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
