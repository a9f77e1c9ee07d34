// What a log such as Kafka keeps beside the values of its records: keys, times and headers. A field of a use case may be
// read from there, and a dead letter keeps them with the record.

/// A header of a record: a name, and bytes that nobody has said the meaning of.
public struct RecordHeader: Sendable, Hashable {
  public var name: String
  /// Nil where there is none, which is not the same as an empty one.
  public var value: [UInt8]?

  public init(_ name: String, _ value: [UInt8]?) {
    self.name = name
    self.value = value
  }
}

/// What is kept beside the value of one record.
public struct RecordEnvelope: Sendable, Hashable {
  /// Nil where the record has none.
  public var key: [UInt8]?
  /// Microseconds since 1970, as the log has it; nil where the record has none.
  public var timestamp: Int64?
  /// In their order; a name may come again.
  public var headers: [RecordHeader]

  public init(key: [UInt8]? = nil, timestamp: Int64? = nil, headers: [RecordHeader] = []) {
    self.key = key
    self.timestamp = timestamp
    self.headers = headers
  }
}

/// The envelopes of the records of a batch. Keys and headers lie one behind another, so that a batch has few blocks of
/// memory however many records it has.
public struct RecordEnvelopes: Sendable {
  /// A stretch of `bytes`; negative where there is nothing, which is not the same as an empty stretch.
  private struct Span: Sendable {
    var start: Int32
    var count: Int32

    static let none = Span(start: 0, count: -1)
  }

  private struct HeaderSpan: Sendable {
    var name: Span
    var value: Span
  }

  private var bytes: [UInt8] = []
  private var keys: [Span] = []
  private var timestamps: [Int64] = []
  private var headers: [HeaderSpan] = []
  /// Behind the last header of each record; empty while no record has one.
  private var headerEnds: [Int32] = []

  /// None yet.
  public init() {}

  public init(_ envelopes: some Sequence<RecordEnvelope>) {
    for envelope in envelopes {
      for header in envelope.headers {
        // SAFETY: here and below arrays, lent for calls that copy them.
        Array(header.name.utf8).withUnsafeBytes { name in
          guard let value = header.value else { return appendHeader(name: name, value: nil) }
          value.withUnsafeBytes { appendHeader(name: name, value: $0) }
        }
      }
      guard let key = envelope.key else {
        append(key: nil, timestamp: envelope.timestamp)
        continue
      }
      key.withUnsafeBytes { append(key: $0, timestamp: envelope.timestamp) }
    }
  }

  public var count: Int { keys.count }

  /// The latest time of a record, microseconds since 1970; nil where none has one.
  public var newest: Int64? { timestamps.max().flatMap { $0 == .min ? nil : $0 } }

  /// What they take in memory, about.
  public var heldBytes: Int { bytes.count + count * 20 + headers.count * 16 }

  public mutating func reserveCapacity(_ records: Int) {
    keys.reserveCapacity(records)
    timestamps.reserveCapacity(records)
  }

  /// A header of the record that is appended next.
  public mutating func appendHeader(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
    if headerEnds.isEmpty { headerEnds = [Int32](repeating: 0, count: count) }
    headers.append(HeaderSpan(name: keep(name), value: value.map { keep($0) } ?? .none))
  }

  /// A record, with the headers that were appended since the last one.
  /// - Parameter timestamp: microseconds since 1970.
  public mutating func append(key: UnsafeRawBufferPointer?, timestamp: Int64?) {
    keys.append(key.map { keep($0) } ?? .none)
    timestamps.append(timestamp ?? .min)
    if !headers.isEmpty { headerEnds.append(Int32(headers.count)) }
  }

  private mutating func keep(_ piece: UnsafeRawBufferPointer) -> Span {
    let start = Int32(bytes.count)
    bytes.append(contentsOf: piece)
    return Span(start: start, count: Int32(piece.count))
  }

  /// The key of a record; nil where it has none.
  public func key(of record: Int) -> ArraySlice<UInt8>? { piece(keys[record]) }

  /// The time of a record, microseconds since 1970; nil where it has none.
  public func timestamp(of record: Int) -> Int64? { timestamps[record] == .min ? nil : timestamps[record] }

  /// The value of the last header of this name; nil where there is none, or none with a value.
  public func header(_ name: some Collection<UInt8>, of record: Int) -> ArraySlice<UInt8>? {
    for header in headers[headerRange(of: record)].reversed() {
      if piece(header.name)?.elementsEqual(name) == true { return piece(header.value) }
    }
    return nil
  }

  /// Everything of a record.
  public subscript(record: Int) -> RecordEnvelope {
    RecordEnvelope(
      key: key(of: record).map(Array.init), timestamp: timestamp(of: record),
      headers: headers[headerRange(of: record)].map { header in
        RecordHeader(String(decoding: piece(header.name) ?? [], as: UTF8.self), piece(header.value).map(Array.init))
      })
  }

  /// Those of some records.
  func part(_ records: Range<Int>) -> RecordEnvelopes { RecordEnvelopes(records.map { self[$0] }) }

  private func headerRange(of record: Int) -> Range<Int> {
    if headerEnds.isEmpty { return 0..<0 }
    return Int(record == 0 ? 0 : headerEnds[record - 1])..<Int(headerEnds[record])
  }

  private func piece(_ span: Span) -> ArraySlice<UInt8>? {
    span.count < 0 ? nil : bytes[Int(span.start)..<Int(span.start) + Int(span.count)]
  }
}
