// The producer of numbered records, each of which is to be in its topic once: a batch is a transaction, with the mark of how far
// it goes. Where the broker has no transactions a batch is what an idempotent producer writes, and comes again behind a failure.

import CKafkaLibrary
import Detection
import Foundation
import Logging
import Pipeline

/// Who writes, and where.
struct KafkaWriter: Sendable {
  /// The transactional identity: a later producer of the same name fences off those before it.
  var name: String
  /// The store that has the records, see `KafkaMark`.
  var identity: String
  /// Those that are written. The mark is kept at the first one.
  var topics: [String]
}

/// Writes batches of records. Calls wait: they are made on a thread for it, one at a time.
final class KafkaTransactions {
  private let client: KafkaClient
  private let writer: KafkaWriter
  /// Nil where there are no transactions.
  private let place: KafkaMark.Place?
  private var mark: KafkaMark?
  private var deadline = ContinuousClock.now + KafkaTransactions.beginPatience

  /// How long brokers that are away are waited for at first: whoever delivers tries again.
  private static let beginPatience = Duration.seconds(10)
  /// How long a batch may take, and how long until it is taken back.
  private static let patience = Duration.seconds(30)
  private static let abortPatience = Duration.seconds(5)
  /// How long a call of librdkafka waits at a time.
  private static let call: Int64 = 5_000

  private static let settings: [(name: String, value: String)] = [
    ("client.id", "pulse"), ("partitioner", "murmur2_random"), ("linger.ms", "5"), ("compression.type", "lz4"),
    ("reconnect.backoff.max.ms", "5000"), ("log.connection.close", "false"),
    // Some calls wait for as long as a request may take, whatever they are told.
    ("socket.timeout.ms", "20000"),
  ]

  private static let own: [(name: String, value: String)] = [
    ("enable.idempotence", "true"), ("delivery.report.only.error", "true"),
  ]

  /// Refuses settings that no producer can be made with.
  /// - Throws: `OperatingError` with the setting and what is wrong with it.
  static func check(_ connection: KafkaAccess, logger: Logger) throws {
    _ = try KafkaClient(
      RD_KAFKA_PRODUCER, Self.settings + (try connection.resolved()) + own, state: KafkaState(logger: logger))
  }

  /// Makes one, and with it fences off those before it of the same name.
  /// - Parameter isTransactional: false for a broker that has no transactions.
  /// - Throws: `OperatingError` where a setting is wrong, `KafkaFailure` where brokers do not answer or refuse it.
  init(
    _ writer: KafkaWriter, _ connection: KafkaAccess, isTransactional: Bool, logger: Logger
  ) throws {
    self.writer = writer
    let given = try connection.resolved()
    var all = Self.settings + given + Self.own
    if isTransactional { all += [("transactional.id", writer.name)] }
    client = try KafkaClient(RD_KAFKA_PRODUCER, all, state: KafkaState(logger: logger))
    place = isTransactional ? KafkaMark.Place(group: writer.name, topic: writer.topics[0]) : nil
    if let place { try begin(place, given, logger) }
    for topic in writer.topics { try check(topic) }
  }

  private func begin(
    _ place: KafkaMark.Place, _ settings: [(name: String, value: String)], _ logger: Logger
  ) throws {
    do {
      try calling("transactions cannot be begun") { rd_kafka_init_transactions(client.handle, $0) }
    } catch var failure as KafkaFailure {
      // What is refused here is refused for all transactions.
      if failure.kind == .fatal || failure.kind == .aborted { failure.kind = .unsupported }
      throw failure
    }
    // What a former producer had under way is committed or aborted by now.
    let consumer = try KafkaClient(
      RD_KAFKA_CONSUMER,
      [("client.id", "pulse"), ("log.connection.close", "false")] + settings + [
        ("group.id", place.group), ("enable.auto.commit", "false"), ("isolation.level", "read_committed"),
      ], state: KafkaState(logger: logger))
    mark = try KafkaMark.read(at: place, by: consumer, milliseconds: Int32(Self.call))
  }

  /// - Throws: where the topic is not there, or may not be written.
  private func check(_ name: String) throws {
    guard let topic = rd_kafka_topic_new(client.handle, name, nil) else {
      throw KafkaFailure(.unfinished, "the topic \(name): \(KafkaClient.sentence(rd_kafka_last_error()))")
    }
    defer { rd_kafka_topic_destroy(topic) }
    let code = client.error(of: topic, milliseconds: Int32(Self.call))
    if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
    let isGone = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
    throw KafkaFailure(
      .unfinished,
      "the topic \(name) cannot be written: \(KafkaClient.sentence(code))"
        + (isGone ? ". Create it with `pulse topics create`" : reason))
  }

  /// What the client has said of its connections.
  private var reason: String {
    rd_kafka_poll(client.handle, 0)
    return client.state.lastError.map { "; \($0)" } ?? ""
  }

  // MARK: Batches

  /// Delivers records: all of them, or none that a reader of what is committed sees.
  /// - Parameter numbers: of the whole batch, of which some may have no record.
  /// - Throws: `KafkaFailure`.
  func deliver(_ records: [PublishedRecord], numbers: ClosedRange<Int64>) throws {
    deadline = .now + Self.patience
    guard let place else { return try deliver(records) }
    let new = records.filter { record in
      !(mark?.covers(record.number, of: writer.identity, inBatchFrom: numbers.lowerBound) ?? false)
    }
    if new.isEmpty { return }
    let next = KafkaMark(identity: writer.identity, first: numbers.lowerBound, last: numbers.upperBound)
    do {
      try calling("a transaction cannot be begun") { _ in rd_kafka_begin_transaction(client.handle) }
      for record in new { try produce(record) }
      try calling("how far it goes cannot be put into a transaction") {
        next.send(to: place, by: client, milliseconds: $0)
      }
      try calling("a transaction cannot be committed") { rd_kafka_commit_transaction(client.handle, $0) }
    } catch let failure as KafkaFailure {
      throw abort(behind: failure)
    }
    mark = next
  }

  /// Takes back what the open transaction has.
  /// - Returns: what is left to be said of it.
  private func abort(behind failure: KafkaFailure) -> KafkaFailure {
    guard failure.kind == .aborted else { return failure }
    deadline = .now + Self.abortPatience
    do {
      try calling("a transaction cannot be aborted") { rd_kafka_abort_transaction(client.handle, $0) }
      return failure
    } catch let worse as KafkaFailure where worse.kind == .fenced {
      return worse
    } catch {
      return KafkaFailure(.unfinished, failure.description)
    }
  }

  /// Without a transaction.
  private func deliver(_ records: [PublishedRecord]) throws {
    for record in records { try produce(record) }
    while rd_kafka_outq_len(client.handle) > 0, client.state.undelivered.count == 0, ContinuousClock.now < deadline {
      rd_kafka_flush(client.handle, 200)
    }
    let (count, why) = client.state.undelivered
    if count == 0, rd_kafka_outq_len(client.handle) == 0 { return }
    // A producer that goes on would write what is left before what comes next.
    throw KafkaFailure(
      .unfinished, "the records of a batch were not taken: \(why ?? "no answer in time")\(reason)")
  }

  private func produce(_ record: PublishedRecord) throws {
    while let error = record.enqueue(by: client) {
      defer { rd_kafka_error_destroy(error) }
      if rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL, ContinuousClock.now < deadline {
        rd_kafka_poll(client.handle, 20)
        continue
      }
      throw KafkaFailure(error, of: client, doing: "the record \(record.number) cannot be written to \(record.topic)")
    }
  }

  /// Makes a call until it succeeds, is refused, or the time is over. One that is called again goes on where it was.
  /// - Parameter make: gets the milliseconds that it may wait, and returns an error of librdkafka.
  private func calling(_ what: String, _ make: (Int32) -> OpaquePointer?) throws {
    while true {
      let left = (deadline - .now).components
      let milliseconds = left.seconds * 1_000 + left.attoseconds / 1_000_000_000_000_000
      guard let error = make(Int32(min(max(milliseconds, 1), Self.call))) else { return }
      defer { rd_kafka_error_destroy(error) }
      var failure = KafkaFailure(error, of: client, doing: what)
      guard failure.kind == .aborted, rd_kafka_error_is_retriable(error) != 0 else { throw failure }
      if ContinuousClock.now >= deadline {
        failure = KafkaFailure(.unfinished, failure.description + reason)
        throw failure
      }
      rd_kafka_poll(client.handle, 20)
    }
  }
}

extension PublishedRecord {
  /// Puts the record into librdkafka's queue, which copies it.
  /// - Returns: an error of librdkafka, which is the caller's; nil where it was taken.
  fileprivate func enqueue(by client: KafkaClient) -> OpaquePointer? {
    guard let list = rd_kafka_headers_new(headers.count) else { preconditionFailure("no memory for headers") }
    for header in headers {
      Self.lend(header.value) { value in
        _ = rd_kafka_header_add(list, header.name, header.name.utf8.count, value?.baseAddress, value?.count ?? 0)
      }
    }
    let error = topic.withCString { topic in
      Self.lend(key) { key in
        Self.lend(value) { value in
          var parts: [rd_kafka_vu_t] = []
          func add(_ type: rd_kafka_vtype_t, _ fill: (inout rd_kafka_vu_t) -> Void) {
            var part = rd_kafka_vu_t()
            part.vtype = type
            fill(&part)
            parts.append(part)
          }
          add(RD_KAFKA_VTYPE_TOPIC) { $0.u.cstr = topic }
          add(RD_KAFKA_VTYPE_MSGFLAGS) { $0.u.i = RD_KAFKA_MSG_F_COPY }
          if let key { add(RD_KAFKA_VTYPE_KEY) { ($0.u.mem.ptr, $0.u.mem.size) = (key.baseAddress, key.count) } }
          if let value {
            add(RD_KAFKA_VTYPE_VALUE) { ($0.u.mem.ptr, $0.u.mem.size) = (value.baseAddress, value.count) }
          }
          if let timestamp { add(RD_KAFKA_VTYPE_TIMESTAMP) { $0.u.i64 = timestamp / 1_000 } }
          add(RD_KAFKA_VTYPE_HEADERS) { $0.u.headers = list }
          return rd_kafka_produceva(client.handle, parts, parts.count)
        }
      }
    }
    // They are the record's once it is taken.
    if error != nil { rd_kafka_headers_destroy(list) }
    return error
  }

  /// Lends bytes for a call. Those of an empty array have an address as well: without one they would be none.
  private static func lend<Result>(_ bytes: [UInt8]?, _ body: (UnsafeMutableRawBufferPointer?) -> Result) -> Result {
    guard let bytes else { return body(nil) }
    var padded = bytes + [0]
    // SAFETY: the array is lent for the call, without the byte that it was made longer by.
    return padded.withUnsafeMutableBytes { body(UnsafeMutableRawBufferPointer(rebasing: $0.dropLast())) }
  }
}
