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
    public var deadLetters: [Position: String] = [:]
    public var windows: [String: String] = [:]
    public var totals = Totals()
    public var position = Position.start
    /// Rows of history shards in the order of their numbers, by day.
    public var history: [String: [String]] = [:]
  }

  private struct State: Sendable {
    var contents = Contents()
    var snapshot: PartitionSnapshot?
    var entries: [String: (fingerprint: String, entries: [[UInt8]: [UInt8]])] = [:]
    var open: [String: (definition: String, part: WindowPart)] = [:]
    var closed: [String: (window: String, definition: String, through: Int64)] = [:]
    var tails: [HistoryTail] = []
    var nextShard: [String: Int] = [:]
    var activations: [Activation] = []
    var commits = 0
    var faults: Set<Int> = []
    var partition: PartitionID?
  }

  private let state = Mutex(State())
  private let encoder: MemoryHistory

  public init(_ encoder: MemoryHistory) { self.encoder = encoder }

  public var contents: Contents { state.withLock { $0.contents } }

  /// Commits, counted from now, that fail: an even number before, an odd one after it has taken effect.
  public func fail(at commits: Set<Int>) {
    state.withLock {
      $0.commits = 0
      $0.faults = commits
    }
  }

  public func restore(useCase: String, source: String) async throws -> [PartitionID: PartitionSnapshot] {
    state.withLock { state in
      guard var snapshot = state.snapshot, let partition = state.partition else { return [:] }
      snapshot.states = state.entries.mapValues { space in
        let sorted = space.entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return (space.fingerprint, sorted.map { (key: $0.key, value: $0.value) })
      }
      snapshot.openWindows = state.open.sorted { $0.key < $1.key }.map(\.value)
      snapshot.closedWindows = Array(state.closed.values)
      snapshot.tails = state.tails
      snapshot.nextShard = state.nextShard
      return [partition: snapshot]
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] {
    state.withLock { $0.activations }
  }

  public func activate(_ activation: Activation, useCase: String, text: String) async throws {
    state.withLock { state in
      state.activations.append(activation)
      state.contents.deadLetters = state.contents.deadLetters.filter { $0.key < activation.from }
    }
  }

  public func commit(_ results: [Results]) async throws {
    try commit { state in
      for batch in results {
        for anomaly in batch.anomalies { state.contents.anomalies[anomaly.id] = "\(anomaly)" }
        for (letter, watermark) in batch.deadLetters {
          state.contents.deadLetters[letter.position] = "\(letter) \(watermark)"
        }
      }
    }
  }

  public func commit(_ checkpoint: Checkpoint) async throws -> [String] {
    let shards = checkpoint.history.sealed.map { ($0, encoder.rows(at: $0.temporaryPath)) }
    try commit { state in
      state.partition = checkpoint.partition
      state.contents.totals = checkpoint.totals
      state.contents.position = checkpoint.position
      for row in checkpoint.windows {
        let key = "\(row.part.window) \(row.part.start) \(row.part.by)"
        state.contents.windows[key] = "\(row.part) \(row.result.aggregates) \(row.result.classCounts)"
        state.open[key] = row.part.closed ? nil : (row.definition, row.part)
        if row.part.closed {
          let key = row.part.window + row.definition
          let through = max(state.closed[key]?.through ?? .min, row.part.start)
          state.closed[key] = (row.part.window, row.definition, through)
        }
      }
      for space in checkpoint.states {
        if state.entries[space.name]?.fingerprint != space.fingerprint {
          state.entries[space.name] = (space.fingerprint, [:])
        }
        for key in space.changes.deletes { state.entries[space.name]?.entries[key] = nil }
        for (key, value) in space.changes.puts { state.entries[space.name]?.entries[key] = value }
      }
      let changes = checkpoint.history
      if let below = changes.dropTailsBelow { state.tails.removeAll { $0.number < below } }
      if let tail = changes.addedTail { state.tails.append(tail) }
      for (shard, rows) in shards {
        state.contents.history[shard.day, default: []] += rows
        state.nextShard[shard.day] = shard.number + 1
      }
      state.snapshot = PartitionSnapshot(
        position: checkpoint.position, sourceState: checkpoint.sourceState, totals: checkpoint.totals, openWindows: [],
        closedWindows: [], states: [:], tails: [], nextShard: [:])
    }
    return []
  }

  private func commit(_ change: (inout State) -> Void) throws {
    try state.withLock { state in
      defer { state.commits += 1 }
      let isFault = state.faults.contains(state.commits)
      if !isFault || state.commits % 2 == 1 { change(&state) }
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
