// A source over records in memory, cut into batches of chosen sizes.

public import Detection
public import Pipeline
import Synchronization

/// Hands out JSON records of one partition; the offset of a record is its index.
public final class MemorySource: Source {
  public let name = "memory"
  private let records: [[UInt8]]
  private let sizes: [Int]
  private struct State: Sendable {
    var next = 0
    var batches = 0
    var isStopped = false
  }
  private let state = Mutex(State())

  /// - Parameter sizes: sizes of the batches, taken in turn.
  public init(_ records: [[UInt8]], batchSizes sizes: [Int]) {
    self.records = records
    self.sizes = sizes
  }

  private var partition: PartitionID { PartitionID(source: name, number: 0) }

  public func open(resumingAt points: [PartitionID: ResumePoint]) async throws {
    state.withLock { $0.next = Int(points[partition]?.position.offset ?? 0) }
  }

  public func next() async throws -> SourceOutput {
    state.withLock { state in
      guard state.next < records.count, !state.isStopped else { return .end }
      let range = state.next..<min(records.count, state.next + sizes[state.batches % sizes.count])
      state.next = range.upperBound
      state.batches += 1
      let rows = range.map(Int64.init)
      let next = Int64(range.upperBound)
      return .batch(
        RawBatch(
          partition: partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
          payload: .json(RecordBytes(Array(records[range]))), next: Position(segment: 0, offset: next, row: next)))
    }
  }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }

  public func stop() { state.withLock { $0.isStopped = true } }
}
