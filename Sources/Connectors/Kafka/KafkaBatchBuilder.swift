// Messages of one partition to batches. A value is copied once, from librdkafka's buffer to that of the batch.

import CKafkaLibrary
import Crypto
import Detection
import Foundation
import Pipeline

/// How the values of records are read, and how large batches are.
struct KafkaBatchOptions: Sendable {
  var rows: Int
  var maxEventBytes: Int
  /// Nil for JSON; the columns of CSV.
  var columns: [String]?
  var delimiter: CSVDelimiter
  /// A batch is handed over as soon as it has so many bytes.
  static let bytes = 4 << 20
}

/// What was passed over, and what may need a person's look.
struct KafkaBatchCounts: Sendable, Hashable {
  /// Records without a value, which delete what others with their key have said.
  var tombstones = 0
  /// Records whose value has no bytes.
  var empty = 0
  /// Values that begin as those of a schema registry do.
  var registryValues = 0

  static func += (a: inout KafkaBatchCounts, b: KafkaBatchCounts) {
    a.tombstones += b.tombstones
    a.empty += b.empty
    a.registryValues += b.registryValues
  }
}

/// Gathers messages. Belongs to the thread that polls.
struct KafkaBatchBuilder {
  private let partition: PartitionID
  private let options: KafkaBatchOptions
  private let segment: UInt32
  private var bytes: [UInt8] = []
  private var starts: [UInt32] = []
  private var ends: [UInt32] = []
  private var offsets: [Int64] = []
  private var envelopes = RecordEnvelopes()
  private var oversized: [DeadLetter] = []
  private(set) var counts = KafkaBatchCounts()
  /// Behind the last message.
  private(set) var next: Int64
  /// The last message.
  private(set) var last: KafkaFingerprint?
  /// When the first message of the batch was taken; nil without any.
  private(set) var began: ContinuousClock.Instant?

  /// - Parameter next: where reading goes on.
  init(_ partition: PartitionID, segment: UInt32, from next: Int64, options: KafkaBatchOptions) {
    self.partition = partition
    self.segment = segment
    self.next = next
    self.options = options
  }

  /// Messages that may still come into the batch.
  var room: Int { isFull ? 0 : options.rows - offsets.count - oversized.count }

  private var isFull: Bool { bytes.count >= KafkaBatchOptions.bytes || offsets.count + oversized.count >= options.rows }

  var isEmpty: Bool { began == nil }

  /// Takes messages of the partition, in order, without an error.
  ///
  /// SAFETY: librdkafka owns what the messages point to until they are destroyed, by the caller and after this call;
  /// everything that is kept is copied here.
  mutating func append(_ messages: some Collection<UnsafeMutablePointer<rd_kafka_message_t>>) {
    guard !messages.isEmpty else { return }
    if began == nil {
      began = .now
      offsets.reserveCapacity(options.rows)
      starts.reserveCapacity(options.rows)
      ends.reserveCapacity(options.rows)
      envelopes.reserveCapacity(options.rows)
    }
    var lastMessage: UnsafeMutablePointer<rd_kafka_message_t>?
    for message in messages where message.pointee.offset >= next {
      append(message)
      next = message.pointee.offset + 1
      lastMessage = message
    }
    // One hash for what is taken at once: a batch ends with one of these calls.
    if let lastMessage { last = Self.fingerprint(lastMessage) }
  }

  private mutating func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
    let (fields, value) = (message.pointee, Self.bytes(message.pointee.payload, message.pointee.len))
    guard let value else {
      counts.tombstones += 1
      return
    }
    if value.isEmpty {
      counts.empty += 1
      return
    }
    if options.columns == nil, value[0] == 0, value.count > 5 { counts.registryValues += 1 }
    if value.count > options.maxEventBytes { return oversized.append(letter(message, value)) }
    appendEnvelope(of: message)
    starts.append(UInt32(bytes.count))
    bytes.append(contentsOf: value)
    ends.append(UInt32(bytes.count))
    bytes.append(0x0A)
    offsets.append(fields.offset)
  }

  private mutating func appendEnvelope(of message: UnsafeMutablePointer<rd_kafka_message_t>) {
    Self.eachHeader(of: message) { name, value in envelopes.appendHeader(name: name, value: value) }
    envelopes.append(
      key: Self.bytes(message.pointee.key, message.pointee.key_len), timestamp: Self.timestamp(message))
  }

  /// What is kept of a record that is too large.
  private func letter(
    _ message: UnsafeMutablePointer<rd_kafka_message_t>, _ value: UnsafeRawBufferPointer
  ) -> DeadLetter {
    var headers: [RecordHeader] = []
    Self.eachHeader(of: message) { name, value in
      headers.append(RecordHeader(String(decoding: name, as: UTF8.self), value.map(Array.init)))
    }
    let offset = message.pointee.offset
    return DeadLetter(
      position: Position(segment: segment, offset: offset, row: offset), stage: .read, reason: .tooLarge,
      message: "the record has \(value.count) bytes, expected at most \(options.maxEventBytes); its offset in "
        + "\(partition.source)/\(partition.number) is \(offset)",
      raw: Array(value.prefix(Limits.oversizedExcerptBytes)), length: value.count,
      sha256: Array(SHA256.hash(data: value)),
      envelope: RecordEnvelope(
        key: Self.bytes(message.pointee.key, message.pointee.key_len).map(Array.init),
        timestamp: Self.timestamp(message), headers: headers))
  }

  /// The batch; another one begins.
  mutating func take() -> RawBatch {
    bytes.append(contentsOf: repeatElement(0, count: Limits.bytePadding))
    let records = RecordBytes(bytes: bytes, starts: starts, ends: ends)
    let batch = RawBatch(
      partition: partition, positions: RecordPositions(segment: segment, offsets: offsets, rows: offsets),
      payload: options.columns.map { .csv(records, header: $0, delimiter: options.delimiter) } ?? .json(records),
      oversized: oversized, envelopes: envelopes, next: Position(segment: segment, offset: next, row: next))
    (bytes, starts, ends, offsets, oversized) = ([], [], [], [], [])
    (envelopes, began, counts) = (RecordEnvelopes(), nil, KafkaBatchCounts())
    return batch
  }

  // MARK: Parts of a message

  /// SAFETY: of the message; see `append`.
  static func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeRawBufferPointer? {
    start.map { UnsafeRawBufferPointer(start: $0, count: count) }
  }

  /// Microseconds since 1970; nil where the record has no time, or none of the years that a time may have.
  static func timestamp(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Int64? {
    let milliseconds = rd_kafka_message_timestamp(message, nil)
    if milliseconds < 0 { return nil }
    let (time, overflows) = milliseconds.multipliedReportingOverflow(by: 1000)
    return overflows || !Timestamp.range.contains(time) ? nil : time
  }

  static func eachHeader(
    of message: UnsafeMutablePointer<rd_kafka_message_t>,
    _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) -> Void
  ) {
    var headers: OpaquePointer?
    // Headers are only taken apart when they are asked for; a record without any says so here.
    guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else { return }
    var index = 0
    var (name, value, size) = (UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0)
    while rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR, let known = name
    {
      // SAFETY: name and value are the message's; the name ends in a zero byte.
      body(
        UnsafeRawBufferPointer(start: known, count: strlen(known)),
        value.map { UnsafeRawBufferPointer(start: $0, count: size) })
      index += 1
    }
  }

  static func fingerprint(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaFingerprint {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    return KafkaFingerprint(
      offset: message.pointee.offset, timestamp: rd_kafka_message_timestamp(message, nil),
      key: bytes(message.pointee.key, message.pointee.key_len) ?? nothing,
      value: bytes(message.pointee.payload, message.pointee.len) ?? nothing)
  }
}
