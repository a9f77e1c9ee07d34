// What a source hands over: records of one partition that are not yet decoded, with their positions.

/// A column of a columnar file.
public struct NamedColumn: Sendable, Equatable {
  public let name: String
  public let column: Column

  public init(_ name: String, _ column: Column) {
    self.name = name
    self.column = column
  }
}

/// Undecoded records of one partition and segment, in order.
public struct RawBatch: Sendable {
  /// The records themselves.
  public enum Payload: Sendable {
    /// One JSON object per record.
    case json(RecordBytes)
    /// One CSV record per record; `header` names the columns in order.
    case csv(RecordBytes, header: [String], delimiter: CSVDelimiter = .comma)
    /// Columns of a columnar file, by name, not yet checked against the schema.
    case columns([NamedColumn])
  }

  public let partition: PartitionID
  public let positions: RecordPositions
  public let payload: Payload
  /// Records that were too large to be handed over, already reduced to what a dead letter keeps.
  public let oversized: [DeadLetter]
  /// Values of a columnar file that no column can hold: their rows become dead letters where the field is declared.
  public let misfits: [ColumnMisfit]
  /// What a log keeps beside each of the records; nil where the input is none.
  public let envelopes: RecordEnvelopes?
  /// Where to read on when everything up to and including this batch is done. Past the records, blank lines and
  /// oversized records of the batch.
  public let next: Position

  public init(
    partition: PartitionID, positions: RecordPositions, payload: Payload, oversized: [DeadLetter] = [],
    misfits: [ColumnMisfit] = [], envelopes: RecordEnvelopes? = nil, next: Position
  ) {
    precondition(envelopes.map { $0.count == positions.count } ?? true, "records and envelopes differ in number")
    self.partition = partition
    self.positions = positions
    self.payload = payload
    self.oversized = oversized
    self.misfits = misfits
    self.envelopes = envelopes
    self.next = next
  }

  /// JSON records that no source has handed over: each has its index as offset and row.
  /// - Parameter source: what stands for a source: "stored", "request".
  public init(_ records: [[UInt8]], from source: String) {
    let numbers = records.indices.map { Int64($0) }
    self.init(
      partition: PartitionID(source: source, number: 0),
      positions: RecordPositions(segment: 0, offsets: numbers, rows: numbers), payload: .json(RecordBytes(records)),
      next: Position(segment: 0, offset: Int64(records.count), row: Int64(records.count)))
  }

  /// The same of lines, each with its line end.
  public init(lines bytes: [UInt8], from source: String) {
    var (starts, ends): ([UInt32], [UInt32]) = ([], [])
    var start = 0
    for (index, byte) in bytes.enumerated() where byte == 0x0A {
      starts.append(UInt32(start))
      ends.append(UInt32(index))
      start = index + 1
    }
    let numbers = starts.indices.map { Int64($0) }
    self.init(
      partition: PartitionID(source: source, number: 0),
      positions: RecordPositions(segment: 0, offsets: numbers, rows: numbers),
      payload: .json(
        RecordBytes(
          bytes: bytes + [UInt8](repeating: 0, count: Limits.bytePadding), starts: starts, ends: ends)),
      next: Position(segment: 0, offset: Int64(starts.count), row: Int64(starts.count)))
  }

  public var count: Int { positions.count }

  /// Bytes of the records, oversized ones included; 0 for columns, whose bytes in the file are not known.
  public var byteCount: Int {
    let letters = oversized.reduce(0) { $0 + $1.length }
    switch payload {
    case .json(let records), .csv(let records, header: _, delimiter: _):
      return letters + Int(records.ends.last ?? 0) - Int(records.starts.first ?? 0)
    case .columns: return letters
    }
  }

  /// What the batch takes in memory, about: the bytes of its records, or of its columns with the text written out.
  public var heldBytes: Int {
    let letters = oversized.reduce(envelopes?.heldBytes ?? 0) { $0 + min($1.length, Limits.oversizedExcerptBytes) }
    switch payload {
    case .json(let records), .csv(let records, header: _, delimiter: _):
      return letters + Int(records.ends.last ?? 0) - Int(records.starts.first ?? 0)
    case .columns(let columns):
      return columns.reduce(letters) { bytes, item in
        let text = if case .string(let strings) = item.column.values { strings.writtenOutBytes } else { 0 }
        return bytes + item.column.count * MemoryLayout<Int64>.stride + text
      }
    }
  }
}

/// A value of a columnar file that no column can hold. Its row is null in the column.
public struct ColumnMisfit: Sendable, Hashable {
  /// Row of the batch, from 0.
  public var row: Int
  /// The column's name.
  public var column: String
  public var reason: DeadLetter.Reason
  /// What would have fitted, and a short text of what is there, for messages.
  public var expected: String
  public var found: String

  public init(row: Int, column: String, reason: DeadLetter.Reason, expected: String, found: String) {
    self.row = row
    self.column = column
    self.reason = reason
    self.expected = expected
    self.found = found
  }
}

/// Records in one buffer. Invariant: at least `Limits.bytePadding` bytes follow the end of the last record, and
/// `starts[i] <= ends[i] <= bytes.count - Limits.bytePadding`.
public struct RecordBytes: Sendable {
  public let bytes: [UInt8]
  /// Record i is `bytes[starts[i] ..< ends[i]]`, without its line end.
  public let starts: [UInt32]
  public let ends: [UInt32]

  public init(bytes: [UInt8], starts: [UInt32], ends: [UInt32]) {
    precondition(starts.count == ends.count, "starts and ends differ in length")
    precondition(bytes.count >= Int(ends.last ?? 0) + Limits.bytePadding, "the buffer lacks its padding")
    self.bytes = bytes
    self.starts = starts
    self.ends = ends
  }

  /// A buffer holding the given records; for tests and small inputs.
  public init(_ records: [[UInt8]]) {
    var bytes: [UInt8] = []
    var starts: [UInt32] = []
    var ends: [UInt32] = []
    for record in records {
      starts.append(UInt32(bytes.count))
      bytes.append(contentsOf: record)
      ends.append(UInt32(bytes.count))
      bytes.append(0x0A)
    }
    bytes.append(contentsOf: repeatElement(0, count: Limits.bytePadding))
    self.init(bytes: bytes, starts: starts, ends: ends)
  }

  public var count: Int { starts.count }
}
