// Runs of a use case over topics, for tests: into a store in memory, so that what two runs left can be compared as a whole.

import Configuration
import Detection
import Foundation
import KafkaKit
import Logging
import Pipeline
import Synchronization
import TestKit

@testable import Connectors

/// A store in memory with a run of the use case of the tests over topics.
struct KafkaRun {
  let store: MemoryStore
  private let history: MemoryHistory

  init() {
    history = MemoryHistory()
    store = MemoryStore(history)
  }

  /// A source as `pulse.yaml` would say it.
  static func source(
    _ bootstrap: String, _ topics: String..., group: String = "test", batchRows: Int = 100, maxEventBytes: Int = 2_000,
    settings: [(Setting, SettingValue)] = [], notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws -> KafkaSource {
    var chosen = ConnectorSettings(type: KafkaConnector.name)
    chosen.set(KafkaSettings.bootstrap, to: .texts([bootstrap]))
    chosen.set(KafkaSettings.topic, to: .texts(topics))
    chosen.set(KafkaSettings.group, to: .text(group))
    chosen.set(InputSettings.idleTimeout, to: .duration(500_000))
    // Groups of the mock cluster wait as long for members as their sessions last.
    chosen.set(KafkaSettings.properties, to: .texts(["session.timeout.ms=2000", "heartbeat.interval.ms=300"]))
    for (setting, value) in settings { chosen.set(setting, to: value) }
    return try KafkaSource(
      try KafkaSettings(chosen, useCase: "runtime"), batchRows: batchRows, maxEventBytes: maxEventBytes,
      notice: notice,
      logger: Logger(label: "kafka") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Runs until the source ends.
  func run(_ source: any Source, useCase: String = RuntimeUseCase.text) async throws -> RunProgress {
    let pipeline = try pipeline(source, useCase: useCase)
    try await pipeline.run()
    return pipeline.progress
  }

  func pipeline(_ source: any Source, useCase: String = RuntimeUseCase.text) throws -> Pipeline {
    let check = UseCaseChecker.check(text: useCase)
    guard let plan = check.plan else { throw OperatingError(.configuration, check.rendered) }
    return Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: useCase), source: source, store: store,
      encoder: history, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(5)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Runs until so many records are processed, and stops there.
  func run(_ source: any Source, until records: Int) async throws {
    let pipeline = try pipeline(source)
    async let end: Void = pipeline.run()
    while pipeline.progress.snapshot.run.records < records { try await Task.sleep(for: .milliseconds(1)) }
    pipeline.stop()
    try await end
  }
}

/// A cluster whose groups give out their partitions soon. A group that waits longer for its first members than their sessions
/// last forgets them meanwhile.
func kafkaCluster(brokers: Int = 1) throws -> MockCluster {
  let cluster = try MockCluster(brokers: brokers)
  try cluster.setRebalanceDelay(.milliseconds(200))
  return cluster
}

/// What a source has said to a person.
final class Notes: Sendable {
  private let notes = Mutex<[String]>([])

  func add(_ note: String) { notes.withLock { $0.append(note) } }
  var all: [String] { notes.withLock { $0 } }
}

/// What a source said was not what the test is about.
struct KafkaRunError: Error {}

/// Records of the use case of the tests, with headers, over so many partitions.
func kafkaRecords(_ count: Int, partitions: Int32, seed: UInt64 = 5) -> [KafkaTestMessage] {
  RuntimeUseCase.records(count, seed: seed).enumerated().map { index, value in
    KafkaTestMessage(
      key: Array("k\(index)".utf8), value: value, headers: [KafkaTestHeader("n", "\(index)")],
      timestamp: 1_700_000_000_000 + Int64(index), partition: Int32(index) % partitions)
  }
}
