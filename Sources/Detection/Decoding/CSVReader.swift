// CSV records to cells (RFC 4180). A cell is quoted if its first byte is a quote; inside, a doubled quote stands for
// one, and delimiters and line ends are text. A quote inside an unquoted cell is text, too. White space belongs to the cell.
// An empty unquoted cell is MISSING. Invariant: this file and the source that cuts records agree on
// where quotes open and close.

import CSimdjson

/// The CSV reader of one worker.
final class CSVReader {
  private let schema: Schema
  /// Field by the dotted path of its value, which is what names its column.
  private let fieldByColumn: [String: [Int]]
  private var arena: [UInt8] = []
  /// What the last header means.
  private var header: [String] = []
  private var fieldsOfColumn: [[Int]] = []
  private var headerFault: RowFailure?
  private var delimiter = CSVDelimiter.comma

  init(schema: Schema) {
    self.schema = schema
    fieldByColumn = Dictionary(grouping: schema.fields.indices) { schema.fields[$0].path.joined(separator: ".") }
  }

  /// Lends the text of cells that had doubled quotes.
  func withArena<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    // SAFETY: lent for the call; `body` reads no records, so the arena stays as it is.
    arena.withUnsafeBytes(body)
  }

  /// Fills the block: field f is path f. Returns the number of rows and the refused records, ascending.
  ///
  /// SAFETY: `buffer` is the records' own, lent for the call. Every record is checked to lie within it, and nothing
  /// below reads outside of the record it is at. The block has room for as many rows as there are records.
  func read(
    _ records: RecordBytes, header: [String], _ delimiter: CSVDelimiter, buffer: UnsafeRawBufferPointer,
    into block: CellBlock
  ) -> (rowCount: Int, failures: [(record: Int, RowFailure)]) {
    self.delimiter = delimiter
    prepare(header)
    arena.removeAll(keepingCapacity: true)
    for index in block.seen.indices {
      block.seen[index] = 0
      // A column that the header lacks is MISSING in every row.
      block.run(index, rows: records.count).payloads.update(repeating: 0, count: records.count)
      block.run(index, rows: records.count).tags.update(repeating: CellTag.missing, count: records.count)
      if !fieldsOfColumn.contains(where: { $0.contains(index) }) { block.seen[index] = CellTag.set(CellTag.missing) }
    }
    var failures: [(record: Int, RowFailure)] = []
    var row = 0
    let isText = isUTF8(buffer, from: Int(records.starts.first ?? 0), to: Int(records.ends.last ?? 0))
    for record in 0..<records.count {
      let range = Int(records.starts[record])..<Int(records.ends[record])
      precondition(range.upperBound + Limits.bytePadding <= buffer.count, "a record lies outside its buffer")
      if let fault = readRecord(range, buffer, isKnownText: isText, row: row, block) {
        failures.append((record, fault))
        clear(row, block)
      } else {
        block.records[row] = UInt32(record)
        row += 1
      }
    }
    arena.append(contentsOf: repeatElement(0, count: Limits.bytePadding))
    return (row, failures)
  }

  private func prepare(_ header: [String]) {
    guard header != self.header || fieldsOfColumn.isEmpty else { return }
    self.header = header
    fieldsOfColumn = header.map { fieldByColumn[$0] ?? [] }
    headerFault = nil
    var known: Set<String> = []
    for (name, fields) in zip(header, fieldsOfColumn) {
      if fields.isEmpty, schema.unknownFields == .reject {
        headerFault = fault(.unknownField, "expected declared fields only, found the column \"\(name)\"")
        return
      }
      if !fields.isEmpty, !known.insert(name).inserted {
        headerFault = fault(.duplicateKey, "expected each column once, found \"\(name)\" again")
        return
      }
    }
  }

  private func fault(_ reason: DeadLetter.Reason, _ message: String) -> RowFailure {
    RowFailure(stage: .decode, reason: reason, field: nil, message: message)
  }

  private func isUTF8(_ buffer: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Bool {
    guard start < end, let bytes = buffer.bytes else { return true }
    // SAFETY: both bounds are those of records, whose ends lie within the buffer.
    return csimdjson_is_utf8(bytes + start, end - start) != 0
  }

  private func clear(_ row: Int, _ block: CellBlock) {
    for index in schema.fields.indices {
      let run = block.run(index, rows: row + 1)
      run.tags[row] = CellTag.missing
      run.payloads[row] = 0
    }
  }

  private func readRecord(
    _ range: Range<Int>, _ buffer: UnsafeRawBufferPointer, isKnownText: Bool, row: Int, _ block: CellBlock
  ) -> RowFailure? {
    if range.count > schema.maxEventBytes {
      let message = "expected at most \(schema.maxEventBytes) bytes, found \(range.count)"
      return fault(.tooLarge, message)
    }
    if let headerFault { return headerFault }
    if !isKnownText, !isUTF8(buffer, from: range.lowerBound, to: range.upperBound) {
      return fault(.invalidUTF8, "expected UTF-8, found other bytes")
    }
    let separator = delimiter.byte
    var next = range.lowerBound
    var column = 0
    while true {
      var tag = CellTag.string
      let payload: UInt64
      if next < range.upperBound, buffer[next] == UInt8(ascii: "\"") {
        guard let quoted = quotedCell(from: next + 1, to: range.upperBound, buffer) else {
          return fault(.malformed, "expected a closing quote, found the end of the record")
        }
        (tag, payload, next) = quoted
        guard next == range.upperBound || buffer[next] == separator else {
          return fault(
            .malformed,
            "expected \(delimiter.title) behind a quoted cell, found text at byte \(next - range.lowerBound)")
        }
      } else {
        let start = next
        while next < range.upperBound, buffer[next] != separator { next += 1 }
        payload = next == start ? 0 : textPayload(start: start, length: next - start)
        if next == start { tag = CellTag.missing }
      }
      if column < fieldsOfColumn.count {
        for field in fieldsOfColumn[column] { store(field, tag, payload, row, block) }
      }
      column += 1
      if next == range.upperBound { break }
      next += 1
    }
    if column != header.count {
      return fault(.wrongColumnCount, "expected \(header.count) cells, found \(column)")
    }
    return nil
  }

  private func store(_ field: Int, _ tag: UInt8, _ payload: UInt64, _ row: Int, _ block: CellBlock) {
    var tag = tag
    var payload = payload
    // A quoted empty cell is an empty string, which only a string can be.
    if tag != CellTag.missing, payload >> 32 == 0, schema.fields[field].type != .string {
      tag = CellTag.missing
      payload = 0
    }
    let run = block.run(field, rows: row + 1)
    run.tags[row] = tag
    run.payloads[row] = payload
    block.seen[field] |= 1 << UInt32(tag)
  }

  /// The quoted cell whose text starts at `start`, and the index behind its closing quote.
  private func quotedCell(
    from start: Int, to end: Int, _ buffer: UnsafeRawBufferPointer
  ) -> (tag: UInt8, payload: UInt64, next: Int)? {
    var next = start
    var hasDoubled = false
    while true {
      while next < end, buffer[next] != UInt8(ascii: "\"") { next += 1 }
      if next == end { return nil }
      guard next + 1 < end, buffer[next + 1] == UInt8(ascii: "\"") else { break }
      hasDoubled = true
      next += 2
    }
    guard hasDoubled else { return (CellTag.string, textPayload(start: start, length: next - start), next + 1) }
    let mark = arena.count
    var index = start
    while index < next {
      arena.append(buffer[index])
      index += buffer[index] == UInt8(ascii: "\"") ? 2 : 1
    }
    return (CellTag.unescaped, textPayload(start: mark, length: arena.count - mark), next + 1)
  }
}
