// Runs of the use case with learned detectors over records in memory, and what they must give.

import Detection
import Logging
import Metrics
import Synchronization
import TestKit
import Testing

@testable import Pipeline

/// Runs with models.
struct ModelRun {
  let plan: Plan
  let version: ConfigurationVersion
  var partitions: [[[UInt8]]]
  var sizes = [64]
  var startingAfter: [Int] = []
  var workers = 2
  var interval = Duration.milliseconds(1)
  var metrics: (any MetricsFactory)?

  init(_ partitions: [[UInt8]]..., edit: (String) -> String = { $0 }) throws {
    (plan, version) = try LearnedUseCase.plan(edit)
    self.partitions = partitions
  }

  /// The same run with another cut.
  func cut(_ sizes: [Int], workers: Int = 2) -> ModelRun {
    var run = self
    run.sizes = sizes
    run.workers = workers
    return run
  }

  func model(_ detector: String, _ version: String) throws -> FittedModel {
    try LearnedUseCase.model(of: detector, version, for: plan)
  }

  /// Runs into the store.
  /// - Returns: errors and warnings that were logged.
  @discardableResult
  func run(into store: MemoryStore, _ history: MemoryHistory, _ models: (any ModelProvider)?) async throws -> [String] {
    let log = LogLines()
    try await pipeline(into: store, history, models, log).run()
    return log.lines
  }

  func pipeline(
    into store: any Store, _ history: any HistoryEncoder, _ models: (any ModelProvider)?, _ log: LogLines = LogLines()
  ) -> Pipeline {
    Pipeline(
      plan: plan, version: version,
      source: MemorySource(partitions: partitions, batchSizes: sizes, startingAfter: startingAfter), store: store,
      encoder: history, models: models,
      options: Pipeline.Options(
        workers: workers, checkpointInterval: interval, modelPatience: .seconds(86_400),
        metrics: metrics ?? NOOPMetricsHandler.instance),
      logger: Logger(label: "test") { _ in log })
  }

  /// What a run from the beginning gives whose activations are on record already: champions are what the log ends with.
  func replay(_ logs: [[Activation]], _ models: [FittedModel]) async throws -> MemoryStore.Contents {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    for log in logs { store.record(log) }
    let lines = try await run(into: store, history, MemoryModels(models))
    #expect(lines == [])
    for (number, log) in logs.enumerated() where !log.isEmpty {
      let found = store.log(of: MemorySource.partition(number))
      #expect(found.filter { $0.kind == .model } == log.filter { $0.kind == .model })
    }
    return store.contents
  }
}

/// Errors and warnings of a run, each with its reason.
struct LogLines: LogHandler {
  private final class Lines: Sendable {
    let lines = Mutex<[String]>([])
  }

  private let noted = Lines()
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.warning

  var lines: [String] { noted.lines.withLock { $0 } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let metadata = event.metadata ?? [:]
    let parts = ["detector", "version", "reason"].compactMap { metadata[$0].map { "\($0)" } }
    noted.lines.withLock { $0.append("\(event.level) \(event.message): \(parts.joined(separator: ", "))") }
  }
}

func activation(
  _ detector: String, _ version: String, from offset: Int64, partition: Int = 0
) -> Activation {
  Activation(
    partition: MemorySource.partition(partition), from: Position(segment: 0, offset: offset, row: offset),
    kind: .model, detector: detector, version: version)
}

extension [Activation] {
  /// The model activations as `detector version@offset`, in order.
  var models: [String] {
    compactMap { activation in
      activation.detector.map { "\($0) \(activation.version)@\(activation.from.offset)" }
    }
  }
}

/// What differs, in a few words: whole contents fill pages.
func differences(_ found: MemoryStore.Contents, _ expected: MemoryStore.Contents) -> [String] {
  var differences: [String] = []
  func compare<Value: Equatable>(_ name: String, _ found: [String: Value], _ expected: [String: Value]) {
    let keys = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
    if !keys.isEmpty { differences.append("\(keys.count) of \(name)") }
    for key in keys.sorted().prefix(3) {
      differences.append(
        "\(name) \(key): \("\(found[key] as Any)".prefix(400)), not \("\(expected[key] as Any)".prefix(400))")
    }
  }
  compare("anomaly", found.anomalies, expected.anomalies)
  compare("dead letter", found.deadLetters, expected.deadLetters)
  compare("window", found.windows, expected.windows)
  compare("history", found.history, expected.history)
  compare("drift", found.drift, expected.drift)
  if found.totals != expected.totals { differences.append("totals \(found.totals), not \(expected.totals)") }
  if found.positions != expected.positions { differences.append("\(found.positions), not \(expected.positions)") }
  return differences
}
