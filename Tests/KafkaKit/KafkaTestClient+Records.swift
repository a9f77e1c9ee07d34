// Writing and reading records.

import CKafkaLibrary

extension KafkaTestClient {
  /// Writes records and waits until every one is acknowledged by all replicas.
  /// - Returns: where each lies.
  /// - Throws: with the first error of a record; the others may be written.
  @discardableResult
  public func produce(
    _ messages: [KafkaTestMessage], to topic: String, codec: KafkaTestCodec = .none
  ) throws -> [KafkaTestPosition] {
    let client = try handle(
      RD_KAFKA_PRODUCER,
      [
        "compression.codec": codec.rawValue, "linger.ms": "5", "acks": "all", "message.max.bytes": "100000000",
        "message.timeout.ms": String(timeout.wholeMilliseconds),
      ])
    return try client.produce(messages, to: topic, within: timeout)
  }

  /// Reads a partition from an offset to its end, which is that of the last committed transaction for `readCommitted`.
  /// - Parameter count: so many are waited for, where the end comes before.
  /// - Throws: where `from` is out of range, too.
  public func read(
    _ topic: String, partition: Int32 = 0, from: Int64 = 0, isolation: KafkaTestIsolation = .readCommitted,
    atLeast count: Int = 0
  ) throws -> [KafkaTestRecord] {
    let deadline = Deadline(after: timeout)
    let client = try reader(["isolation.level": isolation.rawValue])
    let doing = "reading \(topic) \(partition)"
    guard let handle = rd_kafka_topic_new(client.pointer, topic, nil) else {
      throw KafkaTestError(rd_kafka_last_error(), doing: doing)
    }
    defer { rd_kafka_topic_destroy(handle) }
    guard rd_kafka_consume_start(handle, partition, from) == 0 else {
      throw KafkaTestError(rd_kafka_last_error(), doing: doing)
    }
    defer { rd_kafka_consume_stop(handle, partition) }
    var records: [KafkaTestRecord] = []
    while let message = rd_kafka_consume(handle, partition, deadline.milliseconds) {
      defer { rd_kafka_message_destroy(message) }
      switch message.pointee.err {
      case RD_KAFKA_RESP_ERR_NO_ERROR: records.append(KafkaTestRecord(message))
      case RD_KAFKA_RESP_ERR__PARTITION_EOF: if records.count >= count { return records }
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET where isThere(topic, partition, from + Int64(records.count)):
        // A broker that is busy says so of what it has just acknowledged.
        rd_kafka_consume_stop(handle, partition)
        guard rd_kafka_consume_start(handle, partition, records.last.map { $0.offset + 1 } ?? from) == 0 else {
          throw KafkaTestError(rd_kafka_last_error(), doing: doing)
        }
      case let code:
        throw KafkaTestError(code, doing: doing, detail: String(cString: rd_kafka_message_errstr(message)))
      }
    }
    let detail = [
      "after \(records.count) records", count > 0 ? "\(count) were waited for" : nil, client.reports.lastLine,
    ]
    throw KafkaTestError(
      RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing, detail: detail.compactMap { $0 }.joined(separator: "; "))
  }

  /// Whether an offset lies within a log, or just behind it.
  private func isThere(_ topic: String, _ partition: Int32, _ offset: Int64) -> Bool {
    guard let range = try? watermarks(of: topic, partition: partition) else { return false }
    return range.contains(offset) || offset == range.upperBound
  }

  /// A producer of transactions, which fences off those before it with the same identifier.
  public func transactions(_ identifier: String) throws -> KafkaTestTransactions {
    let limit = String(timeout.wholeMilliseconds)
    let client = try handle(
      RD_KAFKA_PRODUCER,
      [
        "transactional.id": identifier, "transaction.timeout.ms": limit, "message.timeout.ms": limit, "linger.ms": "5",
      ])
    return try KafkaTestTransactions(client, timeout: timeout)
  }
}

/// Writes records in transactions, one after another.
public final class KafkaTestTransactions: Sendable {
  private let client: KafkaHandle
  private let timeout: Duration

  init(_ client: KafkaHandle, timeout: Duration) throws {
    self.client = client
    self.timeout = timeout
    try check(rd_kafka_init_transactions(client.pointer, timeout.wholeMilliseconds), "registering a producer")
  }

  public func begin() throws { try check(rd_kafka_begin_transaction(client.pointer), "beginning a transaction") }

  /// Writes records into the open transaction and waits until they are acknowledged.
  @discardableResult
  public func produce(_ messages: [KafkaTestMessage], to topic: String) throws -> [KafkaTestPosition] {
    try client.produce(messages, to: topic, within: timeout)
  }

  public func commit() throws {
    try check(rd_kafka_commit_transaction(client.pointer, timeout.wholeMilliseconds), "committing a transaction")
  }

  public func abort() throws {
    try check(rd_kafka_abort_transaction(client.pointer, timeout.wholeMilliseconds), "aborting a transaction")
  }

  private func check(_ error: OpaquePointer?, _ doing: String) throws {
    try KafkaTestError.check(error, doing, detail: client.reports.lastLine)
  }
}

extension KafkaHandle {
  /// Writes records and waits until all are acknowledged. One call at a time.
  func produce(
    _ messages: [KafkaTestMessage], to topic: String, within limit: Duration
  ) throws -> [KafkaTestPosition] {
    let deadline = Deadline(after: limit)
    let doing = "producing to \(topic)"
    _ = reports.takeDeliveries()
    for (number, message) in messages.enumerated() {
      while true {
        guard let error = enqueue(message, number, topic) else { break }
        // The queue has room again when reports of deliveries have come.
        guard rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.hasPassed else {
          try KafkaTestError.check(error, doing, detail: reports.lastLine)
          break
        }
        rd_kafka_error_destroy(error)
        rd_kafka_poll(pointer, 10)
      }
    }
    let code = rd_kafka_flush(pointer, deadline.milliseconds)
    let deliveries = reports.takeDeliveries()
    try checkFatal(doing)
    for number in messages.indices {
      try KafkaTestError.check(
        deliveries[number]?.error ?? RD_KAFKA_RESP_ERR_NO_ERROR, "\(doing), record \(number)", detail: reports.lastLine)
    }
    try KafkaTestError.check(code, doing, detail: "\(deliveries.count) of \(messages.count) records are acknowledged")
    return try messages.indices.map { number in
      guard let delivery = deliveries[number] else {
        throw KafkaTestError(RD_KAFKA_RESP_ERR__FAIL, doing: doing, detail: "record \(number) has no report")
      }
      return delivery.position
    }
  }

  /// Puts a record into librdkafka's queue, which copies it.
  /// - Returns: an error object, or nil.
  private func enqueue(_ message: KafkaTestMessage, _ number: Int, _ topic: String) -> OpaquePointer? {
    topic.withCString { topic in
      withBytes(message.key) { key in
        withBytes(message.value) { value in
          var arguments: [rd_kafka_vu_t] = []
          func add(_ type: rd_kafka_vtype_t, _ set: (inout rd_kafka_vu_t) -> Void) {
            var argument = rd_kafka_vu_t()
            argument.vtype = type
            set(&argument)
            arguments.append(argument)
          }
          add(RD_KAFKA_VTYPE_TOPIC) { $0.u.cstr = topic }
          add(RD_KAFKA_VTYPE_MSGFLAGS) { $0.u.i = RD_KAFKA_MSG_F_COPY }
          add(RD_KAFKA_VTYPE_OPAQUE) { $0.u.ptr = UnsafeMutableRawPointer(bitPattern: number) }
          if let partition = message.partition { add(RD_KAFKA_VTYPE_PARTITION) { $0.u.i32 = partition } }
          if let timestamp = message.timestamp { add(RD_KAFKA_VTYPE_TIMESTAMP) { $0.u.i64 = timestamp } }
          if let key { add(RD_KAFKA_VTYPE_KEY) { ($0.u.mem.ptr, $0.u.mem.size) = (key.baseAddress, key.count) } }
          if let value {
            add(RD_KAFKA_VTYPE_VALUE) { ($0.u.mem.ptr, $0.u.mem.size) = (value.baseAddress, value.count) }
          }
          let headers = message.headers.isEmpty ? nil : makeHeaders(message.headers)
          if let headers { add(RD_KAFKA_VTYPE_HEADERS) { $0.u.headers = headers } }
          let error = rd_kafka_produceva(pointer, arguments, arguments.count)
          // They belong to the record once it is taken.
          if error != nil, let headers { rd_kafka_headers_destroy(headers) }
          return error
        }
      }
    }
  }

  private func makeHeaders(_ headers: [KafkaTestHeader]) -> OpaquePointer? {
    let made = rd_kafka_headers_new(headers.count)
    for header in headers {
      withBytes(header.value) { value in
        _ = rd_kafka_header_add(made, header.name, -1, value?.baseAddress, value?.count ?? 0)
      }
    }
    return made
  }

  /// Lends bytes for a call. Those of an empty array have an address as well: without one they would be absent.
  private func withBytes<Value>(_ bytes: [UInt8]?, _ body: (UnsafeMutableRawBufferPointer?) -> Value) -> Value {
    guard let bytes else { return body(nil) }
    var padded = bytes + [0]
    // SAFETY: the array is lent for the call, less the byte it was made longer by.
    return padded.withUnsafeMutableBytes { body(UnsafeMutableRawBufferPointer(rebasing: $0.dropLast())) }
  }
}

extension KafkaTestRecord {
  /// Copies what librdkafka lends.
  init(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
    func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
      // SAFETY: librdkafka says how many bytes there are.
      start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
    }
    let content = message.pointee
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timestamp = rd_kafka_message_timestamp(message, &type)
    var headers: [KafkaTestHeader] = []
    var list: OpaquePointer?
    if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list {
      var (name, value, size) = (UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0)
      while rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
        let name
      {
        headers.append(KafkaTestHeader(String(cString: name), bytes(value, size)))
      }
    }
    self.init(
      position: KafkaTestPosition(partition: content.partition, offset: content.offset),
      key: bytes(content.key, content.key_len), value: bytes(content.payload, content.len), headers: headers,
      timestamp: type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp)
  }
}
