// What tests write to topics and read from them.

/// A header of a record. Its value may be absent.
public struct KafkaTestHeader: Hashable, Sendable {
  public var name: String
  public var value: [UInt8]?

  public init(_ name: String, _ value: [UInt8]?) {
    self.name = name
    self.value = value
  }

  public init(_ name: String, _ value: String) { self.init(name, Array(value.utf8)) }
}

/// A record to be written.
public struct KafkaTestMessage: Hashable, Sendable {
  public var key: [UInt8]?
  /// Absent in what deletes a key from a compacted topic.
  public var value: [UInt8]?
  public var headers: [KafkaTestHeader]
  /// Milliseconds since 1970; now where it is nil.
  public var timestamp: Int64?
  /// The hash of the key decides where it is nil.
  public var partition: Int32?

  public init(
    key: [UInt8]? = nil, value: [UInt8]?, headers: [KafkaTestHeader] = [], timestamp: Int64? = nil,
    partition: Int32? = nil
  ) {
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
    self.partition = partition
  }

  /// One with text in it.
  public init(
    _ value: String, key: String? = nil, headers: [KafkaTestHeader] = [], timestamp: Int64? = nil,
    partition: Int32? = nil
  ) {
    self.init(
      key: key.map { Array($0.utf8) }, value: Array(value.utf8), headers: headers, timestamp: timestamp,
      partition: partition)
  }
}

/// Where a record lies.
public struct KafkaTestPosition: Hashable, Sendable {
  public var partition: Int32
  public var offset: Int64

  public init(partition: Int32, offset: Int64) {
    self.partition = partition
    self.offset = offset
  }
}

/// A record that was read.
public struct KafkaTestRecord: Hashable, Sendable {
  public var position: KafkaTestPosition
  public var key: [UInt8]?
  public var value: [UInt8]?
  public var headers: [KafkaTestHeader]
  /// Milliseconds since 1970; nil where the record has none.
  public var timestamp: Int64?

  public init(
    position: KafkaTestPosition, key: [UInt8]?, value: [UInt8]?, headers: [KafkaTestHeader], timestamp: Int64?
  ) {
    self.position = position
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }

  /// What was written, as it is read at a position.
  public init(_ message: KafkaTestMessage, at position: KafkaTestPosition) {
    self.init(
      position: position, key: message.key, value: message.value, headers: message.headers,
      timestamp: message.timestamp)
  }

  public var partition: Int32 { position.partition }
  public var offset: Int64 { position.offset }

  /// The value as text; empty where there is none.
  public var text: String { String(decoding: value ?? [], as: UTF8.self) }
}

/// How the records of a batch are compressed.
public enum KafkaTestCodec: String, CaseIterable, Sendable { case none, gzip, snappy, lz4, zstd }

/// Whether records of open and aborted transactions are read.
public enum KafkaTestIsolation: String, CaseIterable, Sendable {
  case readCommitted = "read_committed"
  case readUncommitted = "read_uncommitted"
}
