// When a lane commits what: results after every batch, shards as they fill, a checkpoint whenever the interval has
// passed, and everything at the end. The lane waits only when a checkpoint is due and the last one is not done, or when
// the disk cannot keep up with shards, or before the first results of a segment whose description is not stored yet.

import Detection

/// The commits of one lane, in order. Used by the lane's task alone.
final class CommitSchedule {
  private let committer: Committer
  private let source: any Source
  private let history: HistoryWriter
  private let interval: Duration
  private let progress: RunProgress
  private let wake: @Sendable () -> Void
  /// Wakes the lane when the next checkpoint is due.
  private var waking: Task<Void, Never>?
  private var lastCheckpoint = ContinuousClock.now
  private var lastPosition: Position?
  private var checkpoint: Task<Void, any Error>?
  /// Whether the partition has no checkpoint at all.
  private var isNew: Bool
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
  ///   - wake: lets the lane call `checkpointIfDue` although nothing arrives.
  init(
    committer: Committer, source: any Source, history: HistoryWriter, interval: Duration, progress: RunProgress,
    isNew: Bool, wake: @escaping @Sendable () -> Void
  ) {
    self.committer = committer
    self.isNew = isNew
    self.source = source
    self.history = history
    self.interval = interval
    self.progress = progress
    self.wake = wake
  }

  /// To be called before a batch of `segment` is processed: what a resumed run relies on is stored before the first
  /// result is. A run that is killed before its next checkpoint then finds the input again that its results are of,
  /// wherever it was moved meanwhile.
  func admit(_ segment: UInt32, to processor: inout PartitionProcessor) async throws {
    if let admitted, segment <= admitted { return }
    if isNew || !source.isRecorded(segment, of: processor.partition) { try await takeCheckpoint(of: &processor) }
    // Also where one is under way that has it: results are not to overtake it.
    try await checkpoint?.value
    isNew = false
    admitted = segment
  }

  /// Hands over the results of a batch and whatever has become due.
  func write(_ results: Results, of processor: inout PartitionProcessor) async throws {
    if !results.isEmpty { try await committer.commit(results) }
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

  /// Seals what waits in history and takes the last checkpoint; returns when everything is durable.
  func finish(_ processor: inout PartitionProcessor) async throws {
    stopWaking()
    processor.sealHistory(all: true, now: .now)
    try await startShards(of: &processor)
    try await takeCheckpoint(of: &processor)
    try await checkpoint?.value
  }

  /// Waits for whatever is under way, after an error: nothing of a failed run may be written once it has ended.
  func settle() async {
    stopWaking()
    _ = await checkpoint?.result
    await committer.settle()
    for shard in shardsUnderWay { _ = await shard.result }
  }

  private func startShards(of processor: inout PartitionProcessor) async throws {
    for job in processor.takeShardJobs() {
      if shardsUnderWay.count >= Self.maxShardsUnderWay { _ = try await shardsUnderWay.removeFirst().value }
      let task = Task { [history, previous = shardsUnderWay.last] in
        _ = try await previous?.value
        return try await history.write(job)
      }
      shards.append(task)
      shardsUnderWay.append(task)
    }
  }

  private func takeCheckpoint(of processor: inout PartitionProcessor) async throws {
    // Tails whose rows are in a shard by now are dropped with it on record.
    try await startShards(of: &processor)
    try await checkpoint?.value
    let tails = processor.takeTailJobs()
    let (partition, position) = (processor.partition, processor.position)
    var next = processor.takeCheckpoint(sourceState: source.checkpointState(of: partition, at: position))
    let changes = source.takeStateChanges(of: partition, at: position)
    next.states.append(Checkpoint.StateSpace(name: Checkpoint.sourceSpace, fingerprint: "", changes: changes))
    next.history.droppedTails = tails.dropped
    let (committer, content, shards) = (committer, next, shards)
    checkpoint = Task { [progress] in
      let start = ContinuousClock.now
      try await committer.commit(content, shards: shards, tails: tails.stored)
      progress.noteCheckpoint(of: content.partition, taking: .now - start)
    }
    self.shards = []
    lastCheckpoint = .now
    lastPosition = processor.position
  }
}
