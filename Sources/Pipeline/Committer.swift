// The writing half of a lane: commits results soon after their batch, and checkpoints behind everything that was handed
// over before them. It runs beside the lane, which goes on with the next batch; at most one checkpoint is under way.

import Detection

/// Commits the results and checkpoints of one partition, in order.
actor Committer {
  private let store: any Store
  private let source: any Source
  private let history: HistoryWriter
  private var waiting: [Results] = []
  /// Raw bytes of dead letters and text of anomalies in `waiting`.
  private var waitingBytes = 0
  private var writing: Task<Void, any Error>?

  /// Results that may wait before the lane does: at hundreds of anomalies a batch some megabytes.
  private static let maxWaiting = 64
  private static let maxWaitingBytes = 16 << 20

  init(store: any Store, source: any Source, history: HistoryWriter) {
    self.store = store
    self.source = source
    self.history = history
  }

  /// Commits results soon, together with whatever else is waiting by then.
  func commit(_ results: Results) async throws {
    waiting.append(results)
    waitingBytes += results.bytes
    if writing == nil { writing = Task { try await self.writeWaiting() } }
    if waiting.count > Self.maxWaiting || waitingBytes > Self.maxWaitingBytes { try await drain() }
  }

  /// Commits everything handed over before, then the checkpoint with its history, then tells the source.
  func commit(
    _ checkpoint: Checkpoint, shards: [Task<HistoryShard, any Error>], tails: [TailJob]
  ) async throws {
    var checkpoint = checkpoint
    try await drain()
    for tail in tails { checkpoint.history.tails.append(try await history.encode(tail)) }
    for shard in shards { checkpoint.history.sealed.append(try await shard.value) }
    let removed = try await store.commit(checkpoint)
    try await history.settle(published: checkpoint.history.sealed, removed: removed)
    try await source.acknowledge(checkpoint.partition, upTo: checkpoint.position)
  }

  /// Waits for the commit under way, whatever becomes of it.
  func settle() async { _ = await writing?.result }

  private func drain() async throws {
    while let writing { try await writing.value }
  }

  private func writeWaiting() async throws {
    while !waiting.isEmpty {
      let results = waiting
      waiting = []
      waitingBytes = 0
      try await store.commit(results)
    }
    writing = nil
  }
}

/// Writes, publishes and removes shards and encodes tails on a thread of its own: all of it is long work or waits for the
/// disk.
actor HistoryWriter {
  private let encoder: any HistoryEncoder
  private let thread = DedicatedThread(name: "pulse-history")

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(encoder: any HistoryEncoder) { self.encoder = encoder }

  func write(_ job: ShardJob) throws -> HistoryShard {
    var shard = job.shard
    shard.bytes = try encoder.writeShard(job.rows, to: shard.temporaryPath)
    return shard
  }

  func encode(_ job: TailJob) throws -> HistoryTail {
    HistoryTail(number: job.number, days: job.days, bytes: try encoder.encodeTail(job.rows))
  }

  /// Brings the files in line with a committed checkpoint.
  func settle(published: [HistoryShard], removed: [String]) throws {
    if !published.isEmpty { try encoder.publish(published) }
    if !removed.isEmpty { try encoder.remove(removed) }
  }
}
