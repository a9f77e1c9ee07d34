// What a source over topics knows of itself: what its reader has counted, and what librdkafka says of its connections.

import Detection
import Foundation
import Pipeline
import Synchronization

/// What the thread that polls has seen, shared with whoever asks.
final class KafkaFigures: Sendable {
  struct Counts: Sendable, Hashable {
    var rebalances = 0
    var passedOver = KafkaBatchCounts()
  }

  private let state = Mutex(Counts())

  var counts: Counts { state.withLock { $0 } }

  func noteRebalance() { state.withLock { $0.rebalances += 1 } }

  func notePassedOver(_ counts: KafkaBatchCounts) { state.withLock { $0.passedOver += counts } }
}

/// Statistics that a client gives out now and then, as far as they are used here.
struct KafkaStatistics: Decodable {
  struct Broker: Decodable {
    var state: String
  }

  struct Partition: Decodable {
    /// Of records that were fetched and not taken.
    var fetchedBytes: Int

    enum CodingKeys: String, CodingKey { case fetchedBytes = "fetchq_size" }
  }

  struct Topic: Decodable {
    var partitions: [String: Partition]
  }

  /// By name: those that the settings name, those that the cluster has, and those that have a part in the group.
  var brokers: [String: Broker]
  var topics: [String: Topic]

  /// Whether a broker is connected and may be asked.
  var isConnected: Bool { brokers.values.contains { $0.state == "UP" } }

  var fetchedBytes: Int { topics.values.reduce(0) { $0 + $1.partitions.values.reduce(0) { $0 + $1.fetchedBytes } } }
}

/// Whether brokers can be reached, and since when.
struct KafkaConnection: Sendable, Hashable {
  /// Nil before the first word of it.
  private(set) var known: SourceFigures.Connection?

  /// - Parameters:
  ///   - error: the last one that there was; nil where there was none.
  ///   - time: microseconds since 1970.
  mutating func note(isUp: Bool, error: String?, at time: Int64) {
    if known?.isUp == isUp { return }
    known = SourceFigures.Connection(isUp: isUp, since: time, error: isUp ? nil : error)
  }

  /// What is wrong with a connection: mostly said after all of them are gone.
  mutating func explain(_ error: String) {
    if known?.isUp == false { known?.error = error }
  }
}
