// The writing of a run: the results and checkpoints of all its lanes, one transaction after another. It runs beside the
// lanes, which go on meanwhile; whatever has come together by the time a transaction ends shares the next one, so that
// partitions whose checkpoints are due together share one sync of the disk.

import Detection

/// Commits results and checkpoints, those of one partition in order.
actor Committer {
  private struct WaitingCheckpoint {
    var checkpoint: Checkpoint
    /// Gets the paths that the store no longer lists.
    var continuation: CheckedContinuation<[String], any Error>
  }

  private let store: any Store
  /// Is told of every commit.
  private let signal: ChangeSignal?
  /// Is told of batches whose results are stored.
  private let progress: RunProgress?
  private var results: [Results] = []
  /// Of the batches that `results` are of.
  private var stamps: [BatchStamp] = []
  /// Raw bytes of dead letters and text of anomalies in `results`.
  private var resultBytes = 0
  private var checkpoints: [WaitingCheckpoint] = []
  private var isWriting = false
  /// What ended the writing: nothing is written behind it.
  private var failure: (any Error)?
  private var refused: Set<Claim> = []
  /// Those who wait until there is less to be written.
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// Results that may wait before their lanes do: at hundreds of anomalies a batch some megabytes.
  private static let maxResults = 64
  private static let maxResultBytes = 16 << 20

  init(store: any Store, signal: ChangeSignal? = nil, progress: RunProgress? = nil) {
    self.store = store
    self.signal = signal
    self.progress = progress
  }

  /// Commits results soon, together with whatever else is waiting by then.
  /// - Parameter stamp: of the batch that they are of.
  /// - Throws: `Superseded` where earlier results of the claim were refused.
  func commit(_ next: Results, behind stamp: BatchStamp? = nil) async throws {
    try check(next.claim)
    results.append(next)
    if let stamp { stamps.append(stamp) }
    resultBytes += next.bytes
    startWriting()
    while results.count > Self.maxResults || resultBytes > Self.maxResultBytes, failure == nil { await pass() }
    try check(next.claim)
  }

  /// Commits a checkpoint behind all results that were handed over before.
  /// - Returns: the paths of shards that the store no longer lists.
  /// - Throws: `Superseded`.
  func commit(_ checkpoint: Checkpoint) async throws -> [String] {
    try check(checkpoint.claim)
    return try await withCheckedThrowingContinuation { continuation in
      checkpoints.append(WaitingCheckpoint(checkpoint: checkpoint, continuation: continuation))
      startWriting()
    }
  }

  /// Reads entries of a state space that a checkpoint of the claim has committed.
  /// - Throws: `Superseded`.
  func state(of claim: Claim, in space: String, under keys: [[UInt8]]) async throws -> [StateEntry] {
    try check(claim)
    return try await store.state(of: claim, in: space, under: keys)
  }

  /// Waits until nothing is being written, whatever becomes of it.
  func settle() async { while isWriting { await pass() } }

  private func check(_ claim: Claim) throws {
    if let failure { throw failure }
    if refused.contains(claim) { throw Superseded(claim) }
  }

  /// Waits for the end of the transactions under way.
  private func pass() async {
    guard isWriting else { return }
    await withCheckedContinuation { waiting.append($0) }
  }

  private func startWriting() {
    if isWriting { return }
    isWriting = true
    Task { await self.write() }
  }

  private func write() async {
    while failure == nil, !(results.isEmpty && checkpoints.isEmpty) {
      // Results first: those that were handed over before a checkpoint are among them, or written already.
      let (batch, due, stored) = (results, checkpoints, stamps)
      (results, resultBytes, checkpoints, stamps) = ([], 0, [], [])
      do {
        if !batch.isEmpty {
          refused.formUnion(try await store.commit(batch))
          for stamp in stored { progress?.noteStored(stamp) }
          signal?.announce()
        }
        resumeWaiting()
        if !due.isEmpty {
          try await commit(due)
          signal?.announce()
        }
      } catch {
        failure = error
        for next in due + checkpoints { next.continuation.resume(throwing: error) }
        (results, resultBytes, checkpoints) = ([], 0, [])
      }
    }
    isWriting = false
    resumeWaiting()
  }

  private func commit(_ due: [WaitingCheckpoint]) async throws {
    let granted = due.filter { !refused.contains($0.checkpoint.claim) }
    let outcome = granted.isEmpty ? CommitOutcome() : try await store.commit(granted.map(\.checkpoint))
    refused.formUnion(outcome.refused)
    for next in due {
      let claim = next.checkpoint.claim
      if refused.contains(claim) {
        next.continuation.resume(throwing: Superseded(claim))
      } else {
        next.continuation.resume(returning: outcome.removedShards[claim] ?? [])
      }
    }
  }

  private func resumeWaiting() {
    defer { waiting = [] }
    for continuation in waiting { continuation.resume() }
  }
}

/// Writes, publishes and removes shards and encodes tails on a thread of its own: all of it is long work or waits for the
/// disk.
actor HistoryWriter {
  private let encoder: any HistoryEncoder
  private let thread = DedicatedThread(name: "pulse-history")

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(encoder: any HistoryEncoder) { self.encoder = encoder }

  func write(_ job: ShardJob, of partition: PartitionID) throws -> HistoryShard {
    var shard = job.shard
    shard.bytes = try encoder.writeShard(job.rows, of: partition, to: shard.temporaryPath)
    return shard
  }

  func encode(_ job: TailJob, of partition: PartitionID) throws -> HistoryTail {
    HistoryTail(number: job.number, days: job.days, bytes: try encoder.encodeTail(job.rows, of: partition))
  }

  /// Brings the files in line with a committed checkpoint.
  func settle(published: [HistoryShard], removed: [String]) throws {
    if !published.isEmpty { try encoder.publish(published) }
    if !removed.isEmpty { try encoder.remove(removed) }
  }
}
