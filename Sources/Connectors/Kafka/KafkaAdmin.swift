// Topics as a person looks after them: which there are, how far their logs go, what a group has read of them.

import CKafkaLibrary
import Detection
import Foundation
public import Logging
import Pipeline

/// A topic with its partitions.
public struct KafkaTopic: Sendable, Hashable {
  /// A partition of it.
  public struct Partition: Sendable, Hashable {
    public var number: Int32
    /// The broker that leads it; nil while none does.
    public var leader: Int32?
    public var replicas: Int
    /// Replicas that have everything.
    public var inSync: Int
    /// The first offset that is there; nil where it could not be asked for.
    public var low: Int64?
    /// Behind the last one.
    public var high: Int64?
    /// What a group has committed; nil where it has nothing, or none was asked about.
    public var committed: Int64?

    /// Records behind what the group has committed.
    public var lag: Int64? { high.flatMap { high in committed.map { max(0, high - $0) } } }
  }

  public var name: String
  public var partitions: [Partition]
}

/// Asks brokers about topics, and makes them. Calls wait for answers: make them where waiting is no harm.
public struct KafkaAdmin: Sendable {
  private let client: KafkaClient
  private let bootstrap: String
  private static let patience: Int32 = 10_000

  /// - Parameters:
  ///   - bootstrap: brokers, `HOST:PORT,…`.
  ///   - properties: settings of librdkafka, `name=value`; `env:NAME` and `file:PATH` stand for values kept there.
  ///   - group: whose committed offsets are asked for; nil for none.
  /// - Throws: `OperatingError` where a setting is wrong.
  public init(_ bootstrap: String, properties: [String], group: String? = nil, logger: Logger) throws {
    let own = KafkaProperties(properties)
    if let problem = own.problem { throw OperatingError(.configuration, problem) }
    self.bootstrap = bootstrap
    client = try KafkaClient(
      RD_KAFKA_CONSUMER,
      [
        ("client.id", "pulse"), ("enable.auto.commit", "false"), ("reconnect.backoff.max.ms", "1000"),
        ("log.connection.close", "false"),
      ] + (try own.resolved()) + [("bootstrap.servers", bootstrap), ("group.id", group ?? "pulse.admin")],
      state: KafkaState(logger: logger))
  }

  /// All topics by name, without those that brokers keep for themselves.
  /// - Parameter names: only these; nil for all.
  /// - Throws: `OperatingError` where no broker answers.
  public func topics(_ names: Set<String>? = nil) throws -> [KafkaTopic] {
    // SAFETY: set by the call below, and looked at only where that has succeeded.
    var metadata: UnsafePointer<rd_kafka_metadata>?
    let code = rd_kafka_metadata(client.handle, 1, nil, &metadata, Self.patience)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw failure("the topics cannot be listed", code) }
    // SAFETY: librdkafka keeps `topic_cnt` topics with `partition_cnt` partitions each, and names that end in a zero byte,
    // until the metadata is destroyed here.
    defer { rd_kafka_metadata_destroy(metadata) }
    var topics: [KafkaTopic] = []
    for index in 0..<Int(metadata.pointee.topic_cnt) {
      let topic = metadata.pointee.topics[index]
      let name = String(cString: topic.topic)
      guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, names?.contains(name) ?? !name.hasPrefix("__") else { continue }
      let partitions = (0..<Int(topic.partition_cnt)).map { place in
        let partition = topic.partitions[place]
        return KafkaTopic.Partition(
          number: partition.id, leader: partition.leader < 0 ? nil : partition.leader,
          replicas: Int(partition.replica_cnt), inSync: Int(partition.isr_cnt))
      }
      topics.append(KafkaTopic(name: name, partitions: partitions.sorted { $0.number < $1.number }))
    }
    return topics.sorted { $0.name < $1.name }
  }

  /// A topic with where its logs begin and end.
  /// - Parameter committed: whether what the group has committed is asked for.
  /// - Throws: `OperatingError` where it is not there, or no broker answers.
  public func topic(_ name: String, committed: Bool = false) throws -> KafkaTopic {
    guard var topic = try topics([name]).first else {
      throw OperatingError(.input, "the topic \(name) is not at \(bootstrap). `pulse topics list` says which are there")
    }
    for index in topic.partitions.indices {
      var (low, high) = (Int64(0), Int64(0))
      let code = rd_kafka_query_watermark_offsets(
        client.handle, name, topic.partitions[index].number, &low, &high, Self.patience)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
      (topic.partitions[index].low, topic.partitions[index].high) = (low, high)
    }
    guard committed else { return topic }
    let items = topic.partitions.map { KafkaPartitions.Item(partition: PartitionID(source: name, number: $0.number)) }
    try KafkaPartitions.with(items) { list in
      let code = rd_kafka_committed(client.handle, list, Self.patience)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw failure("what the group has read cannot be asked for", code)
      }
      for item in KafkaPartitions.read(list) where item.offset >= 0 {
        guard let index = topic.partitions.firstIndex(where: { $0.number == item.partition.number }) else { continue }
        topic.partitions[index].committed = item.offset
      }
    }
    return topic
  }

  /// Makes a topic, and waits until brokers know it.
  /// - Parameters:
  ///   - replicas: of each partition; nil leaves it to the broker.
  ///   - settings: of the topic: `retention.ms=604800000`.
  /// - Throws: `OperatingError` where a broker refuses it, or none answers.
  public func create(_ name: String, partitions: Int, replicas: Int?, settings: [String]) throws {
    if let problem = KafkaSettings.problem(ofTopic: name) { throw OperatingError(.configuration, problem) }
    var problem = [CChar](repeating: 0, count: 512)
    guard
      let topic = rd_kafka_NewTopic_new(name, Int32(partitions), Int32(replicas ?? -1), &problem, problem.count)
    else { throw OperatingError(.configuration, "a topic cannot be made so: \(KafkaClient.text(problem))") }
    defer { rd_kafka_NewTopic_destroy(topic) }
    for setting in settings {
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw OperatingError(.configuration, "expected a setting of a topic and its value, found \(setting)")
      }
      rd_kafka_NewTopic_set_config(topic, parts[0], parts[1])
    }
    let queue = rd_kafka_queue_new(client.handle)
    defer { rd_kafka_queue_destroy(queue) }
    let options = rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_CREATETOPICS)
    defer { rd_kafka_AdminOptions_destroy(options) }
    rd_kafka_AdminOptions_set_request_timeout(options, Self.patience, nil, 0)
    rd_kafka_AdminOptions_set_operation_timeout(options, Self.patience, nil, 0)
    var topics: [OpaquePointer?] = [topic]
    rd_kafka_CreateTopics(client.handle, &topics, topics.count, options, queue)
    guard let event = rd_kafka_queue_poll(queue, Self.patience + 1_000) else {
      throw failure("the topic \(name) was not made", RD_KAFKA_RESP_ERR__TIMED_OUT)
    }
    defer { rd_kafka_event_destroy(event) }
    let code = rd_kafka_event_error(event)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let result = rd_kafka_event_CreateTopics_result(event) else {
      throw failure("the topic \(name) was not made", code)
    }
    var count = 0
    let results = rd_kafka_CreateTopics_result_topics(result, &count)
    for index in 0..<count {
      guard let made = results?[index] else { continue }
      let code = rd_kafka_topic_result_error(made)
      if code == RD_KAFKA_RESP_ERR_NO_ERROR { continue }
      let why = rd_kafka_topic_result_error_string(made).map { String(cString: $0) } ?? KafkaClient.sentence(code)
      throw OperatingError(.input, "the topic \(name) was not made: \(why)")
    }
  }

  private func failure(_ what: String, _ code: rd_kafka_resp_err_t) -> OperatingError {
    rd_kafka_poll(client.handle, 0)
    let reason = client.state.lastError.map { ": \($0)" } ?? ""
    return OperatingError(.input, "\(what) at \(bootstrap): \(KafkaClient.sentence(code))\(reason)")
  }
}
