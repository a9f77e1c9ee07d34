// Reads one file from a position on: text through the cutter, columnar files through Arrow. Both hand over batches in
// order and say how far they have come.

import Detection
import Foundation
import Pipeline

/// What all files of a source have in common.
struct ReadOptions: Sendable {
  var partition: PartitionID
  var batchRows: Int
  var maxEventBytes: Int
  /// Of CSV; nil goes by the name of the file.
  var delimiter: CSVDelimiter?
  /// Columns of a columnar file that are read, where it has them; all of its columns if none of these is there.
  var columns: [ColumnarFileReader.Request]
  /// Whether the other columns are read as well, except the fields of a struct that is read whole.
  var readsOtherColumns = false
  /// Without which a CSV or columnar file is refused.
  var required = RequiredColumns()

  /// What of `reader` is read; empty for everything.
  func selection(of reader: ColumnarFileReader) -> [ColumnarFileReader.Request] {
    var names: Set<String> = []
    var selection = columns.filter { reader.hasColumn($0.name) && names.insert($0.name).inserted }
    guard readsOtherColumns, !selection.isEmpty else { return selection }
    for column in reader.columns {
      // The paths of the column and of the structs it lies in.
      let parts = column.name.split(separator: ".", omittingEmptySubsequences: false)
      let isRead = (1...parts.count).contains { names.contains(parts.prefix($0).joined(separator: ".")) }
      if !isRead { selection.append(ColumnarFileReader.Request(column.name)) }
    }
    return selection
  }
}

/// One file being read.
protocol SegmentReader: AnyObject {
  /// Bytes of a text file that were read so far; 0 for a columnar one.
  var readOffset: Int64 { get }

  /// Where to resume when everything that was handed over is done, blank lines behind it passed.
  var end: Position { get }

  /// The next batch; nil at the (present) end of the file, also where a compressed one breaks off (the file says so), or
  /// when `stop` is set.
  /// - Parameter isFinal: whether the file ends where its bytes do, so that an unfinished line is a record.
  func next(isFinal: Bool, stop: StopSignal) throws(OperatingError) -> RawBatch?
}

/// NDJSON and CSV.
final class TextSegmentReader: SegmentReader {
  private let file: OpenFile
  private let limit: Int64?
  private let cutter: RecordCutter

  /// - Parameter limit: the byte behind the last one that is read; nil for all of the file.
  init(
    _ file: OpenFile, path: String, isCSV: Bool, from position: Position, to limit: Int64? = nil,
    _ options: ReadOptions
  ) throws(OperatingError) {
    self.file = file
    self.limit = limit
    var cutting = Self.cutting(path, isCSV: isCSV, segment: position.segment, options)
    var isInLine = false
    if position.offset > 0 {
      // The header first: contents of a compressed file are read forwards.
      if isCSV, let header = try Self.header(of: file, cutting), header.end <= position.offset {
        cutting.header = header.names
      }
      isInLine = try Self.isInLine(file, position.offset, isCSV: isCSV)
    }
    cutter = RecordCutter(cutting, offset: position.offset, row: position.row, isInLine: isInLine)
  }

  /// Whether a line goes on at `offset`: the byte before is neither a line end nor the end of a hole, behind which a
  /// record begins.
  private static func isInLine(_ file: OpenFile, _ offset: Int64, isCSV: Bool) throws(OperatingError) -> Bool {
    let count = Int(min(offset, Int64(PassingRecord.holeBytes + 1)))
    let bytes = try file.bytes(count, at: offset - Int64(count))
    let zeroes = bytes.reversed().prefix { $0 == 0 }.count
    if zeroes == 0 { return bytes.last != 0x0A }
    if zeroes >= PassingRecord.holeBytes { return false }
    let isStart = zeroes == bytes.count || bytes[bytes.count - zeroes - 1] == 0x0A
    return isCSV || !isStart
  }

  static func cutting(
    _ path: String, isCSV: Bool, segment: UInt32, _ options: ReadOptions
  ) -> RecordCutter.Options {
    RecordCutter.Options(
      partition: options.partition, segment: segment, path: path, isCSV: isCSV, batchRows: options.batchRows,
      maxEventBytes: options.maxEventBytes,
      delimiter: options.delimiter ?? CSVDelimiter(name: FileList.contentName(path)),
      required: options.required)
  }

  /// Refuses a CSV file whose header lacks a column that is required. One that has no header yet is accepted.
  /// - Parameter mayGrow: whether a header without a line end may not be finished.
  static func checkHeader(
    of file: OpenFile, path: String, mayGrow: Bool, _ options: ReadOptions
  ) throws(OperatingError) {
    _ = try header(of: file, cutting(path, isCSV: true, segment: 0, options), mayGrow: mayGrow)
  }

  /// Where the first record of a CSV file begins; nil where it has no whole header yet.
  static func headerEnd(of file: OpenFile, path: String, _ options: ReadOptions) throws(OperatingError) -> Int64? {
    try header(of: file, cutting(path, isCSV: true, segment: 0, options), mayGrow: true)?.end
  }

  /// The header of a file, which is read from its beginning for it, and where it ends; nil where there is none.
  private static func header(
    of file: OpenFile, _ options: RecordCutter.Options, mayGrow: Bool = false
  ) throws(OperatingError) -> (names: [String], end: Int64)? {
    let cutter = RecordCutter(options, offset: 0, row: 0, isInLine: false)
    var isAtEnd = false
    while cutter.header == nil && !isAtEnd {
      let offset = cutter.readOffset
      isAtEnd = try cutter.fill { space throws(OperatingError) in try file.read(into: space, at: offset) } == 0
      _ = try cutter.cut(isFinal: isAtEnd && !mayGrow)
    }
    guard let names = cutter.header, let end = cutter.headerEnd else { return nil }
    return (names, end)
  }

  var readOffset: Int64 { cutter.readOffset }
  var end: Position { cutter.next }

  func next(isFinal: Bool, stop: StopSignal) throws(OperatingError) -> RawBatch? {
    var isAtEnd = false
    while !stop.isSet {
      // A compressed file that breaks off does not end there: its last line is not finished.
      if try cutter.cut(isFinal: isFinal && isAtEnd && file.problem == nil) || isAtEnd {
        return cutter.takeBatch()
      }
      isAtEnd = try cutter.fill { space throws(OperatingError) in try read(into: space) } == 0
    }
    return nil
  }

  private func read(into space: UnsafeMutableRawBufferPointer) throws(OperatingError) -> Int {
    let offset = cutter.readOffset
    guard let limit else { return try file.read(into: space, at: offset) }
    let room = Int(max(0, min(Int64(space.count), limit - offset)))
    if room == 0 { return 0 }
    // SAFETY: the first bytes of the space that the caller gave.
    return try file.read(into: UnsafeMutableRawBufferPointer(rebasing: space[..<room]), at: offset)
  }
}

/// Parquet and Arrow IPC. Offset and row of a position are both the number of the row.
final class ColumnarSegmentReader: SegmentReader {
  private let reader: ColumnarFileReader
  private let path: String
  private let segment: UInt32
  private let options: ReadOptions
  /// Offsets of text files do not apply.
  let readOffset: Int64 = 0
  var end: Position {
    Position(segment: segment, offset: Int64(reader.position), row: Int64(reader.position))
  }

  /// - Parameter path: what the file is called; `reader` may have opened it under another name.
  init(openedAt location: String, path: String, from position: Position, _ options: ReadOptions) throws(OperatingError)
  {
    self.path = path
    segment = position.segment
    self.options = options
    reader = try Self.open(location, options)
    do throws(ColumnarFileError) {
      let selection = options.selection(of: reader)
      if !selection.isEmpty { try reader.select(selection) }
      let skipped = try reader.skip(rows: Int(position.offset))
      guard skipped == Int(position.offset) else {
        throw ColumnarFileError(
          .corrupt, path: path, message: "it has \(skipped) rows, but \(position.offset) were read before")
      }
    } catch { throw Self.failure(error, after: position.offset) }
  }

  /// Opens a file, which checks its footer or schema.
  static func open(_ path: String, _ options: ReadOptions) throws(OperatingError) -> ColumnarFileReader {
    do throws(ColumnarFileError) {
      return try ColumnarFileReader(path: path, batchRows: options.batchRows)
    } catch { throw failure(error, after: 0) }
  }

  func next(isFinal: Bool, stop: StopSignal) throws(OperatingError) -> RawBatch? {
    while !stop.isSet {
      let row = Int64(reader.position)
      let columns: [NamedColumn]
      do throws(ColumnarFileError) {
        guard let batch = try reader.nextBatch(maxRows: options.batchRows) else { return nil }
        columns = batch
      } catch { throw Self.failure(error, after: row) }
      let end = Int64(reader.position)
      if end == row { continue }
      let rows = Array(row..<end)
      return RawBatch(
        partition: options.partition, positions: RecordPositions(segment: segment, offsets: rows, rows: rows),
        payload: .columns(columns), misfits: reader.misfits,
        next: Position(segment: segment, offset: end, row: end))
    }
    return nil
  }

  private static func failure(_ error: ColumnarFileError, after rows: Int64) -> OperatingError {
    let kept = rows > 0 ? " The \(rows) rows before were processed." : ""
    if error.reason == .outOfMemory { return OperatingError(.limit, "\(error).\(kept)") }
    return OperatingError(.input, "\(error).\(kept) Replace the file by a complete one")
  }
}
