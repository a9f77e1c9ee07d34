// Events that are handed in to a use case that reads Kafka: from the inbox, where they are durable when they are taken, to the
// topic, where they have an order among all others. A transaction takes them there once.

import Detection
import Foundation
import Logging
import Pipeline

/// Brings what is handed in to the topics that are read.
actor KafkaInbox {
  private let thread = DedicatedThread(name: "pulse-kafka-in")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let useCase: String
  private let open: @Sendable () throws -> any Inbox & OutboxCursors
  private let settings: KafkaSettings
  private let events: KeyedEvents
  private let logger: Logger
  private let access: KafkaAccess
  private var output: KafkaOutput

  /// How long an empty inbox is left alone before it is looked at again.
  private static let pause = Duration.milliseconds(20)
  private static let firstRetry = Duration.milliseconds(200)
  private static let longestRetry = Duration.seconds(30)
  private static let batchBytes = 4 << 20

  /// - Parameters:
  ///   - useCase: whose inbox it is.
  ///   - open: where that is kept.
  ///   - settings: of the topics.
  init(
    _ useCase: String, in open: @escaping @Sendable () throws -> any Inbox & OutboxCursors,
    to settings: KafkaSettings,
    _ schema: Schema, logger: Logger
  ) {
    self.useCase = useCase
    self.open = open
    self.settings = settings
    self.logger = logger
    events = KeyedEvents(time: nil, key: schema.keyField.map { schema.fields[$0] })
    access = KafkaAccess(bootstrap: settings.bootstrap, inherited: settings.properties.ofConnection)
    output = KafkaOutput(access, logger: logger)
  }

  /// Whether what is handed in has a topic to go to: as JSON, for that is what is handed in.
  static func hasPlace(in settings: KafkaSettings) -> Bool {
    settings.columns == nil && settings.topics.contains { !$0.hasPrefix("^") }
  }

  /// Goes on until the task is cancelled. What fails is tried again, later each time.
  func run() async {
    var retry = Self.firstRetry
    while !Task.isCancelled {
      do {
        if try await forward() == 0 { try await Task.sleep(for: Self.pause) }
        retry = Self.firstRetry
      } catch is CancellationError {
        return
      } catch let ended as SinkEnded {
        // Of several processes over one store any may do it: the mark says what the others have done. Who was fenced off looks
        // again later, for the other one may be gone by then.
        logger.notice("what is handed in is brought to its topic by another process: \(ended)")
        output = KafkaOutput(access, logger: logger)
        try? await Task.sleep(for: Self.longestRetry)
      } catch {
        logger.error("what is handed in waits, and is tried again in \(retry): \(error)")
        try? await Task.sleep(for: retry)
        retry = min(retry * 2, Self.longestRetry)
      }
    }
  }

  /// - Returns: the number of records.
  private func forward() async throws -> Int {
    let store = try open()
    let first = try await store.state(of: useCase).first
    let waiting = try await store.records(
      of: useCase, from: first, limit: Limits.defaultBatchRows, bytes: Self.batchBytes)
    guard let last = waiting.last else { return 0 }
    let identity = try await store.identity(of: "inbox/\(useCase)")
    let records = published(waiting)
    for (topic, part) in Dictionary(grouping: records, by: \.topic).sorted(by: { $0.key < $1.key }) {
      try output.deliver(
        part, numbers: part[0].number...part[part.count - 1].number,
        by: KafkaWriter(name: "pulse.\(useCase).inbox.\(topic)", identity: identity, topics: [topic]),
        what: "what is handed in to \(useCase)")
    }
    try await store.acknowledge(useCase, before: last.number + 1, at: Int64(Date.now.timeIntervalSince1970 * 1e6))
    return waiting.count
  }

  private func published(_ waiting: [InboxRecord]) -> [PublishedRecord] {
    let usual = settings.topics.first { !$0.hasPrefix("^") } ?? ""
    let keys = events.read(RawBatch(waiting.map(\.bytes), from: KafkaConnector.name)).keys
    return waiting.enumerated().map { index, one in
      let (origin, envelope) = (one.record.origin, one.record.envelope)
      return PublishedRecord(
        number: one.number, topic: origin.flatMap { settings.reads($0) ? $0 : nil } ?? usual,
        key: envelope.map(\.key) ?? keys?[index], value: one.bytes, headers: envelope?.headers ?? [],
        timestamp: envelope?.timestamp)
    }
  }
}
