// Where an event came from. Identities of results are made of these, so they are functions of the input alone.

/// A partition: the unit within which events have an order.
public struct PartitionID: Sendable, Hashable, Comparable {
  /// Name of the source ("files", a Kafka topic, the name given to standard input).
  public let source: String
  public let number: Int32

  public init(source: String, number: Int32) {
    self.source = source
    self.number = number
  }

  public static func < (a: PartitionID, b: PartitionID) -> Bool {
    (a.source, a.number) < (b.source, b.number)
  }
}

/// The place of one event in its partition. Ordered by segment, then offset; the row, which follows from them, decides
/// last, so that the order and equality agree.
public struct Position: Sendable, Hashable, Comparable {
  /// Ordinal of the file in the manifest; 0 for a log such as Kafka.
  public var segment: UInt32
  /// Byte offset of the record in a text file, row number in a columnar file, offset in a log.
  public var offset: Int64
  /// Number of the record in its segment from 0 (of a text file: the line, blank ones counted).
  public var row: Int64

  public init(segment: UInt32, offset: Int64, row: Int64) {
    self.segment = segment
    self.offset = offset
    self.row = row
  }

  /// The beginning of a partition.
  public static let start = Position(segment: 0, offset: 0, row: 0)

  public static func < (a: Position, b: Position) -> Bool {
    (a.segment, a.offset, a.row) < (b.segment, b.offset, b.row)
  }
}

/// The positions of the records of a batch: one segment, offsets ascending.
public struct RecordPositions: Sendable, Hashable {
  public var segment: UInt32
  public var offsets: [Int64]
  public var rows: [Int64]

  public init(segment: UInt32, offsets: [Int64] = [], rows: [Int64] = []) {
    self.segment = segment
    self.offsets = offsets
    self.rows = rows
  }

  public var count: Int { offsets.count }

  public subscript(index: Int) -> Position {
    Position(segment: segment, offset: offsets[index], row: rows[index])
  }
}
