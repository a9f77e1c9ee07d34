// Columns of a Parquet or Arrow file to columns of the schema. A column of the field's type is taken as it is; others go
// through cells and the same coercions as JSON. A column is matched by the dotted path of the field.

/// The columns of one batch.
struct ColumnReader {
  private let schema: Schema
  private let input: [NamedColumn]
  private let count: Int
  private let byName: [String: Column]
  /// By the name of their column.
  private let misfits: [String: [ColumnMisfit]]

  /// - Precondition: every column has `count` rows.
  init(schema: Schema, input: [NamedColumn], misfits: [ColumnMisfit], count: Int) {
    precondition(input.allSatisfy { $0.column.count == count }, "a column differs in length from the positions")
    self.schema = schema
    self.input = input
    self.count = count
    self.misfits = Dictionary(grouping: misfits, by: \.column)
    byName = Dictionary(input.map { ($0.name, $0.column) }, uniquingKeysWith: { first, _ in first })
  }

  /// Notes every row where the file has a column it must not have: an undeclared one if they are refused, or the same
  /// declared one twice.
  func refuseUnknown(_ failures: inout RowFailures) {
    let declared = Set(schema.fields.map { $0.path.joined(separator: ".") })
    var known: Set<String> = []
    var fault: RowFailure?
    for name in input.map(\.name) where fault == nil {
      if !declared.contains(name) {
        guard schema.unknownFields == .reject else { continue }
        let message = "expected declared fields only, found the column \"\(name)\""
        fault = RowFailure(stage: .decode, reason: .unknownField, field: nil, message: message)
      } else if !known.insert(name).inserted {
        let message = "expected each column once, found \"\(name)\" again"
        fault = RowFailure(stage: .decode, reason: .duplicateKey, field: nil, message: message)
      }
    }
    guard let fault else { return }
    for row in 0..<count { failures.note(row, fault) }
  }

  /// Notes every row whose text has more bytes than an event may have. Numbers do not count: they are bounded.
  func refuseTooLarge(_ failures: inout RowFailures) {
    let texts = input.compactMap { named -> StringColumn? in
      guard case .string(let text) = named.column.values else { return nil }
      return text
    }
    // No row has more than all of them.
    if texts.reduce(0, { $0 + $1.bytes.count }) <= schema.maxEventBytes { return }
    for row in 0..<count {
      let length = texts.reduce(0) { $0 + $1.range(of: row).count }
      guard length > schema.maxEventBytes else { continue }
      let message = "expected at most \(schema.maxEventBytes) bytes, found \(length) bytes of text"
      failures.note(row, RowFailure(stage: .read, reason: .tooLarge, field: nil, message: message))
    }
  }

  /// The column of a field, coerced.
  func column(
    _ index: Int, _ coercion: Coercion, _ strings: StringBuilder, json: JSONReader, block: CellBlock,
    failures: inout RowFailures
  ) -> Column {
    let field = schema.fields[index]
    let name = field.path.joined(separator: ".")
    let found = byName[name]
    for misfit in misfits[name] ?? [] {
      failures.note(
        misfit.row, field, misfit.reason, expected: misfit.expected, found: misfit.found, stage: .decode)
    }
    if let found, found.type == field.type.valueType, field.type != .json { return checked(found, field, &failures) }
    block.reserve(count)
    // Text that cells point to is read in steps, so it needs padding behind it.
    var padded: [UInt8] = []
    if case .string(let source) = found?.values {
      padded = source.bytes + [UInt8](repeating: 0, count: Limits.bytePadding)
    }
    // SAFETY: the cells point to the strings of `found`, which `padded` holds with padding behind them (without
    // strings there are no cells of text); the column is made inside the closure and copies what it keeps.
    return padded.withUnsafeBytes { bytes in
      let text = CellText(buffer: bytes, arena: UnsafeRawBufferPointer(start: nil, count: 0))
      var run = block.run(index, rows: count)
      fill(&run, from: found)
      if field.numericStrings, field.type.readsNumbers { run.readNumbers(in: text) }
      if field.type == .json { json.checkJSON(&run, text: text) }
      return coercion.column(of: &run, text: text, strings: strings, failures: &failures)
    }
  }

  /// A column of the right type, whose values need a look only where the type allows more than JSON does.
  private func checked(_ column: Column, _ field: Field, _ failures: inout RowFailures) -> Column {
    switch column.values {
    case .double(let values):
      for row in values.indices where !values[row].isFinite && !column.isNull(row) {
        failures.note(
          row, field, .outOfRange, expected: "a finite number", found: "\(values[row])", stage: .decode)
      }
    case .timestamp(let values):
      for row in values.indices where !Timestamp.range.contains(values[row]) && !column.isNull(row) {
        failures.note(
          row, field, .outOfRange, expected: "a time of the years 0001 to 9999",
          found: "\(values[row]) microseconds", stage: .decode)
      }
    default: break
    }
    return column
  }

  private func fill(_ run: inout CellRun, from column: Column?) {
    run.seen = 0
    for row in 0..<count {
      var tag = CellTag.missing
      var payload: UInt64 = 0
      if let column, !column.isNull(row) {
        switch column.values {
        case .int(let values): (tag, payload) = (CellTag.int, UInt64(bitPattern: values[row]))
        case .double(let values):
          (tag, payload) = (values[row].isFinite ? CellTag.double : CellTag.huge, values[row].bitPattern)
          if !values[row].isFinite { payload = 0 }
        case .bool(let values): (tag, payload) = values[row] ? (CellTag.true, 1) : (CellTag.false, 0)
        case .timestamp(let values): (tag, payload) = (CellTag.timestamp, UInt64(bitPattern: values[row]))
        case .string(let values):
          let range = values.range(of: row)
          (tag, payload) = (CellTag.string, textPayload(start: range.lowerBound, length: range.count))
        }
      }
      run.tags[row] = tag
      run.payloads[row] = payload
      run.seen |= 1 << UInt32(tag)
    }
  }

  /// The rows as JSON, one for each record.
  func jsonRecords() -> RecordBytes { RecordBytes((0..<count).map { Array(json(ofRow: $0).utf8) }) }

  /// A row as JSON, which stands for the raw bytes that a columnar file does not have: its columns by name, flat. A value
  /// that its column cannot hold is what a message says of it.
  func json(ofRow row: Int) -> String {
    JSONText.object(
      input.map { named in
        let misfit = misfits[named.name]?.first { $0.row == row }
        return (named.name, misfit.map { JSONText.string($0.found) } ?? JSONText.value(named.column[row]))
      })
  }
}

extension RawBatch {
  /// The records as bytes: as they are where they are text, as JSON objects where they are rows of a columnar file.
  public var recordBytes: RecordBytes {
    switch payload {
    case .json(let records), .csv(let records, header: _, delimiter: _): return records
    case .columns(let columns):
      // Rows as JSON need no schema but one that has a time.
      let schema = Schema(fields: [Field(name: "time", type: .timestamp(.automatic))], timeField: 0, keyField: nil)
      return ColumnReader(schema: schema, input: columns, misfits: misfits, count: count).jsonRecords()
    }
  }
}
