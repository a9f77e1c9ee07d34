// When a lane commits what: results after every batch, shards as they fill, a checkpoint whenever the interval has
// passed, and everything at the end. The lane waits only when a checkpoint is due and the last one is not done, or when
// the disk cannot keep up with shards, or before the first results of a segment whose description is not stored yet.

import Detection
import Synchronization

/// The commits of one lane, in order. Used by the lane's task alone.
final class CommitSchedule {
  private let output: LaneOutput
  private let interval: Duration
  private let wake: @Sendable () -> Void
  /// Wakes the lane when the next checkpoint is due.
  private var waking: Task<Void, Never>?
  private var lastCheckpoint = ContinuousClock.now
  private var lastPosition: Position?
  private var checkpoint: Task<Void, any Error>?
  private let held = HeldCheckpoint()
  /// Bytes of memory that the checkpoint under way takes.
  var heldBytes: Int { held.bytes.load(ordering: .relaxed) }
  /// Whether the partition has no checkpoint at all, and no batch: then it gets one only where its source has found
  /// something that a later run must know.
  private var isNew: Bool
  private let hasFound: @Sendable () -> Bool
  /// What a resumed run needs to find the segments up to this one again is durable; nil before the first batch.
  private var admitted: UInt32?
  /// Shards that the next checkpoint lists.
  private var shards: [Task<HistoryShard, any Error>] = []
  /// Shards that nobody has waited for, oldest first, at most `maxShardsUnderWay`: waiting for the oldest means that the
  /// disk has caught up. Each waits for the one before it, so one that is done has only done ones before it.
  private var shardsUnderWay: [Task<HistoryShard, any Error>] = []

  /// Full shards in memory at a time: one being written and one waiting.
  private static let maxShardsUnderWay = 2

  /// - Parameters:
  ///   - isNew: whether nothing of the partition is stored.
  ///   - hasFound: whether a new partition is to be put on record before anything comes of it.
  ///   - wake: lets the lane call `checkpointIfDue` although nothing arrives.
  init(
    _ output: LaneOutput, interval: Duration, isNew: Bool, hasFound: @escaping @Sendable () -> Bool = { false },
    wake: @escaping @Sendable () -> Void
  ) {
    self.output = output
    self.isNew = isNew
    self.hasFound = hasFound
    self.interval = interval
    self.wake = wake
  }

  /// To be called before a batch of `segment` is processed: what a resumed run relies on is stored before the first
  /// result is. A run that is killed before its next checkpoint then finds the input again that its results are of,
  /// wherever it was moved meanwhile.
  func admit(_ segment: UInt32, to processor: inout PartitionProcessor) async throws {
    if let admitted, segment <= admitted { return }
    if isNew || !output.source.isRecorded(segment, of: processor.partition) { try await takeCheckpoint(of: &processor) }
    // Also where one is under way that has it: results are not to overtake it.
    try await checkpoint?.value
    isNew = false
    admitted = segment
  }

  /// Reads back what is parked and needed before events are processed.
  /// - Parameter pieces: of the next batch; none where only what waits may be decided.
  func readBack(for pieces: [StagedWork], into processor: PartitionProcessor) async throws {
    let wanted = processor.wanted(for: pieces)
    if wanted.isEmpty { return }
    // What was parked last is in the store once its checkpoint is.
    try await checkpoint?.value
    for (space, keys) in wanted.sorted(by: { $0.key < $1.key }) {
      try processor.unpark(space, await output.committer.state(of: processor.claim, in: space, under: keys))
    }
  }

  /// Parks what has been quiet for longest, with a checkpoint of its own.
  func park(_ processor: inout PartitionProcessor) async throws {
    processor.park()
    stopWaking()
    try await takeCheckpoint(of: &processor)
  }

  /// Hands over the results of a batch and whatever has become due.
  /// - Parameter stamp: of the batch, where it is one. One without results has nothing that could wait to be stored.
  func write(
    _ results: Results, of processor: inout PartitionProcessor, behind stamp: BatchStamp? = nil
  ) async throws {
    if !results.isEmpty {
      try await output.committer.commit(results, behind: stamp)
    } else if let stamp {
      output.progress.noteStored(stamp)
    }
    try await startShards(of: &processor)
    try await checkpointIfDue(&processor)
    if processor.position != lastPosition { wakeWhenDue() }
  }

  /// The lane may become quiet behind this batch: its checkpoint comes when the interval has passed all the same.
  private func wakeWhenDue() {
    guard waking == nil else { return }
    waking = Task { [wake, due = lastCheckpoint + interval] in
      try? await Task.sleep(until: due, clock: .continuous)
      if !Task.isCancelled { wake() }
    }
  }

  private func stopWaking() {
    waking?.cancel()
    waking = nil
  }

  /// Takes a checkpoint if the interval has passed and anything has changed.
  func checkpointIfDue(_ processor: inout PartitionProcessor) async throws {
    let now = ContinuousClock.now
    if isNew {
      guard hasFound() else { return }
      isNew = false
      return try await takeCheckpoint(of: &processor)
    }
    guard now - lastCheckpoint >= interval else { return }
    stopWaking()
    processor.sealHistory(all: false, now: now)
    try await startShards(of: &processor)
    guard processor.position != lastPosition || !shards.isEmpty else {
      // The last one has had its time. That it failed is not to wait for the next event.
      try await checkpoint?.value
      return
    }
    try await takeCheckpoint(of: &processor)
  }

  /// Takes the last checkpoint; returns when everything is durable.
  /// - Parameter sealing: whether what waits in history is put into files. Where another process goes on, it waits for
  ///   more instead.
  func finish(_ processor: inout PartitionProcessor, sealing: Bool) async throws {
    stopWaking()
    if isNew && !hasFound() { return }
    if sealing { processor.sealHistory(all: true, now: .now) }
    try await takeCheckpoint(of: &processor, isLast: sealing)
    try await checkpoint?.value
  }

  /// Waits for whatever is under way where a lane is given up.
  func settle() async {
    stopWaking()
    _ = await checkpoint?.result
    for shard in shardsUnderWay { _ = await shard.result }
  }

  private func startShards(of processor: inout PartitionProcessor) async throws {
    for job in processor.takeShardJobs() {
      if shardsUnderWay.count >= Self.maxShardsUnderWay { _ = try await shardsUnderWay.removeFirst().value }
      let task = Task { [output, partition = processor.partition, previous = shardsUnderWay.last] in
        _ = try await previous?.value
        return try await output.history.write(job, of: partition)
      }
      shards.append(task)
      shardsUnderWay.append(task)
    }
  }

  private func takeCheckpoint(of processor: inout PartitionProcessor, isLast: Bool = false) async throws {
    // Tails whose rows are in a shard by now are dropped with it on record.
    try await startShards(of: &processor)
    try await checkpoint?.value
    let tails = processor.takeTailJobs()
    let (partition, position) = (processor.partition, processor.position)
    var next = processor.takeCheckpoint(sourceState: output.source.checkpointState(of: partition, at: position))
    let changes = output.source.takeStateChanges(of: partition, at: position)
    next.states.append(Checkpoint.StateSpace(name: Checkpoint.sourceSpace, fingerprint: "", changes: changes))
    next.history.droppedTails = tails.dropped
    next.isLast = isLast
    held.bytes.store(next.heldBytes, ordering: .relaxed)
    checkpoint = Task { [output, held, content = next, shards, tails = tails.stored] in
      defer { held.bytes.store(0, ordering: .relaxed) }
      try await output.commit(content, shards: shards, tails: tails)
    }
    self.shards = []
    lastCheckpoint = .now
    lastPosition = processor.position
  }
}

/// What the last checkpoint of a lane takes in memory until it is durable.
private final class HeldCheckpoint: Sendable {
  let bytes = Atomic(0)
}

/// What all lanes of a run write through, and whom they tell.
struct LaneOutput: Sendable {
  let committer: Committer
  let history: HistoryWriter
  let source: any Source
  let progress: RunProgress

  /// Commits a checkpoint with its history, then brings the files in line and tells the source.
  func commit(
    _ checkpoint: Checkpoint, shards: [Task<HistoryShard, any Error>], tails: [TailJob]
  ) async throws {
    let start = ContinuousClock.now
    var checkpoint = checkpoint
    for tail in tails {
      checkpoint.history.tails.append(try await history.encode(tail, of: checkpoint.partition))
    }
    for shard in shards { checkpoint.history.sealed.append(try await shard.value) }
    let removed = try await committer.commit(checkpoint)
    try await history.settle(published: checkpoint.history.sealed, removed: removed)
    try await source.acknowledge(checkpoint.partition, upTo: checkpoint.position)
    progress.noteCheckpoint(of: checkpoint.partition, taking: .now - start)
  }
}
