// What the tests of decoding share: small schemas, and decoding of records written as text.

import Detection
import TestKit

/// A schema of the given fields behind a time field `t`, which every record of these tests carries.
func schema(
  _ fields: Field..., unknownFields: Schema.UnknownFields = .ignore, maxEventBytes: Int = Limits.maxEventBytes
) -> Schema {
  Schema(
    fields: [Field(name: "t", type: .timestamp(.automatic), required: true)] + fields, timeField: 0, keyField: nil,
    unknownFields: unknownFields, maxEventBytes: maxEventBytes)
}

/// Decodes JSON records.
func decode(_ schema: Schema, _ records: [String]) -> DecodedBatch {
  Decoder(schema: schema).decode(QueryEvents.batch(of: records.map { Array($0.utf8) }))
}

/// Decodes one record whose field `a` has the given JSON text.
func decode(a value: String, as field: Field) -> DecodedBatch {
  decode(schema(field), [#"{"t":0,"a":\#(value)}"#])
}

/// The value of field `a` in the only event, or nil where there is none.
func value(_ decoded: DecodedBatch) -> Scalar? {
  decoded.events.count == 1 ? decoded.events.columns[1][0] : nil
}

/// Decodes CSV records.
func decodeCSV(_ schema: Schema, header: [String], _ records: [String]) -> DecodedBatch {
  let bytes = records.map { Array($0.utf8) }
  let json = QueryEvents.batch(of: bytes)
  let raw = RawBatch(
    partition: json.partition, positions: json.positions, payload: .csv(RecordBytes(bytes), header: header),
    next: json.next)
  return Decoder(schema: schema).decode(raw)
}

/// A batch of columns.
func columnBatch(_ columns: [NamedColumn], count: Int) -> RawBatch {
  let positions = RecordPositions(
    segment: 0, offsets: (0..<Int64(count)).map { $0 }, rows: (0..<Int64(count)).map { $0 })
  return RawBatch(
    partition: PartitionID(source: "test", number: 0), positions: positions, payload: .columns(columns),
    next: Position(segment: 0, offset: Int64(count), row: Int64(count)))
}
