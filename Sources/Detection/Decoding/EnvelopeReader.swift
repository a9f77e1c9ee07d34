// Fields that are read from what a log keeps beside its records: `_key`, `_timestamp`, `_topic`, `_partition`, `_offset`
// and `header.NAME`. What an event itself has under such a path goes first, so that the same use case reads the same events
// from a file that has them inside.

/// Where in a log a field lies, if its event does not have it.
enum EnvelopePlace: Sendable {
  case key
  case timestamp
  case topic
  case partition
  case offset
  case header([UInt8])

  /// - Returns: nil where the path is none of these.
  init?(path: [String]) {
    switch path {
    case ["_key"]: self = .key
    case ["_timestamp"]: self = .timestamp
    case ["_topic"]: self = .topic
    case ["_partition"]: self = .partition
    case ["_offset"]: self = .offset
    default:
      guard path.count > 1, path[0] == "header" else { return nil }
      self = .header(Array(path.dropFirst().joined(separator: ".").utf8))
    }
  }
}

/// Reads such fields of one schema. Belongs to a decoder: it owns memory that is reused from batch to batch.
struct EnvelopeReader {
  private let places: [EnvelopePlace?]
  /// The schema with texts taken as numbers: keys and headers are texts.
  private let schema: Schema
  private let block: CellBlock

  /// - Returns: nil where no field can be read from an envelope.
  init?(schema: Schema) {
    places = schema.fields.map { EnvelopePlace(path: $0.path) }
    guard places.contains(where: { $0 != nil }) else { return nil }
    let fields = schema.fields.map { field in
      var field = field
      field.numericStrings = true
      return field
    }
    self.schema = Schema(
      fields: fields, timeField: schema.timeField, keyField: schema.keyField, unknownFields: schema.unknownFields,
      maxEventBytes: schema.maxEventBytes)
    block = CellBlock(pathCount: fields.count)
  }

  /// The column of a field, with what the log has where the event has nothing.
  /// - Parameters:
  ///   - index: of the field.
  ///   - record: the record of a row.
  func filled(
    _ column: Column, _ index: Int, of raw: RawBatch, _ envelopes: RecordEnvelopes, record: (Int) -> Int,
    _ coercion: Coercion, _ strings: StringBuilder, json: JSONReader, failures: inout RowFailures
  ) -> Column {
    guard let place = places[index], column.validity != nil else { return column }
    let name = schema.fields[index].path.joined(separator: ".")
    var misfits: [ColumnMisfit] = []
    let missing = (0..<column.count).map { column.isNull($0) ? record($0) : nil }
    let found = Self.column(place, missing, of: raw, envelopes) { row in
      misfits.append(
        ColumnMisfit(row: row, column: name, reason: .invalidUTF8, expected: "UTF-8", found: "other bytes"))
    }
    let reader = ColumnReader(
      schema: schema, input: [NamedColumn(name, found)], misfits: misfits, count: column.count)
    return column.filled(
      from: reader.column(index, coercion, strings, json: json, block: block, failures: &failures))
  }

  /// What the log has for rows, as a column.
  /// - Parameters:
  ///   - records: of the rows; nil for those that need nothing.
  ///   - refuse: is called with a row whose bytes are no text.
  private static func column(
    _ place: EnvelopePlace, _ records: [Int?], of raw: RawBatch, _ envelopes: RecordEnvelopes, refuse: (Int) -> Void
  ) -> Column {
    func text(_ bytes: (Int) -> ArraySlice<UInt8>?) -> Column {
      var (offsets, text) = ([UInt32(0)], [UInt8]())
      offsets.reserveCapacity(records.count + 1)
      var validity = Bitmap(repeating: false, count: records.count)
      for (row, record) in records.enumerated() {
        if let record, let piece = bytes(record) {
          if (try? UTF8Span(validating: piece.span)) != nil {
            text.append(contentsOf: piece)
            validity[row] = true
          } else {
            refuse(row)
          }
        }
        offsets.append(UInt32(text.count))
      }
      return Column(.string(StringColumn(offsets: offsets, bytes: text)), validity: validity)
    }
    func numbers(_ values: (Int) -> Int64?) -> ([Int64], Bitmap) {
      let found = records.map { $0.flatMap(values) }
      return (found.map { $0 ?? 0 }, Bitmap(count: found.count) { found[$0] != nil })
    }
    switch place {
    case .key: return text { envelopes.key(of: $0) }
    case .header(let name): return text { envelopes.header(name, of: $0) }
    case .topic:
      // Two entries: none, and the name.
      let name = Array(raw.partition.source.utf8)
      let strings = StringColumn(
        offsets: [0, 0, UInt32(name.count)], bytes: name, codes: records.map { $0 == nil ? 0 : 1 })
      return Column(.string(strings), validity: Bitmap(count: records.count) { records[$0] != nil })
    case .timestamp:
      let (times, validity) = numbers { envelopes.timestamp(of: $0) }
      return Column(.timestamp(times), validity: validity)
    case .partition:
      let (values, validity) = numbers { _ in Int64(raw.partition.number) }
      return Column(.int(values), validity: validity)
    case .offset:
      let (values, validity) = numbers { raw.positions.offsets[$0] }
      return Column(.int(values), validity: validity)
    }
  }
}

extension Column {
  /// The column, with the values of another one of its type where it has none.
  func filled(from other: Column) -> Column {
    precondition(other.type == type && other.count == count, "a column is filled from one like it")
    guard let validity else { return self }
    if validity.isEmpty { return other }
    var builder = ColumnBuilder(type, capacity: count)
    var start = 0
    while start < count {
      let isNull = self.isNull(start)
      var end = start + 1
      while end < count, self.isNull(end) == isNull { end += 1 }
      builder.append(isNull ? other : self, rows: start..<end)
      start = end
    }
    return builder.finish()
  }
}
