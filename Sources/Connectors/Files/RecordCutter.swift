// Cuts a stream of bytes into records and batches. Invariant: records, their positions and what becomes of oversized
// ones depend on the bytes alone, never on the pieces in which they arrive, on the size of batches or on where a
// resumed run began. The one exception is an input that ended within a line, was read as it was and has grown since: the
// rest of that line is a dead letter. Rows are line numbers from 0, blank lines and the header of a CSV file counted.
//
// A hole, zeroes that a crash of the writer left, ends the record before it as a line end does. At the beginning of a
// record it is a dead letter of its own; within one, what breaks off there and the hole are one. What follows is read.

import Detection
import Foundation
import Pipeline

/// The cutter of one text input. One owner.
final class RecordCutter {
  /// What does not change while an input is read.
  struct Options {
    var partition: PartitionID
    var segment: UInt32
    /// What the input is called in messages.
    var path: String
    /// Names of the columns, where the input is CSV and they are known already.
    var header: [String]?
    var isCSV: Bool
    var batchRows: Int
    var maxEventBytes: Int
    /// Of CSV.
    var delimiter = CSVDelimiter.comma
    /// Of CSV: what the header must name.
    var required = RequiredColumns()
    var maxBatchBytes = Limits.maxBatchBytes
  }

  /// Why cutting stopped.
  private enum Outcome { case batchIsFull, needsBytes, tooLarge, hole }

  private let options: Options
  private(set) var header: [String]?
  /// Where in the input the record behind the header begins; nil where the header was not cut here.
  private(set) var headerEnd: Int64?
  private let window: ByteWindow

  /// Where the open batch begins in the window; equals `pending` while it has no record.
  private var first = 0
  /// Where the next record begins.
  private var pending = 0
  /// No line of the pending record ends before this.
  private var scanned = 0
  /// From `pending` on no byte before this is zero.
  private var zeroFree = 0
  /// Number of the line at `pending`.
  private var line: Int64
  /// The open batch: where its records lie from `first` on, and their lines.
  private var starts: [UInt32] = []
  private var ends: [UInt32] = []
  private var rows: [Int64] = []
  private var letters: [DeadLetter] = []

  /// What goes past without being held.
  private var passing: PassingRecord?
  /// Of a pending CSV record that spans lines: where its first line ends, where the current one starts, and how many
  /// it has so far.
  private var firstLineEnd: Int?
  private var lineStart = 0
  private var linesBehind: Int64 = 0

  /// What may still stand before the first record.
  private enum Prologue { case byteOrderMark, lineEnd, none }
  private var prologue: Prologue

  /// - Parameters:
  ///   - offset: where in the input the first byte comes from.
  ///   - row: the line that begins there.
  ///   - isInLine: whether the byte before is not a line feed: the last record was the end of the input then, and if
  ///     the input has grown since, a line end that comes first belongs to that record. Anything else that comes first
  ///     is the rest of that line: half of a record, which becomes a dead letter and never a record of its own.
  init(_ options: Options, offset: Int64, row: Int64, isInLine: Bool) {
    precondition((1...Limits.maxBatchRows).contains(options.batchRows), "a batch has 1 to 65536 rows")
    precondition(options.maxEventBytes > 0, "an event has at least one byte")
    self.options = options
    header = options.header
    window = ByteWindow(origin: offset)
    line = row
    prologue = offset == 0 ? .byteOrderMark : isInLine ? .lineEnd : .none
  }

  /// Where reading goes on: the offset of the first byte that is not in the window.
  var readOffset: Int64 { window.origin + Int64(window.filled) }

  /// Where to resume when everything that was cut is done.
  var next: Position { position(at: pending) }

  private func position(at index: Int) -> Position {
    Position(segment: options.segment, offset: window.origin + Int64(index), row: line)
  }

  /// Whether the open batch has anything in it.
  var hasRecords: Bool { !starts.isEmpty || !letters.isEmpty }

  /// Takes in bytes; returns how many, 0 when there are none.
  func fill<E: Error>(_ read: (UnsafeMutableRawBufferPointer) throws(E) -> Int) throws(E) -> Int {
    // SAFETY: `read` gets room that the window owns and trusts it only for as many bytes as it says it has written.
    let (dropped, count) = try window.fill(keepingFrom: first, read)
    first -= dropped
    pending -= dropped
    scanned -= dropped
    zeroFree = max(0, zeroFree - dropped)
    lineStart -= dropped
    firstLineEnd = firstLineEnd.map { $0 - dropped }
    return count
  }

  /// Cuts what is in the window until the batch is full (true) or more bytes are needed (false). `isFinal` says that
  /// none will come: what is left is the last record.
  func cut(isFinal: Bool) throws(OperatingError) -> Bool {
    guard passPrologue(isFinal: isFinal) else { return false }
    while true {
      if passing != nil {
        guard passRecord(isFinal: isFinal) else { return false }
        if hasRecords { return true }
      }
      switch options.isCSV ? try cutCSV(isFinal: isFinal) : cutLines(isFinal: isFinal) {
      case .batchIsFull: return true
      case .needsBytes: return false
      case .tooLarge:
        // The records before it must not wait for its end.
        if hasRecords { return true }
        if options.isCSV, header == nil {
          throw OperatingError(
            .input, "the header of \(options.path) has more than \(options.maxEventBytes) bytes. Expected a CSV file")
        }
        passing = PassingRecord(.tooLarge, at: next)
      case .hole:
        if hasRecords { return true }
        passing = PassingRecord(.hole, at: next)
      }
    }
  }

  /// The open batch, which ends here; nil if there is nothing in it.
  func takeBatch() -> RawBatch? {
    guard hasRecords else { return nil }
    let length = Int(ends.last ?? 0)
    let bytes = RecordBytes(
      bytes: window.copy(first..<first + length, padding: Limits.bytePadding), starts: starts, ends: ends)
    let origin = window.origin + Int64(first)
    let positions = RecordPositions(segment: options.segment, offsets: starts.map { origin + Int64($0) }, rows: rows)
    let batch = RawBatch(
      partition: options.partition, positions: positions,
      payload: options.isCSV
        ? .csv(bytes, header: header ?? [], delimiter: options.delimiter) : .json(bytes),
      oversized: letters, next: next)
    let count = starts.count
    (starts, ends, rows, letters) = ([], [], [], [])
    starts.reserveCapacity(count)
    ends.reserveCapacity(count)
    rows.reserveCapacity(count)
    first = pending
    return batch
  }

  // MARK: - Before the first record

  /// Skips a byte order mark, or the end of a line that was read before the input grew. False while it is not known.
  private func passPrologue(isFinal: Bool) -> Bool {
    switch prologue {
    case .none: return true
    case .byteOrderMark: return pass([0xEF, 0xBB, 0xBF], isFinal: isFinal)
    case .lineEnd:
      guard window.filled > 0 || isFinal else { return false }
      guard pass(window.filled > 0 && window[0] == 0x0D ? [0x0D, 0x0A] : [0x0A], isFinal: isFinal) else { return false }
      if pending == 0, window.filled > 0 {
        // The line was counted when its beginning was read.
        var position = next
        position.row = max(0, position.row - 1)
        passing = PassingRecord(.restOfLine, at: position)
      }
      return true
    }
  }

  private func pass(_ expected: [UInt8], isFinal: Bool) -> Bool {
    let have = window.copy(0..<min(expected.count, window.filled))
    if have.count < expected.count && expected.starts(with: have) && !isFinal { return false }
    prologue = .none
    if have == expected { beginRecord(at: expected.count) }
    return true
  }

  // MARK: - Lines

  private func cutLines(isFinal: Bool) -> Outcome {
    while starts.count < options.batchRows && pending - first < options.maxBatchBytes {
      // JSON never begins with a zero.
      if pending < window.filled && window[pending] == 0 { return .hole }
      guard let end = window.firstIndex(of: 0x0A, in: scanned..<window.filled) else {
        scanned = window.filled
        // Two more than allowed: the record may end with a carriage return and a line feed.
        if window.filled - pending >= options.maxEventBytes + 2 { return .tooLarge }
        guard isFinal && pending < window.filled else { return .needsBytes }
        if hasHole(in: pending..<window.filled) { return .hole }
        if window.filled - pending > options.maxEventBytes { return .tooLarge }
        endRecord(at: window.filled, next: window.filled)
        return .needsBytes
      }
      if hasHole(in: pending..<end) { return .hole }
      let contentEnd = withoutReturn(end)
      if contentEnd - pending > options.maxEventBytes { return .tooLarge }
      endRecord(at: contentEnd, next: end + 1)
    }
    return .batchIsFull
  }

  /// Where the contents of a line end that a line feed at `end` ends.
  private func withoutReturn(_ end: Int) -> Int { end > pending && window[end - 1] == 0x0D ? end - 1 : end }

  private func endRecord(at end: Int, next: Int, lines: Int64 = 1) {
    if !isBlank(pending..<end) {
      starts.append(UInt32(pending - first))
      ends.append(UInt32(end - first))
      rows.append(line)
    }
    line += lines
    beginRecord(at: next)
  }

  private func beginRecord(at index: Int) {
    pending = index
    scanned = index
    lineStart = index
    linesBehind = 0
    firstLineEnd = nil
    if !hasRecords { first = index }
  }

  /// An empty line is no record; in JSON neither is one of white space, which in CSV is a field.
  private func isBlank(_ range: Range<Int>) -> Bool {
    guard let start = range.first else { return true }
    if options.isCSV || window[start] > 0x20 { return false }
    return window.withBytes(range) { $0.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
  }

  // MARK: - CSV

  /// A record ends at the first line end outside of quotes. If there is none within `maxEventBytes`, or before the end
  /// of the input, a quote was never closed: the record ends with its line then, so that one stray quote costs one
  /// record (which the decoder rejects) and not the rest of the file.
  private func cutCSV(isFinal: Bool) throws(OperatingError) -> Outcome {
    while starts.count < options.batchRows && pending - first < options.maxBatchBytes {
      if pending < window.filled && window[pending] == 0 {
        let zeroes = (window.firstIndexNotZero(in: pending..<window.filled) ?? window.filled) - pending
        if zeroes >= PassingRecord.holeBytes { return .hole }
        // Fewer are a part of the first cell, unless more are to come.
        if pending + zeroes == window.filled && !isFinal { return .needsBytes }
      }
      if let end = window.firstIndex(of: 0x0A, in: scanned..<window.filled) {
        if hasHole(in: lineStart..<end) {
          if firstLineEnd == nil { return .hole }
          // A quote was never closed.
          guard try endFirstLine(or: nil) else { return .tooLarge }
          continue
        }
        let isOpen = isOpen(lineStart..<end)
        if isOpen && end - pending <= options.maxEventBytes + 1 {
          if firstLineEnd == nil { firstLineEnd = end }
          linesBehind += 1
          (scanned, lineStart) = (end + 1, end + 1)
        } else if !isOpen && withoutReturn(end) - pending <= options.maxEventBytes {
          try endCSVRecord(at: withoutReturn(end), next: end + 1, lines: linesBehind + 1)
        } else if try !endFirstLine(or: end) {
          return .tooLarge
        }
        continue
      }
      scanned = window.filled
      if window.filled - pending >= options.maxEventBytes + 2 {
        guard try endFirstLine(or: nil) else { return .tooLarge }
      } else if isFinal && pending < window.filled {
        if firstLineEnd == nil && hasHole(in: pending..<window.filled) { return .hole }
        let isBroken = isOpen(lineStart..<window.filled) || hasHole(in: lineStart..<window.filled)
        if firstLineEnd != nil && (isBroken || window.filled - pending > options.maxEventBytes) {
          guard try endFirstLine(or: nil) else { return .tooLarge }
        } else if window.filled - pending > options.maxEventBytes {
          return .tooLarge
        } else {
          try endCSVRecord(at: window.filled, next: window.filled, lines: linesBehind + 1)
        }
      } else {
        return .needsBytes
      }
    }
    return .batchIsFull
  }

  private func isOpen(_ range: Range<Int>) -> Bool {
    let wasOpen = firstLineEnd != nil
    if !wasOpen && window.firstIndex(of: UInt8(ascii: "\""), in: range) == nil { return false }
    return window.withBytes(range) { CSVText.isOpen(after: $0, from: wasOpen, options.delimiter) }
  }

  /// Ends the record with its first line; false if that alone is too large, or has not ended yet.
  private func endFirstLine(or end: Int?) throws(OperatingError) -> Bool {
    guard let end = firstLineEnd ?? end, withoutReturn(end) - pending <= options.maxEventBytes else { return false }
    try endCSVRecord(at: withoutReturn(end), next: end + 1, lines: 1)
    return true
  }

  private func endCSVRecord(at end: Int, next: Int, lines: Int64) throws(OperatingError) {
    if header == nil && end > pending {
      header = window.withBytes(pending..<end) { CSVText.fields(of: $0, options.delimiter) }
      guard header != nil else {
        throw OperatingError(.input, "the header of \(options.path) is not UTF-8. Expected the names of the columns")
      }
      try options.required.check(options.path, header: header ?? [], options.delimiter)
      line += lines
      headerEnd = window.origin + Int64(next)
      return beginRecord(at: next)
    }
    endRecord(at: end, next: next, lines: lines)
  }

  // MARK: - What is not held

  /// Whether there is a hole within a line, with something behind it. One that the line ends with is a part of its record.
  private func hasHole(in range: Range<Int>) -> Bool {
    let from = max(zeroFree, range.lowerBound)
    guard from < range.upperBound else { return false }
    // All of the window, so that each byte is looked at once.
    let found = window.firstIndex(of: 0, in: from..<window.filled)
    // A hole within a record of several lines is looked for again in each of them.
    zeroFree = found ?? window.filled
    guard let found, found < range.upperBound else { return false }
    var zeroes = 0
    if case .at = endOfHole(in: found..<range.upperBound, behind: &zeroes, isStart: false) { return true }
    return false
  }

  private enum HoleEnd {
    case none
    /// The first byte behind it.
    case at(Int)
    /// A carriage return is behind it, and nothing of what follows that is known: it may be the line end.
    case mayBe(Int)
  }

  /// Where the first hole ends that has something other than a line end behind it.
  /// - Parameters:
  ///   - zeroes: how many lie before the range; afterwards those at its end.
  ///   - isStart: whether the record has had nothing but zeroes.
  private func endOfHole(in range: Range<Int>, behind zeroes: inout Int, isStart: Bool) -> HoleEnd {
    var isStart = isStart
    var index = range.lowerBound
    while index < range.upperBound {
      let end = window.firstIndexNotZero(in: index..<range.upperBound) ?? range.upperBound
      zeroes += end - index
      if end == range.upperBound { return .none }
      if zeroes >= (isStart && !options.isCSV ? 1 : PassingRecord.holeBytes) {
        guard window[end] == 0x0D && end + 1 == range.upperBound else { return .at(end) }
        // Whether the range ends with its line is for the caller to know.
        return end + 1 == window.filled ? .mayBe(end) : .none
      }
      (zeroes, isStart) = (0, false)
      index = window.firstIndex(of: 0, in: end..<range.upperBound) ?? range.upperBound
    }
    return .none
  }

  /// Lets an oversized record, the rest of a line, or a hole with what breaks off in it go past; true when it has ended.
  /// It ends with its line, in CSV too, or with a hole.
  private func passRecord(isFinal: Bool) -> Bool {
    let lineEnd = window.firstIndex(of: 0x0A, in: pending..<window.filled)
    let stop = lineEnd ?? window.filled
    var zeroes = passing?.zeroes ?? 0
    var holeEnd: Int?
    switch endOfHole(in: pending..<stop, behind: &zeroes, isStart: passing?.isZero ?? false) {
    case .none: break
    case .at(let end): holeEnd = end
    case .mayBe(let end):
      if isFinal { break }
      window.withBytes(pending..<end) { passing?.append($0) }
      passing?.zeroes = zeroes
      beginRecord(at: end)
      first = pending
      return false
    }
    window.withBytes(pending..<(holeEnd ?? stop)) { passing?.append($0) }
    passing?.zeroes = zeroes
    let isDone = holeEnd != nil || lineEnd != nil || isFinal
    if isDone, var record = passing {
      let letter = record.finish(
        atLineFeed: holeEnd == nil && lineEnd != nil, path: options.path, limit: options.maxEventBytes)
      let isRest = record.cause == .restOfLine
      // Behind a hole the line goes on.
      if holeEnd == nil && !isRest { line += 1 }
      // White space behind a JSON value changes nothing; in CSV it is a part of the last cell.
      if !isRest || options.isCSV || !record.isBlank { letters.append(letter) }
      passing = nil
    }
    beginRecord(at: holeEnd ?? lineEnd.map { $0 + 1 } ?? window.filled)
    // The letter is a batch of its own, and nothing of the window belongs to it.
    first = pending
    return isDone
  }
}
