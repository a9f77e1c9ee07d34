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
  private let logger: Logger
  private var producers: [PartitionID: KafkaResultProducer] = [:]
  private var hasTransactions = true
  /// Why nothing is taken any more; nil while it is.
  private var ended: SinkEnded?

  /// - Parameter identity: of the store whose changes they are.
  init(_ settings: KafkaPublishSettings, identity: String, logger: Logger) {
    self.settings = settings
    self.identity = identity
    self.logger = logger
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
    if let ended { throw ended }
    let records = changes.compactMap { PublishedRecord($0, to: settings) }
    guard !records.isEmpty, let first = changes.first, let last = changes.last else { return }
    do {
      try producer(of: partition).deliver(records, numbers: first.number...last.number)
    } catch let failure as KafkaFailure {
      switch failure.kind {
      case .aborted: throw trouble(failure)
      case .unsupported where hasTransactions:
        logger.warning(
          "\(settings.bootstrap) has no transactions: what comes again behind a crash is seen again (\(failure))")
        hasTransactions = false
        producers = [:]
        try deliver(changes, of: partition)
      case .unfinished, .fatal, .unsupported:
        producers[partition] = nil
        throw trouble(failure)
      case .fenced:
        let ended = SinkEnded(
          "another process delivers the results of \(settings.useCase) from \(partition.source)/\(partition.number) to "
            + "\(settings.bootstrap), and this one is fenced off (\(failure)). Where that is not meant, end the other one and "
            + "restart this one")
        self.ended = ended
        producers = [:]
        throw ended
      }
    }
  }

  private func producer(of partition: PartitionID) throws -> KafkaResultProducer {
    if let known = producers[partition] { return known }
    let producer = try KafkaResultProducer(
      "pulse.\(settings.useCase).\(KafkaPublishConnector.name).\(partition.source).\(partition.number)", settings,
      identity: identity, isTransactional: hasTransactions, logger: logger)
    producers[partition] = producer
    return producer
  }

  private func trouble(_ failure: KafkaFailure) -> OperatingError {
    OperatingError(.input, "Kafka at \(settings.bootstrap): \(failure)")
  }
}
