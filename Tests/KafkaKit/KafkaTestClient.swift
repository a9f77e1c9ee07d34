// What tests do with a cluster beside the code they test: topics, records, groups. Nothing of the product is in it, so that
// it can say what the product did.

import CKafkaLibrary

/// Blocking calls over a cluster. Each makes a client of its own and waits for `timeout` at most, so any number of threads
/// may call at once. Within a concurrent test, wrap what waits into `blocking(_:)`.
public final class KafkaTestClient: Sendable {
  /// `host:port` of brokers, separated by commas.
  public let bootstrap: String
  /// The longest that a call waits before it throws.
  public let timeout: Duration
  private let settings: [String: String]

  /// - Parameter settings: of librdkafka, on top of those that tests need.
  public init(_ bootstrap: String, settings: [String: String] = [:], timeout: Duration = .seconds(60)) {
    self.bootstrap = bootstrap
    self.timeout = timeout
    self.settings = settings
  }

  /// The version of librdkafka that runs, which may be newer than the one that was compiled with.
  public static var libraryVersion: String { String(cString: rd_kafka_version_str()) }

  /// - Parameter own: settings that win over everything but those of the caller.
  func handle(_ type: rd_kafka_type_t, _ own: [String: String] = [:]) throws -> KafkaHandle {
    var all = [
      "bootstrap.servers": bootstrap,
      // A broker that comes back is found within this.
      "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "200",
      "socket.timeout.ms": String(max(1000, timeout.wholeMilliseconds)),
      "socket.nagle.disable": "true",
    ]
    all.merge(own) { $1 }
    all.merge(settings) { $1 }
    return try KafkaHandle(type, all)
  }

  /// A consumer in no group, which makes no topics by asking for them.
  func reader(_ own: [String: String] = [:]) throws -> KafkaHandle {
    try handle(
      RD_KAFKA_CONSUMER,
      [
        "enable.partition.eof": "true", "auto.offset.reset": "error", "fetch.wait.max.ms": "50",
        "fetch.error.backoff.ms": "50",
        // A topic that is not there is said to be missing, instead of waited for to the end.
        "topic.metadata.propagation.max.ms": "3000",
        // Some brokers answer with more than was asked for.
        "receive.message.max.bytes": "1000000000",
      ].merging(own) { $1 })
  }

  // MARK: Topics

  /// The identifiers of the brokers, in ascending order. Answers as soon as one of them does.
  public func brokers() throws -> [Int32] {
    try metadata("asking for brokers") { metadata in
      // SAFETY: librdkafka says how many there are.
      UnsafeBufferPointer(start: metadata.brokers, count: Int(metadata.broker_cnt)).map(\.id).sorted()
    }
  }

  /// The leading broker of each partition of a topic, -1 where there is none.
  /// - Throws: where there is no such topic, too.
  public func leaders(of topic: String) throws -> [Int32] {
    try metadata("asking for topic \(topic)") { metadata in
      // SAFETY: librdkafka says how many topics and partitions there are, and ends names with 0.
      let topics = UnsafeBufferPointer(start: metadata.topics, count: Int(metadata.topic_cnt))
      guard let found = topics.first(where: { String(cString: $0.topic) == topic }) else {
        throw KafkaTestError(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, doing: "asking for topic \(topic)")
      }
      try KafkaTestError.check(found.err, "asking for topic \(topic)")
      return UnsafeBufferPointer(start: found.partitions, count: Int(found.partition_cnt))
        .sorted { $0.id < $1.id }.map(\.leader)
    }
  }

  private func metadata<Value>(_ doing: String, _ body: (rd_kafka_metadata) throws -> Value) throws -> Value {
    let client = try reader()
    // SAFETY: librdkafka lends the answer until it is destroyed.
    var answer: UnsafePointer<rd_kafka_metadata>?
    let code = rd_kafka_metadata(client.pointer, 1, nil, &answer, timeout.wholeMilliseconds)
    try KafkaTestError.check(code, doing, detail: client.reports.lastLine)
    guard let answer else { throw KafkaTestError(RD_KAFKA_RESP_ERR__FAIL, doing: doing) }
    defer { rd_kafka_metadata_destroy(answer) }
    return try body(answer.pointee)
  }

  /// The first offset of a partition and the one behind its last record.
  public func watermarks(of topic: String, partition: Int32 = 0) throws -> Range<Int64> {
    let client = try reader()
    var (low, high) = (Int64(0), Int64(0))
    let code = rd_kafka_query_watermark_offsets(
      client.pointer, topic, partition, &low, &high, timeout.wholeMilliseconds)
    let doing = "asking for the offsets of \(topic) \(partition)"
    try KafkaTestError.check(code, doing, detail: client.reports.lastLine)
    guard low <= high else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__BAD_MSG, doing: doing, detail: "\(low) is behind \(high)")
    }
    return low..<high
  }

  // MARK: Groups

  /// The offsets that a group has committed, by partition; none for partitions without.
  public func committed(by group: String, of topic: String) throws -> [Int32: Int64] {
    let partitions = try leaders(of: topic).indices
    let client = try handle(RD_KAFKA_CONSUMER, ["group.id": group])
    let list = PartitionList()
    for partition in partitions { list.add(topic, Int32(partition)) }
    let code = rd_kafka_committed(client.pointer, list.pointer, timeout.wholeMilliseconds)
    let doing = "asking for the offsets of group \(group)"
    try KafkaTestError.check(code, doing, detail: client.reports.lastLine)
    return try list.offsets(doing).filter { $0.value >= 0 }
  }

  /// Commits offsets as a group's, in which nobody may be.
  public func commit(_ offsets: [Int32: Int64], by group: String, of topic: String) throws {
    let client = try handle(RD_KAFKA_CONSUMER, ["group.id": group])
    let list = PartitionList()
    for (partition, offset) in offsets { list.add(topic, partition, offset) }
    let queue = rd_kafka_queue_new(client.pointer)
    defer { rd_kafka_queue_destroy(queue) }
    let doing = "committing offsets of group \(group)"
    try KafkaTestError.check(rd_kafka_commit_queue(client.pointer, list.pointer, queue, nil, nil), doing)
    guard let event = rd_kafka_queue_poll(queue, timeout.wholeMilliseconds) else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing, detail: client.reports.lastLine)
    }
    defer { rd_kafka_event_destroy(event) }
    try KafkaTestError.check(rd_kafka_event_error(event), doing)
    if let answer = rd_kafka_event_topic_partition_list(event) { _ = try PartitionList.offsets(of: answer, doing) }
  }
}

/// A list of partitions with offsets, destroyed with the last reference.
final class PartitionList {
  // SAFETY: made and destroyed by librdkafka, and nobody else has it.
  let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

  init() { pointer = rd_kafka_topic_partition_list_new(8) }

  deinit { rd_kafka_topic_partition_list_destroy(pointer) }

  func add(_ topic: String, _ partition: Int32, _ offset: Int64? = nil) {
    let added = rd_kafka_topic_partition_list_add(pointer, topic, partition)
    if let offset { added?.pointee.offset = offset }
  }

  func offsets(_ doing: String) throws -> [Int32: Int64] { try Self.offsets(of: pointer, doing) }

  /// The offsets by partition.
  /// - Throws: where a partition has an error.
  static func offsets(
    of list: UnsafePointer<rd_kafka_topic_partition_list_t>, _ doing: String
  ) throws -> [Int32: Int64] {
    var offsets: [Int32: Int64] = [:]
    // SAFETY: librdkafka says how many there are.
    for element in UnsafeBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt)) {
      try KafkaTestError.check(element.err, "\(doing), partition \(element.partition)")
      offsets[element.partition] = element.offset
    }
    return offsets
  }
}
