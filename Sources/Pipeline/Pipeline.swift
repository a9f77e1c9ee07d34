// The life of a batch (ARCHITECTURE.md): poll, choose models, decode, features, detect, windows, write, checkpoint,
// acknowledge. Stateless stages run on any worker; tickets restore the order; one lane per partition does the rest.

public import Detection
public import Logging
import Synchronization

/// One use case running over one source into one store.
public final class Pipeline: Sendable {
  /// A batch on its way to a worker.
  private struct Work: Sendable {
    /// The batch; several pieces where a model takes over inside it, or the input was at its end.
    var pieces: [ScoredPiece]
    var ticket: UInt64
    var lane: Lane
  }

  private let activator: Activator
  private let driver: LaneDriver
  private let plan: Plan
  private let source: any Source
  private let store: any Store
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
    self.models = models
    self.options = options
    self.logger = logger
    progress = RunProgress(
      metrics: RunMetrics(useCase: plan.useCase.name, factory: options.metrics, unixTime: options.unixTime))
    driver = LaneDriver(
      activator: activator, store: store, source: source, history: HistoryWriter(encoder: encoder),
      interval: options.checkpointInterval, progress: progress)
  }

  /// Runs until the source ends, is stopped or fails; what was processed is checkpointed before it returns or throws
  /// the source's error. If results cannot be stored, the last checkpoint stands and the next run continues there.
  /// - Throws: `OperatingError`.
  public func run() async throws {
    let stored = Snapshots(try await store.restore(useCase: plan.useCase.name, source: source.name))
    do { try await source.open(resumingAt: stored.map { ResumePoint($0) }) } catch {
      // Nothing was read: the last checkpoint stands, and what was wrong is found again.
      if isStopped.load(ordering: .acquiring) { return }
      throw error
    }
    let positions = stored.map(\.position)
    try await activator.record(await source.acceptedGaps, from: positions)
    let work = WorkQueue<Work>(capacity: options.workers * 2 + 2, bytes: Limits.bytesInFlight(workers: options.workers))
    let lanes = Lanes()
    let failure: (any Error)? = await withTaskGroup(of: Void.self) { group in
      for _ in 0..<options.workers { group.addTask { await self.transform(work) } }
      group.addTask { await self.tick(lanes) }
      var failure: (any Error)?
      for partition in positions.keys { _ = start(partition, stored, lanes, work, &group) }
      let cuts = BatchCuts(
        plan, models, store, resumed: positions, patience: options.modelPatience, progress, logger)
      do {
        while case .batch(let raw) = try await source.next(), lanes.failure == nil {
          let pieces = try await cuts.pieces(of: raw)
          let lane = lanes[raw.partition] ?? start(raw.partition, stored, lanes, work, &group)
          let bytes = pieces.reduce(0) { $0 + $1.raw.heldBytes }
          await work.send(Work(pieces: pieces, ticket: lane.nextTicket(), lane: lane), bytes: bytes)
        }
      } catch { failure = error }
      cuts.close()
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
      // The run ends when its lane comes to this batch. Another one could take as long as this one did.
      if staged.contains(where: { $0.staged.trouble != nil }) { work.finish(discarding: true) }
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
        try await self.driver.advance(lane, from: stored, releasing: work)
        lanes.end()
      } catch {
        lanes.end(with: OperatingError.explaining(error))
        work.finish(discarding: true)
        self.source.stop()
      }
    }
    return lane
  }

  /// Wakes quiet lanes, so that history does not wait longer because nothing arrives.
  private func tick(_ lanes: Lanes) async {
    while (try? await Task.sleep(for: options.checkpointInterval)) != nil { lanes.tick() }
  }
}
