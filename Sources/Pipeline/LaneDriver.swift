// What a lane does with the batches of its partition, one after the other: rules, windows, history, commits.

import Detection

/// Drives lanes. One serves all of a run.
struct LaneDriver: Sendable {
  let activator: Activator
  let store: any Store
  let source: any Source
  let history: HistoryWriter
  /// Time between checkpoints.
  let interval: Duration
  let progress: RunProgress

  /// Lane: rules, windows and history of one partition, in order; results at once, checkpoints by the clock.
  func advance(_ lane: Lane, from stored: Snapshots, releasing work: WorkQueue<some Sendable>) async throws {
    let snapshot = stored.take(lane.partition)
    var processor = try await activator.prepare(lane.partition, snapshot)
    progress.start(lane.partition, from: processor.totals)
    let commits = CommitSchedule(
      committer: Committer(store: store, source: source, history: history), source: source, history: history,
      interval: interval, progress: progress, isNew: snapshot == nil, wake: { lane.queue.tick() })
    do { try await drive(lane, &processor, commits, releasing: work) } catch {
      await commits.settle()
      throw error
    }
  }

  private func drive(
    _ lane: Lane, _ processor: inout PartitionProcessor, _ commits: CommitSchedule,
    releasing work: WorkQueue<some Sendable>
  ) async throws {
    while true {
      switch await lane.queue.next() {
      case .element(let pieces):
        try await commits.admit(pieces[0].next.segment, to: &processor)
        let results = try processor.process(pieces, now: .now)
        work.release(bytes: pieces.reduce(0) { $0 + $1.heldBytes })
        progress.update(processor, bytes: pieces.reduce(0) { $0 + $1.bytes }, waiting: work.depth)
        try await commits.write(results, of: &processor)
      case .tick: try await commits.checkpointIfDue(&processor)
      case .end:
        if let results = try await activator.end(&processor, closing: lane.isClosing) {
          progress.update(processor, bytes: 0, waiting: work.depth)
          try await commits.write(results, of: &processor)
        }
        return try await commits.finish(&processor)
      }
    }
  }
}
