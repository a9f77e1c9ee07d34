// A history in memory, for stores in memory.

public import Detection
public import Pipeline
import Synchronization

/// Keeps shards as text and tails as numbers into a table.
public final class MemoryHistory: HistoryEncoder {
  private struct State: Sendable {
    var shards: [String: [String]] = [:]
    var tails: [HistoryRows] = []
  }

  private let state = Mutex(State())

  public init() {}

  func rows(at path: String) -> [String] { state.withLock { $0.shards[path] ?? [] } }

  public func writeShard(_ rows: HistoryRows, of partition: PartitionID, to path: String) throws -> Int64 {
    let text = (0..<rows.count).map { row in rows.columns.map { "\($0[row])" }.joined(separator: "|") }
    state.withLock { $0.shards[path] = text }
    return Int64(text.count)
  }

  public func encodeTail(_ rows: HistoryRows, of partition: PartitionID) throws -> [UInt8] {
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
