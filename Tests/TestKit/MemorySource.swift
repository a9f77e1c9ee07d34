// A source over records in memory, cut into batches of chosen sizes.

public import Detection
public import Pipeline
import Synchronization

/// Hands out JSON records of one or several partitions; the offset of a record is its index. Several partitions take
/// turns, batch by batch.
public final class MemorySource: Source {
  public let name = "memory"
  private let partitions: [[[UInt8]]]
  private let sizes: [Int]
  /// Batches that are handed out before the first one of each partition.
  private let starts: [Int]
  private struct State: Sendable {
    var next: [Int]
    var turn = 0
    var batches = 0
    var isStopped = false
  }
  private let state: Mutex<State>

  /// - Parameter sizes: sizes of the batches, taken in turn.
  public convenience init(_ records: [[UInt8]], batchSizes sizes: [Int]) {
    self.init(partitions: [records], batchSizes: sizes)
  }

  /// - Parameters:
  ///   - partitions: the records of each.
  ///   - sizes: sizes of the batches, taken in turn.
  ///   - starts: batches that are handed out before the first one of each partition; none unless said otherwise.
  public init(partitions: [[[UInt8]]], batchSizes sizes: [Int], startingAfter starts: [Int] = []) {
    self.partitions = partitions
    self.sizes = sizes
    self.starts = starts
    state = Mutex(State(next: partitions.map { _ in 0 }))
  }

  /// A partition by its number.
  public static func partition(_ number: Int = 0) -> PartitionID {
    PartitionID(source: "memory", number: Int32(number))
  }

  public func open(resumingAt points: [PartitionID: ResumePoint]) async throws {
    state.withLock { state in
      for index in partitions.indices { state.next[index] = Int(points[Self.partition(index)]?.position.offset ?? 0) }
    }
  }

  public func next() async throws -> SourceOutput {
    state.withLock { state in
      let waiting = partitions.indices.filter { state.next[$0] < partitions[$0].count }
      let due = waiting.filter { $0 >= starts.count || starts[$0] <= state.batches }
      guard let index = due.first(where: { $0 >= state.turn }) ?? due.first ?? waiting.first, !state.isStopped else {
        return .end
      }
      state.turn = index + 1
      let first = state.next[index]
      let range = first..<min(partitions[index].count, first + sizes[state.batches % sizes.count])
      state.next[index] = range.upperBound
      state.batches += 1
      let rows = range.map(Int64.init)
      let next = Int64(range.upperBound)
      return .batch(
        RawBatch(
          partition: Self.partition(index), positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
          payload: .json(RecordBytes(Array(partitions[index][range]))),
          next: Position(segment: 0, offset: next, row: next)))
    }
  }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }

  public func stop() { state.withLock { $0.isStopped = true } }
}
