// Where records begin and end in a stream of bytes that arrives in pieces. A splitter is a value that remembers how far
// it has looked into an unfinished record, so no byte is looked at twice however long a record is and however small the
// pieces are. Records are given without their line end (LF or CRLF); blank lines are counted and skipped; a byte order
// mark at the beginning of the stream is skipped.

import CSimdjson

/// Records found in a buffer.
public struct RecordBounds: Sendable, Hashable {
  /// Record i is `starts[i] ..< ends[i]` of the buffer, without its line end.
  public var starts: [UInt32] = []
  public var ends: [UInt32] = []
  /// Number of each record's first line in the stream, from 0, blank lines counted: `Position.row`.
  public var rows: [Int64] = []

  public init() {}

  public var count: Int { starts.count }

  /// Forgets the records, keeping the memory.
  public mutating func removeAll() {
    starts.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    rows.removeAll(keepingCapacity: true)
  }
}

/// What `skip` did.
public struct SkippedBytes: Sendable, Hashable {
  /// Bytes that may be dropped.
  public var consumed: Int
  /// How many of them belong to the record: all but its line end. A CR that ends the piece counts as the record's.
  public var content: Int
  /// Whether the record ended.
  public var isComplete: Bool
}

/// Finds records in a stream. The caller keeps bytes from the first one that was not consumed and hands them over again,
/// at whatever place in its buffer, with more behind them:
///
/// ```
/// consumed = splitter.split(buffer.span.bytes, from: start, isAtEnd: false, maxRecords: 4096, into: &bounds)
/// start += consumed
/// ```
public protocol RecordSplitter: Sendable {
  /// Number of the line at the first byte that was not consumed, from 0.
  var line: Int64 { get }

  /// Appends the records that end in `bytes[from...]` to `bounds`, at most `maxRecords` of them, and returns how many
  /// bytes they and the blank lines between them take. With `isAtEnd` the bytes are the last of the stream, and an
  /// unfinished line is a record.
  /// - Precondition: the buffer is shorter than 4 GiB.
  mutating func split(
    _ bytes: RawSpan, from: Int, isAtEnd: Bool, maxRecords: Int, into bounds: inout RecordBounds
  ) -> Int

  /// Drops the record at the first byte that was not consumed, or as much of it as `bytes[from...]` holds; call again with
  /// the bytes behind until it is complete. For records too large to keep.
  mutating func skip(_ bytes: RawSpan, from: Int, isAtEnd: Bool) -> SkippedBytes
}

/// One record a line, as in NDJSON.
public struct NewlineSplitter: RecordSplitter {
  private var state: SplitterState

  /// A splitter for a stream that is read from its beginning, or from behind a record whose line end was line
  /// `line - 1`'s.
  public init(line: Int64 = 0, isAtStreamStart: Bool = true) {
    state = SplitterState(line: line, isAtStreamStart: isAtStreamStart)
  }

  public var line: Int64 { state.line }

  public mutating func split(
    _ bytes: RawSpan, from: Int, isAtEnd: Bool, maxRecords: Int, into bounds: inout RecordBounds
  ) -> Int {
    state.split(bytes, from, isAtEnd, maxRecords, &bounds) { bytes, from, state in
      let found = bytes.index(of: UInt8(ascii: "\n"), from: from)
      if found != nil { state.linesInRecord = 1 }
      return found
    }
  }

  public mutating func skip(_ bytes: RawSpan, from: Int, isAtEnd: Bool) -> SkippedBytes {
    state.skip(bytes, from, isAtEnd) { bytes, from, state in
      let found = bytes.index(of: UInt8(ascii: "\n"), from: from)
      if found != nil { state.linesInRecord = 1 }
      return found
    }
  }
}

/// CSV records (RFC 4180): line ends inside quoted cells belong to the record. A quote opens a quoted cell only at the
/// beginning of the cell; a doubled quote inside it stands for one.
public struct CSVRecordSplitter: RecordSplitter {
  private var state: SplitterState

  /// A splitter for a stream that is read from its beginning, or from behind a record.
  public init(line: Int64 = 0, isAtStreamStart: Bool = true) {
    state = SplitterState(line: line, isAtStreamStart: isAtStreamStart)
  }

  public var line: Int64 { state.line }

  public mutating func split(
    _ bytes: RawSpan, from: Int, isAtEnd: Bool, maxRecords: Int, into bounds: inout RecordBounds
  ) -> Int {
    state.split(bytes, from, isAtEnd, maxRecords, &bounds, find: Self.recordEnd)
  }

  public mutating func skip(_ bytes: RawSpan, from: Int, isAtEnd: Bool) -> SkippedBytes {
    state.skip(bytes, from, isAtEnd, find: Self.recordEnd)
  }

  /// The cells of a record, for a header. Nil where a quoted cell does not end, or is followed by text.
  public static func cells(of record: [UInt8]) -> [String]? {
    var cells: [String] = []
    var next = 0
    while true {
      var cell: [UInt8] = []
      if next < record.count, record[next] == UInt8(ascii: "\"") {
        next += 1
        while true {
          guard next < record.count else { return nil }
          if record[next] == UInt8(ascii: "\"") {
            guard next + 1 < record.count, record[next + 1] == UInt8(ascii: "\"") else { break }
            next += 1
          }
          cell.append(record[next])
          next += 1
        }
        next += 1
        guard next == record.count || record[next] == UInt8(ascii: ",") else { return nil }
      } else {
        while next < record.count, record[next] != UInt8(ascii: ",") {
          cell.append(record[next])
          next += 1
        }
      }
      cells.append(String(decoding: cell, as: UTF8.self))
      if next == record.count { return cells }
      next += 1
    }
  }

  /// The line end that ends the record, looking on from `from`.
  private static func recordEnd(_ bytes: RawSpan, _ from: Int, _ state: inout SplitterState) -> Int? {
    var next = from
    while next < bytes.byteCount {
      let byte = bytes.unsafeLoad(fromByteOffset: next, as: UInt8.self)
      switch state.cell {
      case .start:
        state.cell = byte == UInt8(ascii: "\"") ? .quoted : byte == UInt8(ascii: ",") ? .start : .unquoted
      case .unquoted: if byte == UInt8(ascii: ",") { state.cell = .start }
      case .quoted:
        if byte == UInt8(ascii: "\"") { state.cell = .quoteInQuoted }
        if byte == UInt8(ascii: "\n") { state.linesInRecord += 1 }
      case .quoteInQuoted:
        state.cell = byte == UInt8(ascii: "\"") ? .quoted : byte == UInt8(ascii: ",") ? .start : .unquoted
      }
      if byte == UInt8(ascii: "\n"), state.cell != .quoted {
        state.linesInRecord += 1
        return next
      }
      next += 1
    }
    return nil
  }
}

/// What splitters have in common: everything but finding the line end that counts.
private struct SplitterState: Sendable {
  /// Where in a CSV cell the scan stands.
  enum Cell: Sendable { case start, unquoted, quoted, quoteInQuoted }

  typealias Finder = (_ bytes: RawSpan, _ from: Int, _ state: inout SplitterState) -> Int?

  var line: Int64
  var isAtStreamStart: Bool
  /// Bytes of the unfinished record that have been looked at.
  var scanned = 0
  var cell = Cell.start
  /// Line ends found in the unfinished record.
  var linesInRecord: Int64 = 0

  init(line: Int64, isAtStreamStart: Bool) {
    self.line = line
    self.isAtStreamStart = isAtStreamStart
  }

  private mutating func endRecord() {
    line += linesInRecord
    linesInRecord = 0
    scanned = 0
    cell = .start
  }

  /// Length of the byte order mark at `from`; nil where more bytes are needed to tell.
  private mutating func byteOrderMark(_ bytes: RawSpan, _ from: Int, _ isAtEnd: Bool) -> Int? {
    guard isAtStreamStart else { return 0 }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    for (index, byte) in mark.enumerated() {
      guard from + index < bytes.byteCount else { return isAtEnd ? 0 : nil }
      guard bytes.unsafeLoad(fromByteOffset: from + index, as: UInt8.self) == byte else { return 0 }
    }
    return mark.count
  }

  @inline(__always)
  mutating func split(
    _ bytes: RawSpan, _ from: Int, _ isAtEnd: Bool, _ maxRecords: Int, _ bounds: inout RecordBounds, find: Finder
  ) -> Int {
    precondition(bytes.byteCount <= Int(UInt32.max), "a buffer of more than 4 GiB")
    guard let mark = byteOrderMark(bytes, from, isAtEnd) else { return 0 }
    var start = from + mark
    if bytes.byteCount > from { isAtStreamStart = false }
    let most = bounds.count + maxRecords
    while bounds.count < most, start < bytes.byteCount {
      var end: Int
      let next: Int
      if let found = find(bytes, start + scanned, &self) {
        end = found
        next = found + 1
      } else {
        scanned = bytes.byteCount - start
        guard isAtEnd else { break }
        end = bytes.byteCount
        next = end
        linesInRecord += 1
      }
      if end > start, bytes.unsafeLoad(fromByteOffset: end - 1, as: UInt8.self) == UInt8(ascii: "\r") { end -= 1 }
      if end > start {
        bounds.starts.append(UInt32(start))
        bounds.ends.append(UInt32(end))
        bounds.rows.append(line)
      }
      endRecord()
      start = next
    }
    return start - from
  }

  @inline(__always)
  mutating func skip(_ bytes: RawSpan, _ from: Int, _ isAtEnd: Bool, find: Finder) -> SkippedBytes {
    if let end = find(bytes, from + scanned, &self) {
      endRecord()
      let hasReturn = end > from && bytes.unsafeLoad(fromByteOffset: end - 1, as: UInt8.self) == UInt8(ascii: "\r")
      return SkippedBytes(consumed: end + 1 - from, content: end - from - (hasReturn ? 1 : 0), isComplete: true)
    }
    scanned = 0
    if isAtEnd {
      linesInRecord += 1
      endRecord()
    }
    return SkippedBytes(consumed: bytes.byteCount - from, content: bytes.byteCount - from, isComplete: isAtEnd)
  }
}

extension RawSpan {
  /// The first index at or after `from` that holds `byte`.
  @inline(__always)
  fileprivate func index(of byte: UInt8, from: Int) -> Int? {
    guard from < byteCount else { return nil }
    // SAFETY: `from ..< byteCount` lies within the buffer, which is used inside the closure only.
    return withUnsafeBytes { bytes in
      let found = csimdjson_index_of(bytes.bytes, bytes.count, from, byte)
      return found < bytes.count ? found : nil
    }
  }
}
