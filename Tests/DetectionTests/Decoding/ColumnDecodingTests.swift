// Columns of columnar files: taken as they are where the types agree, coerced like JSON where they do not.

import Detection
import TestKit
import Testing

@Suite struct ColumnDecodingTests {
  private let times = Column(.timestamp, [.timestamp(1), .timestamp(2), .timestamp(3)])

  private func decode(_ field: Field, _ column: Column?) -> DecodedBatch {
    var columns: [NamedColumn] = [NamedColumn("t", times)]
    if let column { columns.append(NamedColumn(field.name, column)) }
    return Decoder(schema: schema(field)).decode(columnBatch(columns, count: 3))
  }

  @Test func columnsOfTheSameTypeAreTaken() {
    for column in [
      Column(.int, [.int(1), .null, .int(3)]), Column(.double, [.double(1.5), .null, .double(-0.0)]),
      Column(.bool, [.bool(true), .null, .bool(false)]), Column(.string, [.string("x"), .null, .string("")]),
      Column(.timestamp, [.timestamp(5), .null, .timestamp(0)]),
    ] {
      let decoded = decode(Field(name: "a.b", type: FieldType(column.type)), column)
      #expect(decoded.deadLetters.isEmpty)
      #expect(decoded.events.columns[1] == column)
      #expect(decoded.events.eventTimes == [1, 2, 3])
    }
    #expect(decode(Field(name: "a", type: .int), nil).events.columns[1] == Column(.int, [.null, .null, .null]))
  }

  @Test func valuesThatNoColumnHoldsBecomeDeadLetters() {
    let column = Column(.int, [.int(1), .null, .null])
    let raw = columnBatch(
      [NamedColumn("t", times), NamedColumn("a", column), NamedColumn("undeclared", column)], count: 3)
    let misfits = ["undeclared", "a"].map {
      ColumnMisfit(row: 1, column: $0, reason: .outOfRange, expected: "an integer of 64 bits", found: "9e99")
    }
    let batch = RawBatch(
      partition: raw.partition, positions: raw.positions, payload: raw.payload, misfits: misfits, next: raw.next)
    for field in [
      Field(name: "b", path: ["a"], type: .int), Field(name: "b", path: ["a"], type: .int, required: true),
      Field(name: "b", path: ["a"], type: .string), Field(name: "b", path: ["a"], type: .int, defaultValue: .int(7)),
    ] {
      let letters = Decoder(schema: schema(field)).decode(batch).deadLetters
      let letter = letters.first { $0.position.row == 1 }
      #expect(letter?.reason == .outOfRange && letter?.stage == .decode && letter?.field == "b")
      #expect(letter?.message == "b: expected an integer of 64 bits, found 9e99")
      #expect(letter?.raw == Array(#"{"t":"1970-01-01T00:00:00.000002Z","a":"9e99","undeclared":"9e99"}"#.utf8))
    }
    // Of a column that nobody reads nothing is said.
    let other = Decoder(schema: schema(Field(name: "c", type: .int))).decode(batch)
    #expect(other.deadLetters.isEmpty && other.events.count == 3)
  }

  @Test func rowsWithTooMuchTextBecomeDeadLetters() {
    let plain = Column(.string, [.string("12345"), .string("1234"), .null])
    let coded = Column(
      .string(StringColumn(offsets: [0, 1, 6, 6], bytes: Array("abcdef".utf8), codes: [1, 1, 0])))
    for (limit, expected) in [(10, []), (9, [0]), (8, [0, 1]), (1, [0, 1]), (0, [0, 1, 2])] as [(Int, [Int64])] {
      let schema = schema(Field(name: "a", type: .string), maxEventBytes: limit)
      let raw = columnBatch(
        [NamedColumn("t", times), NamedColumn("a", plain), NamedColumn("undeclared", coded)], count: 3)
      let decoded = Decoder(schema: schema).decode(raw)
      #expect(decoded.deadLetters.map(\.position.row) == expected)
      #expect(decoded.deadLetters.allSatisfy { $0.reason == .tooLarge && $0.stage == .read })
      #expect(decoded.events.count == 3 - expected.count)
    }
  }

  @Test func columnsOfAnotherTypeAreCoerced() {
    let ints = Column(.int, [.int(0), .null, .int(1)])
    #expect(
      decode(Field(name: "a", type: .double), ints).events.columns[1]
        == Column(.double, [.double(0), .null, .double(1)]))
    #expect(
      decode(Field(name: "a", type: .bool), ints).events.columns[1]
        == Column(.bool, [.bool(false), .null, .bool(true)]))
    #expect(
      decode(Field(name: "a", type: .timestamp(.seconds)), ints).events.columns[1]
        == Column(.timestamp, [.timestamp(0), .null, .timestamp(1_000_000)]))
    #expect(
      decode(Field(name: "a", type: .int), Column(.double, [.double(16), .null, .double(-2)])).events.columns[1]
        == Column(.int, [.int(16), .null, .int(-2)]))
    let dictionary = Column(
      .string(StringColumn(offsets: [0, 10, 20], bytes: Array("2018-01-012018-01-02".utf8), codes: [1, 0, 1])))
    #expect(
      decode(Field(name: "a", type: .timestamp(.automatic)), dictionary).events.columns[1]
        == Column(
          .timestamp,
          [
            .timestamp(1_514_851_200_000_000), .timestamp(1_514_764_800_000_000), .timestamp(1_514_851_200_000_000),
          ]))
    #expect(
      decode(
        Field(name: "a", type: .int, numericStrings: true), Column(.string, [.string("4"), .null, .string(" 5 ")])
      ).events.columns[1] == Column(.int, [.int(4), .null, .int(5)]))
  }

  @Test func valuesThatDoNotFitBecomeDeadLetters() {
    func reasons(_ type: FieldType, _ column: Column) -> [DeadLetter.Reason] {
      let decoded = decode(Field(name: "a", type: type), column)
      #expect(decoded.events.count + decoded.deadLetters.count == 3)
      return decoded.deadLetters.map(\.reason)
    }
    let odd = Column(.double, [.double(.nan), .double(.infinity), .double(1.5)])
    #expect(reasons(.double, odd) == [.outOfRange, .outOfRange])
    #expect(reasons(.int, odd) == [.outOfRange, .outOfRange, .wrongType])
    #expect(reasons(.string, Column(.int, [.int(1), .null, .null])) == [.wrongType])
    #expect(reasons(.int, Column(.string, [.string("1"), .null, .null])) == [.wrongType])
    #expect(reasons(.int, times) == [.wrongType, .wrongType, .wrongType])
    #expect(
      reasons(.timestamp(.automatic), Column(.timestamp, [.timestamp(.max), .timestamp(.min), .null]))
        == [.outOfRange, .outOfRange])
    #expect(
      reasons(.json, Column(.string, [.string("{\"a\":1}"), .string("{"), .string("null")])) == [.wrongType])
  }

  @Test func deadLettersCarryTheRowAsJSON() {
    let schema = schema(Field(name: "a", type: .int, minimum: .int(0)))
    let columns: [NamedColumn] = [
      NamedColumn("t", times), NamedColumn("a", Column(.int, [.int(1), .int(-1), .null])),
      NamedColumn("other", Column(.string, [.string("x"), .string("y\"\n"), .null])),
    ]
    let decoded = Decoder(schema: schema).decode(columnBatch(columns, count: 3))
    #expect(decoded.events.positions.rows == [0, 2])
    #expect(decoded.events.eventTimes == [1, 3])
    let letter = decoded.deadLetters.first
    #expect(letter?.position.offset == 1)
    #expect(
      letter.map { String(decoding: $0.raw, as: UTF8.self) }
        == #"{"t":"1970-01-01T00:00:00.000002Z","a":-1,"other":"y\"\n"}"#)
    let strict = Detection.Schema(
      fields: schema.fields, timeField: 0, keyField: nil, unknownFields: .reject)
    let refused = Decoder(schema: strict).decode(columnBatch(columns, count: 3))
    #expect(refused.deadLetters.map(\.reason) == [.unknownField, .unknownField, .unknownField])
    #expect(refused.events.count == 0)
  }
}
