// What is asked of a broker beside reading: which topics there are, where their logs begin and end, what a record looks like.
// A consumer of its own, on a thread of its own, so that no partition waits while another one is looked at.

import CKafkaLibrary
import Detection
import Foundation
import Pipeline
import Synchronization

/// Where a log begins and ends.
struct KafkaLog: Sendable, Hashable {
  /// The first offset that is still there.
  var low: Int64
  /// Behind the last one.
  var high: Int64
}

/// Asks, and waits for the answers.
actor KafkaProbe {
  private let thread = DedicatedThread(name: "pulse-kafka-ask")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let client: KafkaClient
  private let bootstrap: String
  /// Answers that do not come are not waited for any more.
  private let stopped = Mutex(false)

  /// How long one answer may take before it is asked for again.
  private static let patience: Int32 = 5_000
  /// How long a broker may be away before a start is given up.
  static let startPatience = Duration.seconds(20)

  init(_ client: KafkaClient, bootstrap: String) {
    self.client = client
    self.bootstrap = bootstrap
  }

  nonisolated func stop() { stopped.withLock { $0 = true } }

  private var isStopped: Bool { stopped.withLock { $0 } }

  /// Numbers of partitions by the names of all topics.
  /// - Parameter patience: nil where a broker that is away is waited for as long as the run goes on.
  /// - Throws: `OperatingError` with what the client says of its connections.
  func topics(patience: Duration?) throws -> [String: Int] {
    try asking("its topics", patience: patience) {
      // SAFETY: set by the call below, and looked at only where that has succeeded.
      var metadata: UnsafePointer<rd_kafka_metadata>?
      let code = rd_kafka_metadata(client.handle, 1, nil, &metadata, Self.patience)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { return .failure(code) }
      // SAFETY: librdkafka keeps `topic_cnt` topics with names that end in a zero byte, until it is destroyed here.
      defer { rd_kafka_metadata_destroy(metadata) }
      var topics: [String: Int] = [:]
      for index in 0..<Int(metadata.pointee.topic_cnt) {
        let topic = metadata.pointee.topics[index]
        guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
        topics[String(cString: topic.topic)] = Int(topic.partition_cnt)
      }
      return .success(topics)
    }
  }

  /// Where a partition begins and ends.
  func log(of partition: PartitionID) throws -> KafkaLog {
    try asking("the offsets of \(Self.name(partition))", patience: nil) {
      var (low, high) = (Int64(0), Int64(0))
      let code = rd_kafka_query_watermark_offsets(
        client.handle, partition.source, partition.number, &low, &high, Self.patience)
      return code == RD_KAFKA_RESP_ERR_NO_ERROR ? .success(KafkaLog(low: low, high: high)) : .failure(code)
    }
  }

  /// The first offset whose record has a time or a later one; nil where none has.
  /// - Parameter time: milliseconds since 1970.
  func offset(in partition: PartitionID, at time: Int64) throws -> Int64? {
    try asking("the offset for a time in \(Self.name(partition))", patience: nil) {
      KafkaPartitions.with([KafkaPartitions.Item(partition: partition, offset: time)]) { list in
        let code = rd_kafka_offsets_for_times(client.handle, list, Self.patience)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .failure(code) }
        let found = KafkaPartitions.read(list)[0]
        guard found.error == RD_KAFKA_RESP_ERR_NO_ERROR.rawValue else {
          return .failure(rd_kafka_resp_err_t(found.error))
        }
        return .success(found.offset < 0 ? nil : found.offset)
      }
    }
  }

  /// The partitions of which the group has committed something.
  func committed(of partitions: [PartitionID]) throws -> Set<PartitionID> {
    try asking("what the group has committed", patience: nil) {
      KafkaPartitions.with(partitions.map { KafkaPartitions.Item(partition: $0) }) { list in
        let code = rd_kafka_committed(client.handle, list, Self.patience)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .failure(code) }
        return .success(Set(KafkaPartitions.read(list).filter { $0.offset >= 0 }.map(\.partition)))
      }
    }
  }

  /// The record at an offset; nil where there is none any more, or it cannot be read for now.
  func record(at offset: Int64, of partition: PartitionID) -> KafkaFingerprint? {
    let assigned = KafkaPartitions.with([KafkaPartitions.Item(partition: partition, offset: offset)]) {
      rd_kafka_assign(client.handle, $0)
    }
    guard assigned == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
    defer { rd_kafka_assign(client.handle, nil) }
    let deadline = ContinuousClock.now + .milliseconds(Int64(Self.patience))
    while ContinuousClock.now < deadline, !isStopped {
      guard let message = rd_kafka_consumer_poll(client.handle, 100) else { continue }
      // SAFETY: the message is ours until it is destroyed; what is kept of it is a value.
      defer { rd_kafka_message_destroy(message) }
      switch message.pointee.err {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        // What comes first lies behind the offset where that is gone, or never was a record.
        return message.pointee.offset == offset ? KafkaBatchBuilder.fingerprint(message) : nil
      case RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: return nil
      default: continue
      }
    }
    return nil
  }

  private enum Answer<Value> {
    case success(Value)
    case failure(rd_kafka_resp_err_t)
  }

  /// Asks until there is an answer; an error that no waiting helps against is thrown at once.
  private func asking<Value>(_ what: String, patience: Duration?, _ ask: () -> Answer<Value>) throws -> Value {
    let start = ContinuousClock.now
    var pause = 0.1
    while true {
      let code: rd_kafka_resp_err_t
      switch ask() {
      case .success(let value): return value
      case .failure(let found): code = found
      }
      if isStopped { throw CancellationError() }
      let mayPass = Self.transient.contains(code.rawValue)
      if !mayPass || patience.map({ ContinuousClock.now - start > $0 }) ?? false {
        // Served here: the reason of a connection that fails comes as an event of its own.
        rd_kafka_poll(client.handle, 0)
        let reason = client.state.lastError.map { ": \($0)" } ?? ""
        throw OperatingError(
          .input, "Kafka at \(bootstrap) does not say \(what): \(KafkaClient.sentence(code))\(reason)")
      }
      rd_kafka_poll(client.handle, 0)
      Thread.sleep(forTimeInterval: pause * Double.random(in: 0.5...1))
      pause = min(pause * 2, 5)
    }
  }

  /// Errors that pass by themselves, as brokers and leaders come back.
  private static let transient: Set<Int32> = Set(
    [
      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
      RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__WAIT_COORD,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
      RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
    ].map(\.rawValue))

  private static func name(_ partition: PartitionID) -> String { "\(partition.source)/\(partition.number)" }
}
