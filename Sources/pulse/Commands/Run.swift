// `pulse run`: the product. Reads events, checks, classifies and judges them, keeps windows and history, exactly once.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Logging
import Pipeline
import ServiceLifecycle
import UnixSignals

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a use case over a source, into a data directory.",
    discussion: """
      Resumes where the last run on the data directory stopped; results are the same as if it had never stopped.

        pulse run --use-case redset --source events.ndjson --data data
        pulse run --use-case redset --source 'logs/*.ndjson' --source today.ndjson --follow --data data
        pulse simulate redset --events 1000000 --to - | pulse run --use-case redset --source - --data data
        pulse run --use-case redset --source simulator --events 1000000 --data data

      Ctrl-C or SIGTERM ends it in order: what was read is processed and checkpointed.
      """)

  @Option(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @Option(
    help: ArgumentHelp(
      "A file or quoted glob (NDJSON, CSV, Parquet, Arrow), - for standard input, or simulator. May be repeated.",
      discussion: "The files are one partition, in the order given.", valueName: "file|glob|-|simulator"))
  var source: [String]

  @Option(help: "Where results are kept.")
  var data: String

  @Option(help: "The format of the input: automatic, ndjson, csv, parquet or arrow.")
  var format = RuntimeConfiguration.Source.Format.automatic

  @Flag(help: "Keep reading what is appended to the last file.")
  var follow = false

  @Option(help: "End after so many seconds without new events.")
  var idleTimeout: Double?

  @Option(help: "A name for standard input, so that a later run with the same input resumes.")
  var sourceName: String?

  @Flag(help: "Remove everything stored of the use case and start over.")
  var reset = false

  @Option(help: "Batches processed at the same time (default: the processors).")
  var workers: Int?

  @Option(help: "Events in a batch, 1 to \(Limits.maxBatchRows).")
  var batchSize = Limits.defaultBatchRows

  @Option(help: "Seconds between checkpoints.")
  var checkpointInterval = 1.0

  @Option(help: "Compression of history: lz4, zstd or none.")
  var codec = RuntimeConfiguration.History.Codec.lz4

  @OptionGroup(title: "Simulator") var simulation: SimulationOptions

  @Flag(help: "No progress and no summary.")
  var quiet = false

  @Flag(help: "Print the summary as one JSON object.")
  var json = false

  func validate() throws {
    guard (1...Limits.maxBatchRows).contains(batchSize) else {
      throw ValidationError("--batch-size must be 1 to \(Limits.maxBatchRows), found \(batchSize)")
    }
    if let workers, !(1...256).contains(workers) {
      throw ValidationError("--workers must be 1 to 256, found \(workers)")
    }
    try NumberOption.check("--checkpoint-interval", checkpointInterval, in: 0.01...3600, "seconds")
    if let idleTimeout { try NumberOption.check("--idle-timeout", idleTimeout, in: 0.001...1e9, "seconds") }
    if source.count > 1, let special = source.first(where: { $0 == "-" || $0 == "simulator" }) {
      throw ValidationError("--source \(special) cannot be combined with other sources")
    }
    if source.isEmpty { throw ValidationError("--source is missing: a file, a glob, - or simulator") }
    if sourceName != nil && source != ["-"] { throw ValidationError("--source-name names standard input (--source -)") }
    if let sourceName, let problem = SourceName.problem(sourceName) {
      throw ValidationError("--source-name: \(problem)")
    }
    if follow && (source == ["-"] || source == ["simulator"]) {
      throw ValidationError("--follow needs a file as the source")
    }
  }

  func run() async throws {
    let logger = Logs.bootstrap()
    let useCase = try UseCaseArgument.load(useCase)
    let directory = DataDirectory(path: data)
    let store = try SQLiteStore(in: directory)
    let source = try await makeSource(useCase, store: store)
    if reset {
      // What is stored goes only if there is something to take its place.
      try await source.check()
      try await store.reset(useCase: useCase.plan.useCase.name)
    }
    let pipeline = Pipeline(
      plan: useCase.plan, version: useCase.version, source: source, store: store,
      encoder: ArrowHistory(in: directory, useCase: useCase.plan.useCase.name, codec: historyCodec),
      options: Pipeline.Options(
        workers: workers ?? ProcessInfo.processInfo.activeProcessorCount,
        checkpointInterval: .microseconds(Int64(checkpointInterval * 1e6))),
      logger: logger)
    let start = ContinuousClock.now
    try await supervise(pipeline, logger: logger)
    if quiet { return }
    let summary = try RunSummary(
      progress: pipeline.progress.snapshot, duration: ContinuousClock.now - start, plan: useCase.plan, data: data,
      useCaseArgument: self.useCase)
    Terminal.print(json ? summary.json : summary.text)
  }

  /// Runs the pipeline as a service: a signal stops the source, and everything read is finished.
  private func supervise(_ pipeline: Pipeline, logger: Logger) async throws {
    let service = PipelineService(pipeline: pipeline, report: quiet ? nil : ProgressReport(pipeline.progress))
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
  }

  private var historyCodec: ShardEncoder.Codec {
    switch codec {
    case .lz4: .lz4
    case .zstd: .zstd(level: 1)
    case .none: .none
    }
  }

  private func makeSource(_ useCase: LoadedUseCase, store: SQLiteStore) async throws -> any Source {
    let idle = idleTimeout.map { Duration.microseconds(Int64($0 * 1e6)) }
    let maxEventBytes = useCase.plan.schema.maxEventBytes
    switch source {
    case ["-"]:
      var name = sourceName ?? ""
      if name.isEmpty { name = "stdin-\(try await store.nextRun(named: "stdin"))" }
      return StandardInputSource(
        name: name, isResumable: sourceName != nil, format: fileFormat, idleTimeout: idle, batchRows: batchSize,
        maxEventBytes: maxEventBytes)
    case ["simulator"]:
      let (definition, text) = try simulation.definition(of: useCase.location)
      return SimulatorSource(
        definition, text: text, seed: simulation.seed, events: simulation.events, pace: simulation.pace,
        batchRows: batchSize)
    default:
      let schema = useCase.plan.schema
      return FileSource(
        paths: source, format: fileFormat, follow: follow, idleTimeout: idle, batchRows: batchSize,
        maxEventBytes: maxEventBytes,
        columns: schema.fields.map { ($0.path.joined(separator: "."), $0.type) },
        readsOtherColumns: schema.unknownFields == .reject)
    }
  }

  private var fileFormat: FileFormat? {
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
private struct PipelineService: Service {
  let pipeline: Pipeline
  let report: ProgressReport?

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        if let report { group.addTask { await report.run() } }
        defer { group.cancelAll() }
        try await pipeline.run()
      }
    } onGracefulShutdown: {
      pipeline.stop()
    }
  }
}
