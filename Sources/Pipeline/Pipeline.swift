// The life of a batch (ARCHITECTURE.md): poll, choose models, decode, features, detect, windows, write, checkpoint,
// acknowledge. Stateless stages run on any worker; tickets restore the order; one lane per partition does the rest.

public import Detection
public import Logging
import Synchronization

/// One use case running over one source into one store.
public final class Pipeline: Sendable {
  /// A batch on its way to a worker.
  private struct Work: Sendable {
    /// The batch; several pieces where a model takes over inside it.
    var pieces: [ScoredPiece]
    var ticket: UInt64
    var lane: Lane
  }

  private let activator: Activator
  private let plan: Plan
  private let source: any Source
  private let store: any Store
  private let history: HistoryWriter
  private let models: (any ModelProvider)?
  private let options: Options
  private let logger: Logger
  private let isStopped = Atomic(false)
  /// What the run has done so far.
  public let progress: RunProgress

  /// - Parameters:
  ///   - version: identifies the plan's configuration in the activation log.
  ///   - models: where models of the plan's learned detectors come from; without it they are silent.
  public init(
    plan: Plan, version: ConfigurationVersion, source: any Source, store: any Store, encoder: any HistoryEncoder,
    models: (any ModelProvider)? = nil, options: Options, logger: Logger
  ) {
    activator = Activator(plan: plan, version: version, store: store, encoder: encoder, logger: logger)
    self.plan = plan
    self.source = source
    self.store = store
    history = HistoryWriter(encoder: encoder)
    self.models = models
    self.options = options
    self.logger = logger
    progress = RunProgress(
      metrics: RunMetrics(useCase: plan.useCase.name, factory: options.metrics, unixTime: options.unixTime))
  }

  /// Runs until the source ends, is stopped or fails; what was processed is checkpointed before it returns or throws
  /// the source's error. If results cannot be stored, the last checkpoint stands and the next run continues there.
  /// - Throws: `OperatingError`.
  public func run() async throws {
    let stored = Snapshots(try await store.restore(useCase: plan.useCase.name, source: source.name))
    try await source.open(resumingAt: stored.map { ResumePoint($0) })
    let positions = stored.map(\.position)
    try await activator.record(await source.acceptedGaps, from: positions)
    let work = WorkQueue<Work>(capacity: options.workers * 2 + 2)
    let lanes = Lanes()
    let failure: (any Error)? = await withTaskGroup(of: Void.self) { group in
      for _ in 0..<options.workers { group.addTask { await self.transform(work) } }
      group.addTask { await self.tick(lanes) }
      var failure: (any Error)?
      for partition in positions.keys { _ = start(partition, stored, lanes, work, &group) }
      let schedule =
        plan.detectors.isEmpty
        ? nil : ModelSchedule(plan, models, store, resumed: positions, progress, logger)
      let ends = InputEnds(store, useCase: plan.useCase.name)
      do {
        while case .batch(let raw) = try await source.next(), lanes.failure == nil {
          var pieces: [ScoredPiece] = []
          for raw in try await ends.pieces(of: raw) {
            pieces += try await schedule?.pieces(of: raw) ?? [ScoredPiece(raw: raw, models: .none)]
          }
          let lane = lanes[raw.partition] ?? start(raw.partition, stored, lanes, work, &group)
          await work.send(Work(pieces: pieces, ticket: lane.nextTicket(), lane: lane))
        }
      } catch { failure = error }
      schedule?.close()
      work.finish()
      lanes.finish(closing: options.closesInput && failure == nil && !isStopped.load(ordering: .acquiring))
      while !lanes.areDone { await group.next() }
      group.cancelAll()
      // A store that cannot be written explains whatever else went wrong.
      return lanes.failure ?? failure
    }
    if let failure { throw failure }
  }

  /// Ends the run early, in order: what the source has handed over is finished and checkpointed.
  public func stop() {
    isStopped.store(true, ordering: .releasing)
    source.stop()
  }

  /// Worker: decode, features, checks, classification, stateless rules and models.
  private func transform(_ work: WorkQueue<Work>) async {
    let decoder = Decoder(schema: plan.schema)
    while let item = await work.receive() {
      let staged = item.pieces.map { piece in
        StagedWork(plan.derive(decoder.decode(piece.raw), from: piece.raw, models: piece.models), of: piece)
      }
      item.lane.queue.submit(staged, ticket: item.ticket)
    }
  }

  /// Opens the lane of a partition: at once where it is stored, so that history that waits is sealed, else when it is seen.
  private func start(
    _ partition: PartitionID, _ stored: Snapshots, _ lanes: Lanes, _ work: WorkQueue<Work>,
    _ group: inout TaskGroup<Void>
  ) -> Lane {
    let lane = Lane(partition: partition)
    lanes.add(lane)
    group.addTask {
      do {
        try await self.advance(lane, from: stored, releasing: work)
        lanes.end()
      } catch {
        lanes.end(with: OperatingError.explaining(error))
        work.finish(discarding: true)
        self.source.stop()
      }
    }
    return lane
  }

  /// Lane: rules, windows and history of one partition, in order; results at once, checkpoints by the clock.
  private func advance(_ lane: Lane, from stored: Snapshots, releasing work: WorkQueue<Work>) async throws {
    let snapshot = stored.take(lane.partition)
    var processor = try await activator.prepare(lane.partition, snapshot)
    progress.start(lane.partition, from: processor.totals)
    let commits = CommitSchedule(
      committer: Committer(store: store, source: source, history: history), source: source, history: history,
      interval: options.checkpointInterval, progress: progress, isNew: snapshot == nil, wake: { lane.queue.tick() })
    do { try await drive(lane, &processor, commits, releasing: work) } catch {
      await commits.settle()
      throw error
    }
  }

  private func drive(
    _ lane: Lane, _ processor: inout PartitionProcessor, _ commits: CommitSchedule, releasing work: WorkQueue<Work>
  ) async throws {
    while true {
      switch await lane.queue.next() {
      case .element(let pieces):
        try await commits.admit(pieces[0].next.segment, to: &processor)
        let results = try processor.process(pieces, now: .now)
        work.release()
        progress.update(processor, bytes: pieces.reduce(0) { $0 + $1.bytes }, waiting: work.depth)
        try await commits.write(results, of: &processor)
      case .tick: try await commits.checkpointIfDue(&processor)
      case .end:
        if let results = try await activator.end(&processor, closing: lane.isClosing) {
          try await commits.write(results, of: &processor)
        }
        return try await commits.finish(&processor)
      }
    }
  }

  /// Wakes quiet lanes, so that history does not wait longer because nothing arrives.
  private func tick(_ lanes: Lanes) async {
    while (try? await Task.sleep(for: options.checkpointInterval)) != nil { lanes.tick() }
  }
}
