// The hand-over of batches: a whole pipeline whose batches are so small, and whose source and store so cheap, that what
// is left is what the pipeline costs per batch: two queues, tickets, waking tasks up, and checking the clock.

import Configuration
import Detection
import Logging
import Pipeline
import Synchronization

extension Stage {
  /// Batches of one event through a pipeline with so many workers.
  public static func handOver(workers: Int, batches: Int = 20_000) throws -> Stage {
    let text = """
      name: hand_over
      event:
        time: at
        fields: {at: {type: timestamp, required: true}}
      """
    let check = UseCaseChecker.check(text: text)
    guard let plan = check.plan, let useCase = check.useCase else { throw WrongOutput(check.rendered) }
    let version = ConfigurationVersion(useCase, text: text)
    return Stage("hand over batches of one event, \(workers) workers", count: batches, items: "batches") {
      let store = CountingStore()
      let pipeline = Pipeline(
        plan: plan, version: version, source: MemorySource(batches: batches), store: store, encoder: NoHistory(),
        options: Pipeline.Options(workers: workers, checkpointInterval: .seconds(60)),
        logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
      try await pipeline.run()
      return {
        try expect("events", pipeline.progress.snapshot.run.events, batches)
        try expect("position of the last checkpoint", store.position, Int64(batches))
      }
    }
  }
}

/// Batches of one event that are ready at once.
private final class MemorySource: Source {
  let name = "memory"
  private let batches: Int
  private let next = Atomic(0)
  private let partitions: OwnPartitions

  init(batches: Int) {
    self.batches = batches
    partitions = OwnPartitions([PartitionID(source: name, number: 0)])
  }

  func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    partitions.resume(partition)
    return []
  }

  func release(_ partition: PartitionID) async { partitions.release(partition) }

  func next() async throws -> SourceEvent {
    if let event = await partitions.next() { return event }
    let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
    guard number < batches else { return .end }
    let offset = Int64(number)
    return .batch(
      RawBatch(
        partition: PartitionID(source: name, number: 0),
        positions: RecordPositions(segment: 0, offsets: [offset], rows: [offset]),
        payload: .columns([NamedColumn("at", Column(.timestamp([offset])))]),
        next: Position(segment: 0, offset: offset + 1, row: offset + 1)))
  }

  func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }

  func stop() {
    next.store(batches, ordering: .relaxed)
    partitions.stop()
  }
}

/// A store that keeps the last position only.
private final class CountingStore: Store {
  private let last = Mutex(Int64(0))

  var position: Int64 { last.withLock { $0 } }

  func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
    ClaimedPartition(Claim(useCase: useCase, partition: partition, epoch: 1), nil)
  }
  func state(of claim: Claim, in space: String, under keys: [[UInt8]]) async throws -> [StateEntry] { [] }
  func activations(useCase: String, partition: PartitionID) async throws -> [Activation] { [] }
  func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {}
  func retract(_ waiting: WaitingResults, under claim: Claim) async throws {}
  func commit(_ results: [Results]) async throws -> Set<Claim> { [] }
  func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome {
    for checkpoint in checkpoints { last.withLock { $0 = checkpoint.position.offset } }
    return CommitOutcome()
  }
}

/// A history that keeps nothing.
private struct NoHistory: HistoryEncoder {
  func writeShard(_ rows: HistoryRows, of partition: PartitionID, to path: String) throws -> Int64 { 0 }
  func encodeTail(_ rows: HistoryRows, of partition: PartitionID) throws -> [UInt8] { [] }
  func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows { throw WrongOutput("nothing was kept") }
  func publish(_ shards: [HistoryShard]) throws {}
  func remove(_ paths: [String]) throws {}
}
