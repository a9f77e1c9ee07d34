// What happens to a partition from its assignment to its end. Two tasks serve it: one gives its batches their models and
// hands them to the workers, the other takes them back in order through rules, windows, history and commits. No partition
// waits for what another one loads, restores or puts on record.

import Detection
import Logging

/// A batch on its way to a worker.
struct LaneWork: Sendable {
  /// The batch; several pieces where a model takes over inside it, or the input was at its end.
  var pieces: [ScoredPiece]
  var load: InFlight.Load
  var stamp: BatchStamp
  var ticket: UInt64
  var lane: Lane
}

/// Drives lanes. One serves all of a run.
struct LaneDriver: Sendable {
  let activator: Activator
  /// Nil where the use case has no learned detectors.
  let shelf: ModelShelf?
  let output: LaneOutput
  /// Time between checkpoints.
  let interval: Duration
  let work: Mailbox<LaneWork>
  let inFlight: InFlight
  let memory: MemoryBudget
  /// Whether the run is to end early.
  let isStopped: @Sendable () -> Bool
  let logger: Logger

  private var source: any Source { output.source }

  /// Serves a partition: claims and restores it, tells the source where to go on, processes what comes, and answers the
  /// source at the end. Returns as soon as nothing of it is under way.
  /// - Throws: what ends the run. That another process has claimed the partition does not: the lane ends quietly.
  func serve(_ lane: Lane) async throws {
    // What was given back or lost meanwhile may be another process's by now, and is not to be taken from it.
    guard lane.ending != .revoked, lane.ending != .lost else { return await source.release(lane.partition) }
    defer { memory.forget(lane.partition) }
    do {
      var prepared = try await activator.prepare(lane.partition)
      try await drive(lane, &prepared)
    } catch let superseded as Superseded {
      lane.finish(.lost)
      logger.notice(
        "another process has claimed a partition; it goes on there, and no more of it is processed here",
        metadata: [
          "partition": "\(lane.partition.source)/\(lane.partition.number)", "epoch": "\(superseded.claim.epoch)",
        ])
    } catch {
      await shelf?.keep([], for: lane.partition)
      await source.release(lane.partition)
      throw error
    }
    await shelf?.keep([], for: lane.partition)
    output.progress.end(lane.partition)
    await source.release(lane.partition)
  }

  private func drive(_ lane: Lane, _ prepared: inout PreparedPartition) async throws {
    let (claim, log, point, first) = (prepared.processor.claim, prepared.log, prepared.point, prepared.first)
    output.progress.start(lane.partition, from: prepared.processor.totals)
    let commits = CommitSchedule(
      output, interval: interval, isNew: point == nil, hasFound: { lane.hasFound }, wake: { lane.queue.tick() })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do { try await self.dispatch(lane, claim, log, first, at: point) } catch {
          lane.finish(.lost)
          throw error
        }
      }
      do {
        try note(&prepared.processor, commits)
        try await advance(lane, &prepared.processor, commits)
      } catch {
        // Lets the dispatcher end.
        lane.finish(.lost)
        await commits.settle()
        throw error
      }
      try await group.next()
    }
  }

  /// Tells the source where to go on, then gives each batch its models and hands it to the workers.
  /// - Parameter first: to be put on record before the first batch.
  private func dispatch(
    _ lane: Lane, _ claim: Claim, _ log: [Activation], _ first: Activation?, at point: ResumePoint?
  ) async throws {
    let position = point?.position ?? .start
    let progress = output.progress
    let schedule = shelf.map {
      ModelSchedule(activator.plan, claim, log, activator.store, $0, logger) { progress.noteActivations(1, of: $0) }
    }
    do { try await schedule?.prepare(from: position) } catch is CancellationError where isStopped() {
      // Nothing was read: the last checkpoint stands.
      return lane.finish(.lost)
    }
    let cuts = BatchCuts(log, schedule)
    let gaps: [InputGap]
    do { gaps = try await source.resume(lane.partition, at: point) } catch {
      guard isStopped() else { throw error }
      // Nothing was read: the last checkpoint stands, and what was wrong is found again.
      return lane.finish(.lost)
    }
    try await activator.record(gaps, under: claim, from: position)
    output.progress.noteGaps(gaps)
    lane.noteResumed()
    var tickets: UInt64 = 0
    var first = first
    if point == nil, !source.isRecorded(position.segment, of: lane.partition) {
      // What the source found is on record although nothing comes of it: a later run tells by it what is new.
      if let activation = first { try await activator.begin(activation, under: claim) }
      first = nil
      lane.noteFound()
    }
    while let message = await lane.inbox.receive() {
      switch message {
      case .batch(let batch):
        if tickets == 0, let first { try await activator.begin(first, under: claim) }
        let pieces = try await cuts.pieces(of: batch.raw)
        work.send(LaneWork(pieces: pieces, load: batch.load, stamp: batch.stamp, ticket: tickets, lane: lane))
        tickets += 1
      case .idle: lane.queue.idle(after: tickets)
      }
    }
    lane.queue.finish(after: tickets)
  }

  /// Rules, windows and history of a partition, in order; results at once, checkpoints by the clock.
  private func advance(_ lane: Lane, _ processor: inout PartitionProcessor, _ commits: CommitSchedule) async throws {
    while true {
      switch await lane.queue.next() {
      case .element(let batch):
        let pieces = batch.pieces
        try await commits.admit(pieces[0].next.segment, to: &processor)
        try await commits.readBack(for: pieces, into: processor)
        let results = try processor.process(pieces, now: .now)
        try note(&processor, commits)
        lane.passed(batch.load)
        inFlight.leave(batch.load)
        output.progress.update(processor, bytes: pieces.reduce(0) { $0 + $1.bytes }, waiting: inFlight.batches)
        output.progress.note(pieces, behind: batch.stamp)
        try await commits.write(results, of: &processor, behind: batch.stamp)
        if memory.isScarce, processor.isFull { try await commits.park(&processor) }
      case .tick:
        // Finding the place to go on may take longer than the interval. What the source says before is none of the partition's,
        // and would take the place of what is stored.
        if lane.isResumed { try await commits.checkpointIfDue(&processor) }
        try note(&processor, commits)
      case .idle: output.progress.noteIdle(processor)
      case .end: return try await end(lane, &processor, commits)
      case .aborted: return await commits.settle()
      }
    }
  }

  /// Says what the lane holds, and keeps to what there is memory for.
  private func note(_ processor: inout PartitionProcessor, _ commits: CommitSchedule) throws {
    var held = processor.memory
    held.state["checkpoint"] = commits.heldBytes
    try memory.note(held, of: processor.partition)
    inFlight.limit(to: memory.inFlight)
    output.progress.noteState(bytes: memory.heldState)
    if memory.isToSeal(processor.partition) { processor.sealHistory(all: true, now: .now) }
  }

  /// Everything that was handed over is processed.
  private func end(_ lane: Lane, _ processor: inout PartitionProcessor, _ commits: CommitSchedule) async throws {
    let ending = lane.ending
    try await commits.readBack(for: [], into: processor)
    if case .end(let closing) = ending, let results = try await activator.end(&processor, closing: closing) {
      output.progress.update(processor, bytes: 0, waiting: inFlight.batches)
      try await commits.write(results, of: &processor)
    }
    try await commits.finish(&processor, sealing: ending != .revoked)
  }
}
