// The life of a batch (ARCHITECTURE.md): poll, choose models, decode, features, detect, windows, write, checkpoint,
// acknowledge. Stateless stages run on any worker; tickets restore the order; one lane per partition does the rest.

public import Detection
public import Logging

/// One use case running over one source into one store.
public final class Pipeline: Sendable {
  private let plan: Plan
  private let source: any Source
  private let committer: Committer
  private let shelf: ModelShelf?
  private let driver: LaneDriver
  private let options: Options
  private let lanes = Lanes()
  private let work = Mailbox<LaneWork>()
  private let inFlight: InFlight
  /// What the run has done so far.
  public let progress: RunProgress

  /// - Parameters:
  ///   - version: identifies the plan's configuration in the activation log.
  ///   - models: where models of the plan's learned detectors come from; without it they are silent.
  public init(
    plan: Plan, version: ConfigurationVersion, source: any Source, store: any Store, encoder: any HistoryEncoder,
    models: (any ModelProvider)? = nil, options: Options, logger: Logger
  ) {
    self.plan = plan
    self.source = source
    self.options = options
    let metrics = RunMetrics(useCase: plan.useCase.name, factory: options.metrics, unixTime: options.unixTime)
    progress = RunProgress(metrics: metrics, own: plan.metrics)
    let memory = MemoryBudget(bytes: options.memory, workers: options.workers)
    inFlight = InFlight(batches: options.workers * 2 + 2, bytes: memory.inFlight)
    committer = Committer(store: store, signal: options.changes, progress: progress)
    let shelf = ModelShelf(
      plan.detectors, provider: models, patience: options.modelPatience, logger: logger, noting: memory.note(models:))
    self.shelf = plan.detectors.isEmpty ? nil : shelf
    driver = LaneDriver(
      activator: Activator(plan: plan, version: version, store: store, encoder: encoder, logger: logger),
      shelf: self.shelf,
      output: LaneOutput(
        committer: committer, history: HistoryWriter(encoder: encoder), source: source, progress: progress),
      interval: options.checkpointInterval, work: work, inFlight: inFlight, memory: memory,
      isStopped: { [lanes] in lanes.isStopped }, logger: logger)
    for detector in plan.detectors { progress.noteActivations(0, of: detector.name) }
  }

  /// Runs until the source ends, is stopped or fails; what was processed is checkpointed before it returns or throws
  /// the source's error. If results cannot be stored, the last checkpoint stands and the next run continues there.
  /// Called once. A run whose task is cancelled stops.
  /// - Throws: `OperatingError`.
  public func run() async throws {
    let failure = await withTaskCancellationHandler(operation: drive, onCancel: stop)
    await shelf?.close()
    await committer.settle()
    progress.note(source.figures())
    if let failure { throw failure }
  }

  /// - Returns: why the run has failed.
  private func drive() async -> (any Error)? {
    // Partitions may come and go for ever: what has ended is not to be kept.
    await withDiscardingTaskGroup { group in
      for _ in 0..<options.workers { group.addTask { await self.transform() } }
      group.addTask { await self.tick() }
      var failure: (any Error)?
      do { try await read(&group) } catch { failure = error }
      lanes.finish(.end(closing: options.closesInput && failure == nil && !lanes.isStopped))
      await lanes.wait()
      work.finish()
      group.cancelAll()
      // A store that cannot be written explains whatever else went wrong.
      return lanes.failure ?? failure
    }
  }

  /// Ends the run early, in order: what was handed over is finished and checkpointed. Lanes wait for no models any more.
  public func stop() {
    lanes.stop()
    source.stop()
    if let shelf { Task { await shelf.stop() } }
  }

  /// Reader: what the source says goes to the lanes.
  private func read(_ group: inout DiscardingTaskGroup) async throws {
    while lanes.failure == nil {
      switch try await source.next() {
      case .assigned(let partition): open(partition, &group)
      case .batch(let raw): await hand(over: raw)
      case .revoked(let partition): lanes[partition]?.finish(.revoked)
      case .lost(let partition): lanes[partition]?.finish(.lost)
      case .idle(let partition): lanes[partition]?.sendIdle()
      case .end: return
      }
    }
  }

  private func hand(over raw: RawBatch) async {
    guard let lane = lanes[raw.partition] else { return }
    let batch = Lane.Handed(raw)
    inFlight.enter(batch.load)
    if !lane.send(batch) { inFlight.leave(batch.load) }
    await inFlight.waitForRoom()
  }

  /// Opens the lane of a partition that this process is to read.
  private func open(_ partition: PartitionID, _ group: inout DiscardingTaskGroup) {
    let lane = Lane(partition: partition)
    let before = lanes.add(lane)
    group.addTask {
      // What an earlier lane of the partition has under way comes first.
      await before?.end.wait()
      do { try await self.driver.serve(lane) } catch { await self.fail(error) }
      self.inFlight.leave(lane.close())
      self.lanes.end(lane)
    }
  }

  /// Nothing more is to be done.
  private func fail(_ error: any Error) async {
    lanes.fail(OperatingError.explaining(error))
    work.finish(discarding: true)
    inFlight.open()
    source.stop()
    await shelf?.close()
  }

  /// Worker: decode, features, checks, classification, stateless rules and models.
  private func transform() async {
    let decoder = Decoder(schema: plan.schema)
    while let item = await work.receive() {
      if item.lane.ending == .lost { continue }
      let staged = item.pieces.map { piece in
        StagedWork(plan.derive(decoder.decode(piece.raw), from: piece.raw, models: piece.models), of: piece)
      }
      item.lane.queue.submit(Lane.Staged(pieces: staged, load: item.load, stamp: item.stamp), ticket: item.ticket)
      // The lane would come to it, but meanwhile another batch could take as long as this one did.
      if let trouble = staged.lazy.compactMap(\.staged.trouble).first { await fail(trouble) }
    }
  }

  /// Wakes quiet lanes, so that history does not wait longer because nothing arrives, and says that they are quiet.
  private func tick() async {
    while (try? await Task.sleep(for: options.checkpointInterval)) != nil {
      lanes.tick(idleAfter: options.idleAfter)
      progress.note(source.figures())
    }
  }
}
