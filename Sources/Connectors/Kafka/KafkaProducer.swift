// Records to a topic, as fast as the broker takes them: none twice and none out of order within a partition, whatever
// connections do (an idempotent producer, acknowledged by all replicas).

import CKafkaLibrary
public import Detection
import Foundation
public import Logging
import Pipeline

/// Keys of records: stretches of one buffer.
public struct RecordKeys: Sendable {
  /// Never empty, so that an empty key has an address as well: without one it would be none.
  fileprivate private(set) var bytes: [UInt8] = [0]
  /// Nil for a record without a key.
  fileprivate private(set) var ranges: [Range<Int>?] = []

  public init() {}

  /// The key of a record; nil where it has none.
  subscript(record: Int) -> [UInt8]? { ranges[record].map { Array(bytes[$0]) } }

  /// Those of some records.
  public func part(_ records: Range<Int>) -> RecordKeys {
    var part = self
    part.ranges = Array(ranges[records])
    return part
  }

  private mutating func append(_ value: Scalar) {
    switch value {
    case .null: ranges.append(nil)
    case .string(let text): append(text)
    case .int(let number): append(String(number))
    case .double(let number): append("\(number)")
    case .bool(let isTrue): append(isTrue ? "true" : "false")
    case .timestamp(let time): append(Timestamp.formatWithinRange(time))
    }
  }

  /// The key of the next record is the value of a row.
  /// - Parameter row: nil for a record without a key.
  public mutating func append(_ column: Column, row: Int?) {
    guard let row, !column.isNull(row) else { return ranges.append(nil) }
    guard case .string(let strings) = column.values else { return append(column[row]) }
    let start = bytes.count
    bytes.append(contentsOf: strings.bytes[strings.range(of: row)])
    ranges.append(start..<bytes.count)
  }

  private mutating func append(_ text: String) {
    let start = bytes.count
    bytes.append(contentsOf: text.utf8)
    ranges.append(start..<bytes.count)
  }
}

/// Writes to one topic. Calls wait while more is under way than may be: make them where waiting is no harm. One caller at a
/// time.
///
/// SAFETY: librdkafka's handles may be used from any thread; `topic` is a constant and destroyed before the client.
public final class KafkaProducer: @unchecked Sendable {
  private let client: KafkaClient
  private let topic: OpaquePointer
  private let bootstrap: String

  /// - Parameters:
  ///   - address: `kafka://HOST:PORT,…/TOPIC`.
  ///   - properties: settings of librdkafka, `name=value`; `env:NAME` and `file:PATH` stand for values kept there.
  /// - Throws: `OperatingError` where the address or a setting is wrong.
  public init(_ address: String, properties: [String], logger: Logger) throws {
    guard let place = KafkaAddress(address) else {
      throw OperatingError(.configuration, "\(address) is no address of a topic: expected kafka://HOST:PORT/TOPIC")
    }
    let own = KafkaProperties(properties)
    if let problem = own.problem ?? KafkaSettings.problem(ofTopic: place.topic) {
      throw OperatingError(.configuration, problem)
    }
    bootstrap = place.bootstrap
    client = try KafkaClient(
      RD_KAFKA_PRODUCER, Self.settings + (try own.resolved()) + [("bootstrap.servers", place.bootstrap)],
      state: KafkaState(logger: logger))
    guard let topic = rd_kafka_topic_new(client.handle, place.topic, nil) else {
      throw OperatingError(.configuration, "the topic \(place.topic) cannot be written: \(Self.lastError)")
    }
    self.topic = topic
  }

  deinit { rd_kafka_topic_destroy(topic) }

  private static let settings: [(name: String, value: String)] = [
    ("client.id", "pulse"), ("enable.idempotence", "true"), ("delivery.report.only.error", "true"),
    // The hash that other clients use, so that a key has the same partition whoever writes it.
    ("partitioner", "murmur2_random"), ("linger.ms", "5"), ("compression.type", "lz4"),
    ("queue.buffering.max.messages", "200000"), ("queue.buffering.max.kbytes", "65536"),
    ("reconnect.backoff.max.ms", "5000"), ("log.connection.close", "false"),
  ]

  private static var lastError: String { KafkaClient.sentence(rd_kafka_last_error()) }

  /// Whether the topic is there.
  /// - Throws: `OperatingError` where it is not, or no broker answers within some seconds.
  public func check() throws {
    let start = ContinuousClock.now
    while true {
      let found = client.error(of: topic, milliseconds: 2_000)
      rd_kafka_poll(client.handle, 0)
      if found == RD_KAFKA_RESP_ERR_NO_ERROR { return }
      let isGone = found == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || found == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
      if isGone || ContinuousClock.now - start > KafkaProbe.startPatience {
        let reason = isGone ? nil : client.state.lastError
        throw OperatingError(
          .input,
          "the topic \(name) cannot be written at \(bootstrap): \(KafkaClient.sentence(found))"
            + (reason.map { ": \($0)" } ?? "") + (isGone ? ". Create it with `pulse topics create`" : ""))
      }
      Thread.sleep(forTimeInterval: 0.2)
    }
  }

  private var name: String { rd_kafka_topic_name(topic).map { String(cString: $0) } ?? "" }

  /// Hands over records, waiting while too many are under way.
  /// - Parameter keys: of the records; nil where none has one.
  /// - Throws: `OperatingError` where a record was refused or given up.
  public func write(_ values: RecordBytes, keys: RecordKeys? = nil) throws {
    precondition(keys.map { $0.ranges.count == values.count } ?? true, "records and keys differ in number")
    // SAFETY: both buffers are lent for the calls, and librdkafka copies what it takes (MSG_F_COPY).
    try values.bytes.withUnsafeBytes { valueBytes in
      try (keys?.bytes ?? []).withUnsafeBytes { keyBytes in
        for index in 0..<values.count {
          let start = Int(values.starts[index])
          let value = UnsafeRawBufferPointer(rebasing: valueBytes[start..<Int(values.ends[index])])
          try send(value, key: keys?.ranges[index].map { UnsafeRawBufferPointer(rebasing: keyBytes[$0]) })
        }
      }
    }
    rd_kafka_poll(client.handle, 0)
    try checkDeliveries()
  }

  /// One record at a time: of a batch that finds the queue full a later record may be taken where an earlier one was not.
  private func send(_ value: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer?) throws {
    // SAFETY: lent by the caller for the call, and librdkafka copies what it takes (MSG_F_COPY).
    while rd_kafka_produce(
      topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, UnsafeMutableRawPointer(mutating: value.baseAddress),
      value.count, key?.baseAddress, key?.count ?? 0, nil) != 0
    {
      let code = rd_kafka_last_error()
      guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
        throw OperatingError(
          .input, "a record of \(value.count) bytes was refused for \(name): \(KafkaClient.sentence(code))")
      }
      // The broker takes what is there first.
      rd_kafka_poll(client.handle, 10)
      try checkDeliveries()
    }
  }

  /// Waits until everything is acknowledged.
  /// - Throws: `OperatingError` where something was given up.
  public func finish() throws {
    while rd_kafka_outq_len(client.handle) > 0 {
      rd_kafka_flush(client.handle, 500)
      try checkDeliveries()
    }
    try checkDeliveries()
  }

  private func checkDeliveries() throws {
    let (count, why) = client.state.undelivered
    if let fatal = client.state.fatalError {
      throw OperatingError(.input, "\(name) cannot be written any more: \(fatal)")
    }
    guard count > 0 else { return }
    let reason = client.state.lastError.map { "; \($0)" } ?? ""
    throw OperatingError(
      .input, "\(count) records were not taken by \(name) at \(bootstrap): \(why ?? "no reason given")\(reason)")
  }
}
