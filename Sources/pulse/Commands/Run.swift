// `pulse run`: the product. Reads events, checks, classifies and judges them, keeps windows and history, exactly once.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Learning
import Logging
import Pipeline
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
      "A file or quoted glob (NDJSON, CSV, Parquet, Arrow; also .gz, .zst, .bz2), - for standard input, or simulator. "
        + "May be repeated.",
      discussion: "The files are one partition, in the order given, unless --separate is.", valueName: "file|glob|-|simulator"))
  var source: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Read each --source side by side with the others, as a partition of its own.",
      discussion: "Each has an event time and rules of its own; windows add up. Name them in the same order each time."))
  var separate: Bool?

  @OptionGroup var files: FileOptions

  @OptionGroup var place: PlaceOptions

  @Option(help: "The format of the input: automatic, ndjson, csv, parquet or arrow (default: automatic).")
  var format: RuntimeConfiguration.Source.Format?

  @Option(
    help: ArgumentHelp(
      "What separates the cells of CSV: , ; | or tab (default: a tab in files named .tsv, else a comma).",
      valueName: "character"))
  var csvDelimiter: CSVDelimiter?

  @Flag(inversion: .prefixedNo, help: "Keep reading what is appended to the last file, and files that appear.")
  var follow: Bool?

  @Option(parsing: .unconditional, help: "End after so many seconds without new events.")
  var idleTimeout: Double?

  @Flag(
    help: ArgumentHelp(
      "When the input ends, close it: decide about events that wait, and close windows.",
      discussion: "Put on record: events that come later are late for those windows."))
  var close = false

  @Option(help: "A name for standard input, so that a later run with the same input resumes.")
  var sourceName: String?

  @Flag(help: "Remove everything stored of the use case and start over. Its models stay.")
  var reset = false

  @Option(parsing: .unconditional, help: "Batches processed at the same time (default: the processors).")
  var workers: Int?

  @Option(
    parsing: .unconditional,
    help: "Events in a batch, 1 to \(Limits.maxBatchRows) (default: \(Limits.defaultBatchRows)).")
  var batchSize: Int?

  @Option(parsing: .unconditional, help: "Seconds between checkpoints (default: 1).")
  var checkpointInterval: Double?

  @Option(help: "Compression of history: lz4, zstd or none (default: lz4).")
  var codec: RuntimeConfiguration.History.Codec?

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Train models on the use case's schedule (default: yes where events come as they happen, no for a replay)."))
  var train: Bool?

  @OptionGroup(title: "Simulator") var simulation: SimulationOptions

  @Flag(help: "No progress and no summary.")
  var quiet = false

  @Flag(help: "Print the summary as one JSON object.")
  var json = false

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
    if let idleTimeout { try NumberOption.check("--idle-timeout", idleTimeout, in: 0.001...1e9, "seconds") }
    if source.count > 1, let special = source.first(where: { $0 == "-" || $0 == "simulator" }) {
      throw ValidationError("--source \(special) cannot be combined with other sources")
    }
  }

  /// What the file and the environment say, with what the flags change.
  private func configuration() throws -> RuntimeConfiguration {
    var configuration = try place.configuration()
    if !source.isEmpty {
      configuration.source = RuntimeConfiguration.Source()
      switch source {
      case ["-"]: configuration.source.kind = .stdin
      case ["simulator"]: configuration.source.kind = .simulator
      default: configuration.source.paths = source
      }
    }
    if let separate { configuration.source.separate = separate }
    if let order = files.order { configuration.source.order = order }
    if let format { configuration.source.format = format }
    if let csvDelimiter { configuration.source.delimiter = csvDelimiter }
    if let follow { configuration.source.follow = follow }
    if let idleTimeout { configuration.source.idleTimeout = Int64(idleTimeout * 1e6) }
    if let sourceName { configuration.source.name = sourceName }
    if let workers { configuration.workers = workers }
    if let batchSize { configuration.batchSize = batchSize }
    if let checkpointInterval { configuration.checkpointInterval = Int64(checkpointInterval * 1e6) }
    if let codec { configuration.history.codec = codec }
    try check(configuration.source)
    return configuration
  }

  /// Flags that do not go with the source.
  private func check(_ source: RuntimeConfiguration.Source) throws {
    if source.kind == .files, source.paths.isEmpty {
      throw ValidationError("--source is missing: a file, a glob, - or simulator, unless pulse.yaml says it")
    }
    if source.name != nil && source.kind != .stdin {
      throw ValidationError("--source-name names standard input (--source -)")
    }
    if let name = source.name, let problem = SourceName.problem(name) {
      throw ValidationError("--source-name: \(problem)")
    }
    if let option = files.given, source.kind != .files {
      throw ValidationError("\(option) needs files as the source")
    }
    if source.separate && source.kind != .files { throw ValidationError("--separate needs files as the source") }
    if source.follow && source.kind != .files { throw ValidationError("--follow needs a file as the source") }
    // Flags that would have no effect. What the file or the environment says may stay there for another source.
    if let option = simulation.given, source.kind != .simulator {
      throw ValidationError("\(option) needs the simulator as the source (--source simulator)")
    }
    if format != nil || csvDelimiter != nil, source.kind == .simulator {
      throw ValidationError(
        "\(format == nil ? "--csv-delimiter" : "--format") needs files or standard input as the source")
    }
    if idleTimeout != nil && (source.kind == .simulator || source.kind == .files && !source.follow) {
      throw ValidationError("--idle-timeout needs standard input as the source, or files with --follow")
    }
    if json && quiet { throw ValidationError("--json prints the summary, which --quiet leaves out: choose one") }
  }

  func run() async throws {
    let configuration = try configuration()
    let data = try PlaceOptions.required(configuration.store.path)
    let logger = Logs.bootstrap(configuration.logLevel)
    let useCase = try UseCaseArgument.load(useCase)
    let plan = configuration.history.retain.map { useCase.plan.keepingHistory(for: $0) } ?? useCase.plan
    let directory = DataDirectory(path: data)
    let store = try SQLiteStore(in: directory)
    let notes = InputNotes(logger)
    let source = try await makeSource(configuration, useCase, store: store, notes)
    if reset {
      // What is stored goes only if there is something to take its place.
      try await source.check()
      try await store.reset(useCase: plan.useCase.name)
    }
    let models = try models(of: useCase, directory, logger: logger)
    let pipeline = Pipeline(
      plan: plan, version: useCase.version, source: source, store: store,
      encoder: ArrowHistory(
        in: directory, useCase: plan.useCase.name, codec: Self.codec(configuration.history.codec)),
      models: models,
      options: Pipeline.Options(
        workers: configuration.workers ?? ProcessInfo.processInfo.activeProcessorCount,
        checkpointInterval: .microseconds(configuration.checkpointInterval), closesInput: close),
      logger: logger)
    let start = ContinuousClock.now
    var scheduler: TrainingScheduler?
    if train ?? Self.isLive(configuration.source, simulation), plan.useCase.detectors.contains(where: \.isTrained) {
      scheduler = TrainingScheduler(
        useCase: plan.useCase, location: useCase.location.directory, data: directory, progress: pipeline.progress,
        logger: logger)
    }
    let wasStopped = try await supervise(pipeline, scheduler, logger: logger)
    if quiet { return }
    let progress = pipeline.progress.snapshot
    let summary = try RunSummary(
      progress: progress, duration: ContinuousClock.now - start, plan: plan, data: data,
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

  /// Whether events come as they happen. What is only replayed is over before a training would be, and its results
  /// would depend on when that ended.
  private static func isLive(_ source: RuntimeConfiguration.Source, _ simulation: SimulationOptions) -> Bool {
    switch source.kind {
    case .files: source.follow
    case .stdin: true
    case .simulator: simulation.speedup > 0
    }
  }

  /// Runs the pipeline as a service: a signal stops the source, and everything read is finished.
  /// - Returns: whether it was stopped.
  private func supervise(
    _ pipeline: Pipeline, _ scheduler: TrainingScheduler?, logger: Logger
  ) async throws -> Bool {
    let service = PipelineService(
      pipeline: pipeline, report: quiet ? nil : ProgressReport(pipeline.progress), scheduler: scheduler)
    var quietLogger = logger
    quietLogger.logLevel = .error
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [
          .init(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup)
        ], gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger))
    try await group.run()
    return service.wasStopped
  }

  private static func codec(_ codec: RuntimeConfiguration.History.Codec) -> ShardEncoder.Codec {
    switch codec {
    case .lz4: .lz4
    case .zstd: .zstd(level: 1)
    case .none: .none
    }
  }

  private func makeSource(
    _ configuration: RuntimeConfiguration, _ useCase: LoadedUseCase, store: SQLiteStore, _ notes: InputNotes
  ) async throws -> any Source {
    let source = configuration.source
    let idle = source.idleTimeout.map { Duration.microseconds($0) }
    let format = Self.format(source.format)
    let schema = useCase.plan.schema
    let required = schema.fields.filter(\.required).map { $0.path.joined(separator: ".") }
    switch source.kind {
    case .stdin:
      let name: String
      if let given = source.name { name = given } else { name = "stdin-\(try await store.nextRun(named: "stdin"))" }
      return StandardInputSource(
        name: name, isResumable: source.name != nil, format: format, delimiter: source.delimiter,
        requiredColumns: required, idleTimeout: idle, batchRows: configuration.batchSize,
        maxEventBytes: schema.maxEventBytes)
    case .simulator:
      let (definition, text) = try simulation.definition(of: useCase.location)
      return SimulatorSource(
        definition, text: text, seed: simulation.seed, events: simulation.events, pace: simulation.pace,
        batchRows: configuration.batchSize)
    case .files:
      func files(_ paths: [String], _ number: Int) -> FileSource {
        FileSource(
          number: Int32(number), paths: paths, order: Self.order(source.order),
          eventTimes: EventTimes(schema: schema, lateness: useCase.plan.useCase.event.outOfOrder), format: format,
          delimiter: source.delimiter, follow: source.follow, acceptsGaps: self.files.acceptGap, idleTimeout: idle,
          batchRows: configuration.batchSize, maxEventBytes: schema.maxEventBytes,
          columns: schema.fields.map { ($0.path.joined(separator: "."), $0.type) }, requiredColumns: required,
          readsOtherColumns: schema.unknownFields == .reject, notice: { notes.add($0) })
      }
      if !source.separate { return files(source.paths, 0) }
      return SourcesSideBySide(source.paths.enumerated().map { files([$1], $0) })
    }
  }

  private static func order(_ order: RuntimeConfiguration.Source.Order) -> FileOrder {
    switch order {
    case .name: .name
    case .natural: .natural
    case .time: .time
    }
  }

  private static func format(_ format: RuntimeConfiguration.Source.Format) -> FileFormat? {
    switch format {
    case .automatic: nil
    case .ndjson: .ndjson
    case .csv: .csv
    case .parquet: .parquet
    case .arrow: .arrow
    }
  }
}

/// The pipeline under supervision: stopping the service stops the source.
private final class PipelineService: Service {
  private let pipeline: Pipeline
  private let report: ProgressReport?
  private let scheduler: TrainingScheduler?
  /// Whether the run was told to stop while it went on.
  private let stopped = Mutex(false)

  init(pipeline: Pipeline, report: ProgressReport?, scheduler: TrainingScheduler?) {
    self.pipeline = pipeline
    self.report = report
    self.scheduler = scheduler
  }

  var wasStopped: Bool { stopped.withLock { $0 } }

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        if let report = self.report { group.addTask { await report.run() } }
        if let scheduler = self.scheduler { group.addTask { await scheduler.run() } }
        defer { group.cancelAll() }
        try await self.pipeline.run()
      }
    } onGracefulShutdown: {
      self.stopped.withLock { $0 = true }
      self.pipeline.stop()
    }
  }
}
