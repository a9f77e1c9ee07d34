// Results of a store in memory on their way to topics, for tests, and what a reader of the topics sees of them.

import Configuration
import Detection
import Foundation
import KafkaKit
import Logging
import Pipeline
import Synchronization
import TestKit

@testable import Connectors

/// A store in memory whose results go to `runtime.anomalies` and `runtime.dlq`.
struct PublishedStore {
  static let anomalies = "runtime.anomalies"
  static let deadLetters = "runtime.dlq"
  static let partition = PartitionID(source: "events", number: 0)
  /// Of each topic.
  static let partitions: Int32 = 3

  let store: MemoryStore
  let cursors: any OutboxCursors
  private let bootstrap: String
  let log = KeptLines()

  init(_ bootstrap: String, _ store: MemoryStore = MemoryStore(MemoryHistory()), cursors: any OutboxCursors) {
    (self.bootstrap, self.store, self.cursors) = (bootstrap, store, cursors)
  }

  /// Runs the use case of the tests over records of several partitions.
  func run(_ records: [[[UInt8]]]) async throws {
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(partitions: records, batchSizes: [50]), store: store,
      encoder: store.history, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(2)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
  }

  /// A sink as a process makes it.
  func sink() async throws -> KafkaSink {
    var chosen = ConnectorSettings(type: KafkaPublishConnector.name)
    chosen.set(KafkaPublishSettings.bootstrap, to: .texts([bootstrap]))
    let settings = try KafkaPublishSettings(chosen, of: "runtime", source: ConnectorSettings(type: "none"))
    let lines = log
    return KafkaSink(
      settings, identity: try await cursors.identity(of: "publish"),
      logger: Logger(label: "test") { _ in lines.handler })
  }

  func outbox(_ sink: KafkaSink, batch: Int = 500) -> Outbox {
    var options = Outbox.Options()
    options.batch = batch
    let lines = log
    return Outbox(
      "publish", from: store, cursors: cursors, to: sink, options: options,
      logger: Logger(label: "test") { _ in lines.handler })
  }

  /// What is stored and has a record in the topic of anomalies, in no order.
  func stored() async throws -> Set<SeenAnomaly> {
    Set(
      try await changes().compactMap { change in
        guard case .anomaly(let anomaly) = change.content else { return nil }
        return SeenAnomaly(
          id: anomaly.id, type: "streampulse.anomaly", number: change.number, key: anomaly.key, text: anomaly.json)
      })
  }

  /// All dead letters of a store.
  static func deadLetters(in store: MemoryStore) async throws -> [StoredDeadLetter] {
    try await store.read { snapshot in
      var filter = ResultFilter()
      filter.limit = 0
      return try await snapshot.deadLetters(filter)
    }
  }

  func changes() async throws -> [ResultChange] {
    try await store.read { try await $0.changes(since: ChangeCursor(), of: nil, limit: 100_000).changes }
  }
}

/// What a reader makes of a record of the topic of anomalies.
struct SeenAnomaly: Hashable {
  var id: String
  var type: String
  var number: Int64
  var key: String
  var text: String

  init(id: String, type: String, number: Int64, key: String, text: String) {
    (self.id, self.type, self.number, self.key, self.text) = (id, type, number, key, text)
  }

  init(_ record: KafkaTestRecord) {
    self.init(
      id: record.header("ce_id") ?? "", type: record.header("ce_type") ?? "",
      number: record.header("pulse_number").flatMap { Int64($0) } ?? -1,
      key: record.key.map { String(decoding: $0, as: UTF8.self) } ?? "none", text: record.text)
  }
}

extension KafkaTestRecord {
  /// The last header of a name, as text.
  func header(_ name: String) -> String? {
    headers.last { $0.name == name }.flatMap { $0.value.map { String(decoding: $0, as: UTF8.self) } }
  }
}

extension KafkaTestClient {
  /// The records of all partitions of a topic of results, those of each in order.
  func results(_ topic: String) async throws -> [KafkaTestRecord] {
    try await blocking {
      try (0..<PublishedStore.partitions).flatMap { try self.read(topic, partition: $0) }
    }
  }
}

/// Lines of a log.
final class KeptLines: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  var handler: any LogHandler { Handler(lines: self) }

  private func add(_ line: String) { lines.withLock { $0.append(line) } }

  private struct Handler: LogHandler {
    let lines: KeptLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.message)") }
  }
}

/// Cursors of a process that is killed before or after it moves them, now and then.
final class InterruptedCursors: OutboxCursors {
  private let actions = MemoryActions()
  private let random: Mutex<SeededRandom>

  init(seed: UInt64) { random = Mutex(SeededRandom(seed: seed)) }

  func cursor(of outbox: String) async throws -> ChangeCursor { try await actions.cursor(of: outbox) }

  func place(of outbox: String) async throws -> OutboxPlace? { try await actions.place(of: outbox) }

  func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    let draw = random.withLock { Int.random(in: 0..<3, using: &$0) }
    if draw == 0 { throw PlannedFault() }
    let moved = try await actions.advance(outbox, from: old, to: new)
    if draw == 1 { throw PlannedFault() }
    return moved
  }

  func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
    try await actions.advance(outbox, from: old, to: new)
  }
}
