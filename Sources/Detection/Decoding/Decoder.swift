// Raw records to an event batch and dead letters. Every record becomes exactly one of the two, in order. What a record
// becomes depends on its own bytes and the schema alone: not on its batch, and not on what the decoder saw before.
// No object, dictionary or string is made for an event that decodes, unless a field of it is read from what a log keeps
// beside it (`EnvelopeReader`).

/// What a raw batch decodes to.
public struct DecodedBatch: Sendable {
  /// The events; `columns` are the schema's fields in their order.
  public var events: EventBatch
  /// The rest, ascending by position, the oversized records of the raw batch among them.
  public var deadLetters: [DeadLetter]
  /// Fields, by their index, of which no record has a value of its own: those that only a default fills are among them.
  public var absentFields: Set<Int>

  public init(events: EventBatch, deadLetters: [DeadLetter], absentFields: Set<Int> = []) {
    self.events = events
    self.deadLetters = deadLetters
    self.absentFields = absentFields
  }
}

/// Decodes batches by a schema. One per worker: it owns a parser and memory that is reused from batch to batch.
///
/// What each type of field accepts stands in `docs/use-cases.md` and at the top of `Coercion.swift`. A key on
/// the path of a declared field that occurs twice in its object makes a dead letter; an undeclared key may occur twice,
/// since nothing depends on which of the two counts. An empty CSV cell is null; a quoted empty one is an empty string
/// where the field is a string. In columnar files NaN and infinity are out of range, as they cannot be written in JSON.
public final class Decoder {
  private let schema: Schema
  private let coercions: [Coercion]
  private let validations: [Validation]
  private let builders: [StringBuilder]
  private let json: JSONReader
  private let csv: CSVReader
  private let block: CellBlock
  /// Nil where all fields lie in the records.
  private let envelopes: EnvelopeReader?

  /// - Precondition: the patterns of the fields compile, see `problem(inPattern:)`.
  public init(schema: Schema) {
    self.schema = schema
    coercions = schema.fields.map { Coercion(field: $0) }
    validations = schema.fields.indices.map { index in
      Validation(
        field: schema.fields[index], isRequired: schema.fields[index].required || index == schema.timeField)
    }
    builders = schema.fields.map { _ in StringBuilder() }
    json = JSONReader(schema: schema)
    csv = CSVReader(schema: schema)
    block = CellBlock(pathCount: schema.fields.count)
    envelopes = EnvelopeReader(schema: schema)
  }

  /// What is wrong with a field's pattern; nil where it can be used.
  public static func problem(inPattern pattern: String) -> PatternError? {
    do throws(PatternError) {
      _ = try PatternProgram(pattern)
      return nil
    } catch {
      return error
    }
  }

  /// Decodes a batch.
  public func decode(_ raw: RawBatch) -> DecodedBatch {
    switch raw.payload {
    case .json(let records):
      precondition(records.count == raw.count, "records and positions differ in number")
      return decodeJSON(records, of: raw)
    case .csv(let records, let header, let delimiter):
      precondition(records.count == raw.count, "records and positions differ in number")
      return decodeCSV(records, header: header, delimiter, of: raw)
    case .columns(let columns):
      return decodeColumns(columns, of: raw)
    }
  }

  private func decodeJSON(_ records: RecordBytes, of raw: RawBatch) -> DecodedBatch {
    // SAFETY: lent for the whole decoding, of which nothing keeps a pointer: columns and letters copy. The parser has
    // checked that every record lies within the buffer, and its arena lasts until it is called again.
    records.bytes.withUnsafeBytes { buffer in
      let rowCount = json.read(records, buffer: buffer, into: block)
      var letters: [DeadLetter] = []
      for (record, why) in json.failures(of: records, buffer: buffer) {
        let range = Int(records.starts[record])..<Int(records.ends[record])
        letters.append(letter(why, raw.positions[record], UnsafeRawBufferPointer(rebasing: buffer[range])))
      }
      let text = CellText(buffer: buffer, arena: json.arena)
      return finish(rowCount, text, slots: json.slots, isCSV: false, records, raw, letters)
    }
  }

  private func decodeCSV(
    _ records: RecordBytes, header: [String], _ delimiter: CSVDelimiter, of raw: RawBatch
  ) -> DecodedBatch {
    // SAFETY: as for JSON; the reader has checked that every record lies within the buffer, and lends its own arena.
    records.bytes.withUnsafeBytes { buffer in
      block.reserve(records.count)
      let refused = csv.read(records, header: header, delimiter, buffer: buffer, into: block)
      var letters: [DeadLetter] = []
      for (record, why) in refused.failures {
        let range = Int(records.starts[record])..<Int(records.ends[record])
        letters.append(letter(why, raw.positions[record], UnsafeRawBufferPointer(rebasing: buffer[range])))
      }
      return csv.withArena { arena in
        let text = CellText(buffer: buffer, arena: arena)
        let slots = Array(schema.fields.indices)
        return finish(refused.rowCount, text, slots: slots, isCSV: true, records, raw, letters)
      }
    }
  }

  /// Cells to columns, columns to events and further dead letters.
  private func finish(
    _ rowCount: Int, _ text: CellText, slots: [Int], isCSV: Bool, _ records: RecordBytes, _ raw: RawBatch,
    _ letters: [DeadLetter]
  ) -> DecodedBatch {
    var failures = RowFailures()
    var columns: [Column] = []
    var absent: Set<Int> = []
    columns.reserveCapacity(schema.fields.count)
    for (index, field) in schema.fields.enumerated() {
      var run = block.run(slots[index], rows: rowCount)
      if isCSV || field.numericStrings, field.type.readsNumbers { run.readNumbers(in: text) }
      if isCSV, field.type == .json { json.checkJSON(&run, text: text) }
      var column = coercions[index].column(of: &run, text: text, strings: builders[index], failures: &failures)
      if let envelopes, let kept = raw.envelopes {
        column = envelopes.filled(
          column, index, of: raw, kept, record: { Int(block.records[$0]) }, coercions[index], builders[index],
          json: json, failures: &failures)
      }
      if column.isAllNull { absent.insert(index) }
      columns.append(validations[index].apply(to: column, failures: &failures))
    }
    var letters = letters
    let rows = failures.isEmpty ? nil : failures.survivors(of: rowCount)
    for (row, why) in failures.byRow {
      let record = Int(block.records[row])
      let range = Int(records.starts[record])..<Int(records.ends[record])
      // SAFETY: a record of the buffer, which the reader has checked; the letter is a copy.
      letters.append(letter(why, raw.positions[record], UnsafeRawBufferPointer(rebasing: text.buffer[range])))
    }
    let recordOfRow: [Int]? =
      letters.isEmpty ? nil : (rows ?? Array(0..<rowCount)).map { Int(block.records[$0]) }
    return assemble(columns, absent: absent, rows: rows, records: recordOfRow, letters, raw)
  }

  private func decodeColumns(_ input: [NamedColumn], of raw: RawBatch) -> DecodedBatch {
    var failures = RowFailures()
    let reader = ColumnReader(schema: schema, input: input, misfits: raw.misfits, count: raw.count)
    reader.refuseTooLarge(&failures)
    reader.refuseUnknown(&failures)
    var columns: [Column] = []
    var absent: Set<Int> = []
    for index in schema.fields.indices {
      let column = reader.column(
        index, coercions[index], builders[index], json: json, block: block, failures: &failures)
      if column.isAllNull { absent.insert(index) }
      columns.append(validations[index].apply(to: column, failures: &failures))
    }
    let rows = failures.isEmpty ? nil : failures.survivors(of: raw.count)
    let letters = failures.byRow.map { row, why in
      let text = Array(reader.json(ofRow: row).utf8)
      // SAFETY: a local array, lent for the call; the letter is a copy.
      return text.withUnsafeBytes { letter(why, raw.positions[row], $0) }
    }
    return assemble(columns, absent: absent, rows: rows, records: rows, letters, raw)
  }

  /// The batch of the given rows (nil: all), which came from the given records (nil: row i is record i).
  private func assemble(
    _ columns: [Column], absent: Set<Int>, rows: [Int]?, records: [Int]?, _ letters: [DeadLetter], _ raw: RawBatch
  ) -> DecodedBatch {
    var columns = columns
    if let runs = rows?.runs { columns = columns.map { $0.gathered(runs: runs) } }
    var positions = raw.positions
    if let runs = records?.runs {
      positions.offsets = raw.positions.offsets.joined(runs)
      positions.rows = raw.positions.rows.joined(runs)
    }
    guard case .timestamp(let times) = columns[schema.timeField].values else {
      preconditionFailure("the event time is not a timestamp column")
    }
    let events = EventBatch(partition: raw.partition, positions: positions, eventTimes: times, columns: columns)
    return DecodedBatch(
      events: events, deadLetters: (letters + raw.oversized).sorted { $0.position < $1.position }, absentFields: absent)
  }

  private func letter(_ why: RowFailure, _ position: Position, _ record: UnsafeRawBufferPointer) -> DeadLetter {
    let kept = record.count > Limits.maxEventBytes ? Limits.oversizedExcerptBytes : record.count
    return DeadLetter(
      position: position, stage: why.stage, reason: why.reason, field: why.field, message: why.message,
      raw: Array(record.prefix(kept)), length: record.count)
  }
}

extension FieldType {
  /// Whether a string holding a number can be a value of the type.
  var readsNumbers: Bool {
    switch self {
    case .int, .double, .bool: true
    case .timestamp(let format): format != .rfc3339
    case .string, .json: false
    }
  }
}
