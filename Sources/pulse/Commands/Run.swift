// `pulse run`: the product. Reads events, checks, classifies and judges them, keeps windows and history, exactly once.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Learning
import Logging
import Metrics
import Operations
import Pipeline
import Server
import ServiceLifecycle
import Synchronization
import UnixSignals

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a use case over a source, into a data directory.",
    discussion: """
      Resumes where the last run on the data directory stopped; results are the same as if it had never stopped.

        pulse run --use-case redset --source events.ndjson --data data
        pulse run --use-case redset --source 'app.log*' --data data
        pulse run --use-case redset --source 'logs/*.ndjson' --source today.ndjson --follow --data data
        pulse simulate redset --events 1000000 --to - | pulse run --use-case redset --source - --data data
        pulse run --use-case redset --source simulator --events 1000000 --data data

      What is not said here is taken from the environment (PULSE__SECTION__KEY), then from pulse.yaml, \
      then from the defaults; --source stands for the whole section `source`.

      Ctrl-C or SIGTERM ends it in order: what was read is processed and checkpointed.
      """)

  @Option(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @Option(
    help: ArgumentHelp(
      "A file or quoted glob (NDJSON, CSV, Parquet, Arrow; also .gz, .zst, .bz2), - for standard input, simulator, http, or "
        + "kafka://HOST:PORT/TOPIC. Files may be repeated.",
      discussion: "The files are one partition, in the order given, unless --separate is.",
      valueName: "file|glob|-|simulator|http|kafka://…"))
  var source: [String] = []

  @OptionGroup var place: PlaceOptions

  @Flag(
    help: ArgumentHelp(
      "When the input ends, close it: decide about events that wait, and close windows.",
      discussion: "Put on record: events that come later are late for those windows."))
  var close = false

  @Flag(help: "Remove everything stored of the use case and start over. Its models stay.")
  var reset = false

  @Option(parsing: .unconditional, help: "Batches processed at the same time (default: the processors).")
  var workers: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Memory that the run may take (default: \(ByteSizeText.format(Limits.defaultMemory))).", valueName: "amount"),
    transform: MemoryOption.bytes)
  var memory: Int?

  @Option(
    parsing: .unconditional,
    help: "Events in a batch, 1 to \(Limits.maxBatchRows) (default: \(Limits.defaultBatchRows)).")
  var batchSize: Int?

  @Option(parsing: .unconditional, help: "Seconds between checkpoints (default: 1).")
  var checkpointInterval: Double?

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Train models on the use case's schedule (default: yes where events come as they happen, no for a replay)."))
  var train: Bool?

  @Flag(
    help: ArgumentHelp(
      "Serve the dashboard and the API while it runs (--host, --port; see `pulse serve`).",
      discussion: "When the input ends, the run does too, unless the source is followed."))
  var serve = false

  @OptionGroup var serving: ServeOptions

  @Flag(help: "No progress and no summary.")
  var quiet = false

  @Flag(help: "Print the summary as one JSON object.")
  var json = false

  @OptionGroup var connectors: ConnectorOptions

  func validate() throws {
    if let batchSize, !(1...Limits.maxBatchRows).contains(batchSize) {
      throw ValidationError("--batch-size must be 1 to \(Limits.maxBatchRows), found \(batchSize)")
    }
    let range = RuntimeConfiguration.workerRange
    if let workers, !range.contains(workers) {
      throw ValidationError("--workers must be \(range.lowerBound) to \(range.upperBound), found \(workers)")
    }
    if let checkpointInterval {
      let range = RuntimeConfiguration.checkpointIntervals
      let seconds = Double(range.lowerBound) / 1e6...Double(range.upperBound) / 1e6
      try NumberOption.check("--checkpoint-interval", checkpointInterval, in: seconds, "seconds")
    }
    if serving.areGiven && !serve {
      throw ValidationError(
        "--host, --port, --tokens, --closed, --allow-…, --tls-… and --jwt-… say how --serve listens: add it")
    }
    if json && quiet { throw ValidationError("--json prints the summary, which --quiet leaves out: choose one") }
    try ConnectorOptions.saying { () throws(FlagError) in
      if !source.isEmpty { _ = try ConnectorCatalog.standard.source.settings(of: source) }
    }
  }

  /// What the file and the environment say, with what the flags change.
  private func configuration() throws -> RuntimeConfiguration {
    var configuration = try place.configuration()
    if let workers { configuration.workers = workers }
    if let memory { configuration.memory = memory }
    if let batchSize { configuration.batchSize = batchSize }
    if let checkpointInterval { configuration.checkpointInterval = Int64(checkpointInterval * 1e6) }
    try ConnectorOptions.saying { () throws(FlagError) in
      let catalog = ConnectorCatalog.standard
      if !source.isEmpty { configuration.source = try catalog.source.settings(of: source) }
      try connectors.flags.apply(to: &configuration, of: catalog)
    }
    let given = Set(connectors.flags.values.keys)
    if let problem = SourceCatalog.connector(configuration.source).problem(configuration.source, given: given) {
      throw ValidationError(problem)
    }
    return configuration
  }

  func run() async throws {
    let configuration = try configuration()
    _ = try PlaceOptions.required(configuration.store.path)
    let place = try PlaceOptions.place(configuration)
    let logger = Logs.bootstrap(configuration.logLevel)
    let metrics = MetricRegistry()
    if serve { MetricsSystem.bootstrap(metrics) }
    let listens = try serve ? serving.options(configuration, logger: logger) : nil
    let useCase = try LoadedUseCase(useCase)
    let plan = configuration.history.retain.map { useCase.plan.keepingHistory(for: $0) } ?? useCase.plan
    try Publisher.check(configuration, of: plan.useCase.name)
    let directory = place.directory
    let notes = InputNotes(logger)
    let connector = SourceCatalog.connector(configuration.source)
    func context(
      nextRun: @escaping @Sendable (String) async throws -> Int, notice: @escaping @Sendable (String) -> Void
    ) -> SourceContext {
      SourceContext(
        useCase: plan.useCase.name, schema: useCase.plan.schema, outOfOrder: useCase.plan.useCase.event.outOfOrder,
        directory: useCase.location.directory, batchRows: configuration.batchSize, nextRun: nextRun,
        inbox: { try place.actions() }, notice: notice, logger: logger)
    }
    if !place.mayExist {
      // What keeps a first run from beginning is said before there is a directory for its results.
      let first = try await connector.make(configuration.source, for: context(nextRun: { _ in 1 }, notice: { _ in }))
      try await first.check()
      try ModelRegistry.checkModels(of: plan, from: useCase.location.directory) { _, _ in }
    }
    let store = try place.open(logger: logger)
    let source = try await connector.make(
      configuration.source,
      for: context(nextRun: { try await store.nextRun(named: $0) }, notice: { notes.add($0) }))
    if reset {
      // What is stored goes only if there is something to take its place.
      try await source.check()
      try await store.reset(useCase: plan.useCase.name)
    }
    let models = try models(of: useCase, directory, logger: logger)
    let changes = ChangeSignal()
    let publisher = try await Publisher.make(
      configuration, of: plan.useCase.name, in: place, wokenBy: changes, logger: logger)
    let pipeline = Pipeline(
      plan: plan, version: useCase.version, source: source, store: store,
      encoder: SinkCatalog.history(configuration.history.connector).make(
        configuration.history.connector, in: directory, useCase: plan.useCase.name),
      models: models,
      options: Pipeline.Options(
        workers: configuration.workers ?? ProcessInfo.processInfo.activeProcessorCount,
        memory: configuration.memory, checkpointInterval: .microseconds(configuration.checkpointInterval),
        closesInput: close, changes: changes),
      logger: logger)
    let start = ContinuousClock.now
    var scheduler: TrainingScheduler?
    // What is only replayed is over before a training would be, and its results would depend on when that ended.
    if train ?? connector.isLive(configuration.source), plan.useCase.detectors.contains(where: \.isTrained) {
      scheduler = TrainingScheduler(
        useCase: plan.useCase, location: useCase.location.directory, place: place, progress: pipeline.progress,
        logger: logger)
    }
    let server = try listens.map {
      try self.server(
        $0, of: pipeline, over: source, configuration.source, useCase, connector, place, metrics, changes,
        logger: logger)
    }
    try await server?.begin()
    let wasStopped = try await supervise(pipeline, publisher, scheduler, server, logger: logger)
    if quiet { return }
    let progress = pipeline.progress.snapshot
    let summary = try await RunSummary(
      progress: progress, duration: ContinuousClock.now - start, plan: plan, place: place,
      wasStopped: wasStopped, notes: notes.all + progress.gaps.map(\.description))
    if json { return Terminal.print(json: summary.json) }
    Terminal.print(summary.text(width: Terminal.width(of: STDOUT_FILENO)))
  }

  /// The models of the use case's detectors, those that the user brought among them; nil where it has no detectors.
  private func models(
    of useCase: LoadedUseCase, _ directory: DataDirectory, logger: Logger
  ) throws -> RegistryModels? {
    let plan = useCase.plan
    if plan.detectors.isEmpty { return nil }
    let registry = ModelRegistry(folder: directory.modelsPath, useCase: plan.useCase.name)
    try registry.importModels(
      of: plan, from: useCase.location.directory, configuration: useCase.version.identifier, at: .now
    ) { detector, error in
      // What is wrong with the use case is said before anything runs. But a stream that had a model goes on with it, and
      // one detector without its library keeps no other from working.
      guard error.kind == .missing || (try? registry.champion(of: detector)) != nil else { throw error }
      logger.error("the model of the detector \(detector) was not imported: \(error)")
    }
    let models = RegistryModels(registry, plan: plan) { logger.error("\($0.description)") }
    // The look that the run goes on from: what is gone afterwards is missed.
    let champions = models.champions()
    let missing = plan.detectors.filter { detector in
      guard detector.definition.isTrained, champions[detector.name] == nil else { return false }
      // One whose file is damaged is not without a model: that was said.
      do { return try registry.champion(of: detector.name) == nil } catch { return false }
    }.map(\.name)
    if !missing.isEmpty {
      logger.notice(
        "detectors without a model find nothing until one is trained: pulse train \(self.useCase) --data \(directory.path)",
        metadata: ["detectors": "\(missing.joined(separator: ", "))"])
    }
    return models
  }

  /// What serves the use case while it runs.
  private func server(
    _ options: ServerOptions, of pipeline: Pipeline, over input: any Source, _ settings: ConnectorSettings,
    _ useCase: LoadedUseCase, _ connector: any SourceConnector, _ place: StorePlace, _ metrics: MetricRegistry,
    _ changes: ChangeSignal,
    logger: Logger
  ) throws -> APIServer {
    let view = ServedRun(
      useCase: useCase.plan.useCase.name, folder: useCase.location.directory, progress: pipeline.progress,
      input: input, source: connector.specification.noun, readsInbox: connector.readsInbox(settings))
    return try APIServer(
      [place], options: options, run: view, metrics: metrics, wokenBy: changes, logger: logger,
      trainer: ProcessTrainer([place]),
      listening: { port in Terminal.printError("The dashboard is at \(options.address(port: port))") })
  }

  /// Runs the pipeline as a service: a signal stops the source, and everything read is finished.
  /// - Returns: whether it was stopped.
  private func supervise(
    _ pipeline: Pipeline, _ publisher: Publisher?, _ scheduler: TrainingScheduler?, _ server: APIServer?,
    logger: Logger
  ) async throws -> Bool {
    let service = PipelineService(
      pipeline: pipeline, publisher: publisher, report: quiet ? nil : ProgressReport(pipeline.progress),
      scheduler: scheduler)
    var quietLogger = logger
    quietLogger.logLevel = .error
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup)
        ] + (server.map { [.init(service: $0)] } ?? []), gracefulShutdownSignals: [.sigterm, .sigint],
        logger: quietLogger))
    try await group.run()
    return service.wasStopped
  }
}

/// The run, as the server sees it.
private struct ServedRun: RunView {
  var useCase: String
  var folder: String
  var progress: RunProgress
  let input: any Source
  var source: String
  var readsInbox: Bool

  var waitsForMore: Bool { input.waitsForMore }
}

/// The pipeline under supervision: stopping the service stops the source.
private final class PipelineService: Service {
  private let pipeline: Pipeline
  private let publisher: Publisher?
  private let report: ProgressReport?
  private let scheduler: TrainingScheduler?
  /// Whether the run was told to stop while it went on.
  private let stopped = Mutex(false)

  init(
    pipeline: Pipeline, publisher: Publisher?, report: ProgressReport?, scheduler: TrainingScheduler?
  ) {
    self.pipeline = pipeline
    self.publisher = publisher
    self.report = report
    self.scheduler = scheduler
  }

  var wasStopped: Bool { stopped.withLock { $0 } }

  func run() async throws {
    var failure: (any Error)?
    do { try await drive() } catch { failure = error }
    // What was committed is delivered, whatever ended the run.
    await publisher?.finish()
    if let failure { throw failure }
  }

  private func drive() async throws {
    try await withGracefulShutdownHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        if let report = self.report { group.addTask { await report.run() } }
        if let scheduler = self.scheduler { group.addTask { await scheduler.run() } }
        if let publisher = self.publisher { group.addTask { await publisher.run() } }
        defer { group.cancelAll() }
        try await self.pipeline.run()
      }
    } onGracefulShutdown: {
      self.stopped.withLock { $0 = true }
      self.pipeline.stop()
    }
  }
}
