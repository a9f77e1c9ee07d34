// Results to topics: each partition of the input has a producer of its own, whose transactional identity says whose results it
// writes. So of two that deliver for a partition, as one that was thought dead and woke, the former is fenced off by the broker.

import Detection
import Logging
import Pipeline

/// Delivers changes to topics, those of a partition of the input in order.
actor KafkaSink: Sink {
  private let thread = DedicatedThread(name: "pulse-kafka-out")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let settings: KafkaPublishSettings
  private let identity: String
  private var output: KafkaOutput

  /// - Parameter identity: of the store whose changes they are.
  init(_ settings: KafkaPublishSettings, identity: String, logger: Logger) {
    self.settings = settings
    self.identity = identity
    output = KafkaOutput(settings.connection, logger: logger)
  }

  /// - Throws: `SinkEnded` once another one delivers in its place.
  func deliver(_ changes: [ResultChange]) async throws {
    var partitions: [PartitionID] = []
    var parts: [PartitionID: [ResultChange]] = [:]
    for change in changes {
      if parts[change.partition] == nil { partitions.append(change.partition) }
      parts[change.partition, default: []].append(change)
    }
    for partition in partitions { try deliver(parts[partition] ?? [], of: partition) }
  }

  private func deliver(_ changes: [ResultChange], of partition: PartitionID) throws {
    let records = changes.compactMap { PublishedRecord($0, to: settings) }
    guard let first = changes.first, let last = changes.last else { return }
    let writer = KafkaWriter(
      name: "pulse.\(settings.useCase).\(KafkaPublishConnector.name).\(partition.source).\(partition.number)",
      identity: identity, topics: [settings.anomalies, settings.deadLetters])
    try output.deliver(
      records, numbers: first.number...last.number, by: writer,
      what: "the results of \(settings.useCase) from \(partition.source)/\(partition.number)")
  }
}

/// The producers of one connection, by their names.
struct KafkaOutput {
  private let connection: KafkaAccess
  private let logger: Logger
  private var producers: [String: KafkaTransactions] = [:]
  private var hasTransactions = true
  /// Why nothing is taken any more; nil while it is.
  private var ended: SinkEnded?

  init(_ connection: KafkaAccess, logger: Logger) {
    self.connection = connection
    self.logger = logger
  }

  /// Delivers records: all of them, or none that a reader of what is committed sees.
  /// - Parameters:
  ///   - numbers: of the whole batch, of which some may have no record.
  ///   - what: is written, for people.
  /// - Throws: `SinkEnded` once another one delivers in its place, `OperatingError` where they are to come again.
  mutating func deliver(
    _ records: [PublishedRecord], numbers: ClosedRange<Int64>, by writer: KafkaWriter, what: String
  ) throws {
    if let ended { throw ended }
    if records.isEmpty { return }
    do {
      try producer(writer).deliver(records, numbers: numbers)
    } catch let failure as KafkaFailure {
      switch failure.kind {
      case .aborted: throw trouble(failure)
      case .unsupported where hasTransactions:
        logger.warning(
          "\(connection.bootstrap) has no transactions: what comes again behind a crash is seen again (\(failure))")
        hasTransactions = false
        producers = [:]
        try deliver(records, numbers: numbers, by: writer, what: what)
      case .unfinished, .fatal, .unsupported:
        producers[writer.name] = nil
        throw trouble(failure)
      case .fenced:
        let ended = SinkEnded(
          "another process delivers \(what) to \(connection.bootstrap), and this one is fenced off (\(failure)). Where that is "
            + "not meant, end the other one and restart this one")
        self.ended = ended
        producers = [:]
        throw ended
      }
    }
  }

  private mutating func producer(_ writer: KafkaWriter) throws -> KafkaTransactions {
    if let known = producers[writer.name] { return known }
    let producer = try KafkaTransactions(writer, connection, isTransactional: hasTransactions, logger: logger)
    producers[writer.name] = producer
    return producer
  }

  private func trouble(_ failure: KafkaFailure) -> OperatingError {
    OperatingError(.input, "Kafka at \(connection.bootstrap): \(failure)")
  }
}
