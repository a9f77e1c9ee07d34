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
  /// Batches that are handed out before each partition is assigned.
  private let starts: [Int]
  private struct State: Sendable {
    var next: [Int]
    var turn = 0
    var batches = 0
    var isStopped = false
  }
  private let state: Mutex<State>
  /// Those of the beginning, and one for each of the others.
  private let own: OwnPartitions
  private let late: [Int: OwnPartitions]

  /// - Parameter sizes: sizes of the batches, taken in turn.
  public convenience init(_ records: [[UInt8]], batchSizes sizes: [Int]) {
    self.init(partitions: [records], batchSizes: sizes)
  }

  /// - Parameters:
  ///   - partitions: the records of each.
  ///   - sizes: sizes of the batches, taken in turn.
  ///   - starts: batches that are handed out before each partition is assigned; none unless said otherwise.
  public init(partitions: [[[UInt8]]], batchSizes sizes: [Int], startingAfter starts: [Int] = []) {
    self.partitions = partitions
    let isLate = { (index: Int) in index < starts.count && starts[index] > 0 }
    own = OwnPartitions(partitions.indices.filter { !isLate($0) }.map { Self.partition($0) })
    late = Dictionary(
      uniqueKeysWithValues: partitions.indices.filter(isLate).map { ($0, OwnPartitions([Self.partition($0)])) })
    self.sizes = sizes
    self.starts = starts
    state = Mutex(State(next: partitions.map { _ in 0 }))
  }

  /// A partition by its number.
  public static func partition(_ number: Int = 0) -> PartitionID {
    PartitionID(source: "memory", number: Int32(number))
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    state.withLock { $0.next[Int(partition.number)] = Int(point?.position.offset ?? 0) }
    owner(of: partition).resume(partition)
    return []
  }

  public func release(_ partition: PartitionID) async { owner(of: partition).release(partition) }

  private func owner(of partition: PartitionID) -> OwnPartitions { late[Int(partition.number)] ?? own }

  public func next() async throws -> SourceEvent {
    if let event = await own.next() { return event }
    let batches = state.withLock { $0.batches }
    for (index, partition) in late.sorted(by: { $0.key < $1.key }) where starts[index] <= batches {
      if let event = await partition.next() { return event }
    }
    return nextBatch()
  }

  /// The next batch, whether or not its partition was assigned.
  public func nextBatch() -> SourceEvent {
    state.withLock { state in
      let waiting = partitions.indices.filter { state.next[$0] < partitions[$0].count }
      let due = waiting.filter { $0 >= starts.count || starts[$0] <= state.batches }
      guard let index = due.first(where: { $0 >= state.turn }) ?? due.first, !state.isStopped else {
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

  public func stop() {
    state.withLock { $0.isStopped = true }
    own.stop()
    for partition in late.values { partition.stop() }
  }
}
