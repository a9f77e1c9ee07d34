// A member of a consumer group beside the code that is tested: who takes partitions away from it, and gives them back.

import CKafkaLibrary
import Foundation
import Synchronization

/// Takes part in a group until it leaves. Gone with the last reference without having left, it is a member that died: the
/// group finds out when its session of 6 s ends.
public final class KafkaTestMember: Sendable {
  private let client: KafkaHandle
  private let group: String
  private let timeout: Duration
  private let poller: Poller

  /// Joins. Partitions come later: see `awaitPartitions`.
  /// - Parameter settings: of librdkafka, as in `["group.instance.id": "a"]`.
  public init(of group: String, topics: String..., on cluster: KafkaTestClient, settings: [String: String] = [:]) throws
  {
    self.group = group
    timeout = cluster.timeout
    client = try cluster.reader(
      [
        "group.id": group, "enable.auto.commit": "false", "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "500",
      ].merging(settings) { $1 })
    // So that what it is assigned is heard of by asking, whatever thread does.
    rd_kafka_poll_set_consumer(client.pointer)
    let list = PartitionList()
    for topic in topics { list.add(topic, RD_KAFKA_PARTITION_UA) }
    try KafkaTestError.check(rd_kafka_subscribe(client.pointer, list.pointer), "joining group \(group)")
    poller = Poller(client)
  }

  deinit { poller.stop() }

  /// The partitions of a topic that it has now, in ascending order.
  public func partitions(of topic: String) throws -> [Int32] {
    // SAFETY: librdkafka makes the list and leaves it to the caller.
    var list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    try KafkaTestError.check(rd_kafka_assignment(client.pointer, &list), "asking what a member has")
    guard let list else { return [] }
    defer { rd_kafka_topic_partition_list_destroy(list) }
    return UnsafeBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt))
      .filter { String(cString: $0.topic) == topic }.map(\.partition).sorted()
  }

  /// Waits until it has so many partitions of a topic.
  /// - Returns: them, in ascending order.
  @discardableResult
  public func awaitPartitions(of topic: String, count: Int) throws -> [Int32] {
    var found: [Int32] = []
    let hasThem = try waitUntil(within: timeout) {
      found = try partitions(of: topic)
      return found.count == count
    }
    if hasThem { return found }
    throw KafkaTestError(
      RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "waiting for \(count) partitions of \(topic) in group \(group)",
      detail: ["it has \(found)", client.reports.lastLine].compactMap { $0 }.joined(separator: "; "))
  }

  /// Leaves the group and waits until it has.
  public func leave() throws {
    poller.stop()
    try KafkaTestError.check(rd_kafka_consumer_close(client.pointer), "leaving group \(group)")
  }
}

/// Takes what a consumer gets, on a thread of its own: without, it would not answer when a group is rebalanced.
private final class Poller: Sendable {
  private struct State {
    var isStopping = false
    var hasEnded = false
  }

  private let state: SharedState

  /// Outlives the poller for as long as the thread does.
  private final class SharedState: Sendable {
    let value = Mutex(State())
  }

  init(_ client: KafkaHandle) {
    let state = SharedState()
    self.state = state
    Thread {
      while !state.value.withLock({ $0.isStopping }) {
        if let message = rd_kafka_consumer_poll(client.pointer, 50) { rd_kafka_message_destroy(message) }
      }
      state.value.withLock { $0.hasEnded = true }
    }.start()
  }

  /// Returns when the thread touches the consumer no more.
  func stop() {
    state.value.withLock { $0.isStopping = true }
    _ = waitUntil(within: .seconds(10)) { state.value.withLock { $0.hasEnded } }
  }
}
