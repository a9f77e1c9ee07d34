// JSON events: every coercion of the table in `Coercion.swift`, every reason code, and what is read where.

import Detection
import TestKit
import Testing

@Suite struct JSONDecodingTests {
  // ---- Coercions ----

  @Test(arguments: [
    ("5", 5), ("-5", -5), ("0", 0), ("-0", 0), ("16.0", 16), ("1e3", 1000), ("-2.50e1", -25), ("0.0", 0),
    ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("0e999", 0),
    ("9007199254740993", 9_007_199_254_740_993), ("9007199254740991.0", 9_007_199_254_740_991),
  ])
  func intAccepts(_ text: String, _ expected: Int) {
    #expect(value(decode(a: text, as: Field(name: "a", type: .int))) == .int(Int64(expected)))
  }

  @Test(arguments: [
    ("16.5", DeadLetter.Reason.wrongType), ("true", .wrongType), ("\"5\"", .wrongType), ("{}", .wrongType),
    ("[5]", .wrongType), ("9223372036854775808", .outOfRange), ("-9223372036854775809", .outOfRange),
    ("9007199254740993.0", .outOfRange), ("-9007199254740993.0", .outOfRange), ("9.007199254740993e15", .outOfRange),
    ("1e300", .outOfRange), ("1e400", .outOfRange), ("-1e400", .outOfRange),
    ("123456789012345678901234567890", .outOfRange), ("1e-400", .wrongType),
  ])
  func intRefuses(_ text: String, _ reason: DeadLetter.Reason) {
    if text == "1e-400" {
      // Nearest double: zero, which is an integer.
      #expect(value(decode(a: text, as: Field(name: "a", type: .int))) == .int(0))
      return
    }
    let letter = decode(a: text, as: Field(name: "a", type: .int)).deadLetters.first
    #expect(letter?.reason == reason)
    #expect(letter?.field == "a")
    #expect(letter?.stage == .decode)
  }

  @Test(arguments: [
    ("5", 5.0), ("5.25", 5.25), ("-1.5e-3", -0.0015), ("0.1", 0.1), ("0.30000000000000004", 0.30000000000000004),
    ("9223372036854775808", 9_223_372_036_854_775_808.0), ("1e308", 1e308), ("5e-324", Double.leastNonzeroMagnitude),
    ("1e-400", 0.0),
    ("179769313486231570000000000000000000000", 1.7976931348623157e38), ("1E+2", 100),
    ("2.2250738585072014e-308", 2.2250738585072014e-308),
    ("9007199254740993", 9_007_199_254_740_992), ("123456789.123456789012345678", 123456789.123456789012345678),
  ])
  func doubleAccepts(_ text: String, _ expected: Double) {
    #expect(value(decode(a: text, as: Field(name: "a", type: .double))) == .double(expected))
  }

  @Test func negativeZeroKeepsItsSign() {
    for text in ["-0", "-0.0", "-0e5", "-1e-400"] {
      guard case .double(let zero) = value(decode(a: text, as: Field(name: "a", type: .double))) else {
        Issue.record("\(text) is no double")
        continue
      }
      #expect(zero == 0 && zero.sign == .minus)
    }
  }

  @Test func doubleRefuses() {
    let field = Field(name: "a", type: .double)
    #expect(decode(a: "1e400", as: field).deadLetters.first?.reason == .outOfRange)
    #expect(decode(a: "\"1\"", as: field).deadLetters.first?.reason == .wrongType)
    #expect(decode(a: "false", as: field).deadLetters.first?.reason == .wrongType)
  }

  @Test func boolAccepts() {
    let field = Field(name: "a", type: .bool)
    for (text, expected) in [
      ("true", true), ("false", false), ("1", true), ("0", false), ("1.0", true), ("\"true\"", true),
      ("\"False\"", false), ("\"\\u0074rue\"", true),
    ] {
      #expect(value(decode(a: text, as: field)) == .bool(expected), "\(text)")
    }
    for text in ["2", "-1", "0.5", "\"yes\"", "\"1\"", "\"\"", "[]"] {
      #expect(decode(a: text, as: field).deadLetters.first?.reason == .wrongType, "\(text)")
    }
    let lenient = Field(name: "a", type: .bool, numericStrings: true)
    #expect(value(decode(a: "\"1\"", as: lenient)) == .bool(true))
    #expect(value(decode(a: "\"TRUE\"", as: lenient)) == .bool(true))
  }

  @Test func stringAccepts() {
    let field = Field(name: "a", type: .string)
    for (text, expected) in [
      ("\"\"", ""), ("\"abc\"", "abc"), (#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{C}\n\r\tz"),
      (#""\u00e9\u20AC""#, "é€"), (#""\ud83d\ude00!""#, "😀!"), ("\"😀\"", "😀"), (#""\u0000""#, "\0"),
      ("\"\(String(repeating: "x", count: 100))\"", String(repeating: "x", count: 100)),
    ] {
      #expect(value(decode(a: text, as: field)) == .string(expected))
    }
    for text in ["5", "true", "{}", "[\"a\"]"] {
      #expect(decode(a: text, as: field).deadLetters.first?.reason == .wrongType, "\(text)")
    }
  }

  @Test func numericStringsCountOnlyWhereAllowed() {
    let int = Field(name: "a", type: .int, numericStrings: true)
    for (text, expected) in [("\"42\"", 42), ("\" +007 \"", 7), ("\"1e2\"", 100), ("\"\\u0034\"", 4), ("9", 9)] {
      #expect(value(decode(a: text, as: int)) == .int(Int64(expected)), "\(text)")
    }
    let double = Field(name: "a", type: .double, numericStrings: true)
    for (text, expected) in [("\".5\"", 0.5), ("\"5.\"", 5.0), ("\"-1.25e1\"", -12.5)] {
      #expect(value(decode(a: text, as: double)) == .double(expected), "\(text)")
    }
    for text in ["\"\"", "\"nan\"", "\"inf\"", "\"0x10\"", "\"1_0\"", "\"--1\"", "\".\"", "\"1e\"", "\"1 2\""] {
      #expect(decode(a: text, as: double).deadLetters.first?.reason == .wrongType, "\(text)")
    }
    #expect(decode(a: "\"1e999\"", as: double).deadLetters.first?.reason == .outOfRange)
  }

  @Test func timestampFollowsItsFormat() {
    func field(_ format: TimestampFormat) -> Field { Field(name: "a", type: .timestamp(format)) }
    #expect(value(decode(a: "\"2018-01-01T00:00:00Z\"", as: field(.automatic))) == .timestamp(1_514_764_800_000_000))
    #expect(
      value(decode(a: "\"2018-01-01T00\\u003a00:00Z\"", as: field(.rfc3339))) == .timestamp(1_514_764_800_000_000))
    #expect(value(decode(a: "1514764800", as: field(.automatic))) == .timestamp(1_514_764_800_000_000))
    #expect(value(decode(a: "1514764800.5", as: field(.seconds))) == .timestamp(1_514_764_800_500_000))
    #expect(value(decode(a: "null", as: field(.seconds))) == .null)
    #expect(value(decode(a: "0", as: field(.seconds))) == .timestamp(0))
    #expect(decode(a: "\"yesterday\"", as: field(.automatic)).deadLetters.first?.reason == .invalidTimestamp)
    #expect(decode(a: "\"1514764800\"", as: field(.seconds)).deadLetters.first?.reason == .wrongType)
    #expect(decode(a: "1514764800", as: field(.rfc3339)).deadLetters.first?.reason == .wrongType)
    #expect(decode(a: "1e300", as: field(.seconds)).deadLetters.first?.reason == .outOfRange)
    #expect(decode(a: "true", as: field(.automatic)).deadLetters.first?.reason == .wrongType)
  }

  @Test func jsonKeepsTheTextOfTheValue() {
    let field = Field(name: "a", type: .json)
    for text in ["{\"b\": [1, {\"c\":null}] }", "[]", "\"x\\ny\"", "1.50", "true"] {
      #expect(value(decode(a: " \(text) ", as: field)) == .string(text))
    }
    #expect(value(decode(a: "null", as: field)) == .null)
  }

  // ---- Paths ----

  @Test func nestedFieldsAreReadByPath() {
    let schema = schema(
      Field(name: "payload.amount", type: .double), Field(name: "payload.user.id", type: .int),
      Field(name: "payload", type: .json), Field(name: "id", path: ["payload", "user", "id"], type: .int))
    let decoded = decode(
      schema,
      [
        #"{"t":0,"payload":{"user":{"x":[{}],"id":7},"amount":1.5}}"#, #"{"payload":null,"t":0}"#, #"{"t":0}"#,
        #"{"t":0,"payload":{}}"#, #"{"t":0,"payload":{"user":5}}"#, #"{"t":0,"payload":[1]}"#,
      ])
    #expect(decoded.events.columns[1] == Column(.double, [.double(1.5), .null, .null, .null]))
    #expect(decoded.events.columns[2] == Column(.int, [.int(7), .null, .null, .null]))
    let raw = #"{"user":{"x":[{}],"id":7},"amount":1.5}"#
    #expect(decoded.events.columns[3] == Column(.string, [.string(raw), .null, .null, .string("{}")]))
    #expect(decoded.events.columns[4] == decoded.events.columns[2])
    #expect(decoded.deadLetters.map(\.reason) == [.wrongType, .wrongType])
    #expect(decoded.deadLetters.map(\.field) == ["payload.user.id", "payload.amount"])
  }

  @Test func fieldsThatNoRecordHasAreNamed() {
    let declared = schema(
      Field(name: "a", type: .int), Field(name: "b", type: .int, defaultValue: .int(7)),
      Field(name: "c", type: .string),
      Field(name: "d", type: .bool, defaultValue: .bool(false)))
    func absent(_ records: String...) -> Set<Int> { decode(declared, records).absentFields }
    #expect(absent(#"{"t":0}"#, #"{"t":1,"a":null}"#) == [1, 2, 3, 4], "a default is no value of an event")
    #expect(absent(#"{"t":0,"d":true}"#, #"{"t":1,"a":5}"#, #"{"t":2,"c":""}"#) == [2])
    #expect(absent(#"{"t":0,"a":1,"b":1,"c":"x","d":false}"#, #"{"t":1}"#) == [])
    // Nothing that was decoded has anything: what comes of other batches decides.
    #expect(absent("broken") == [0, 1, 2, 3, 4])
    #expect(decodeCSV(declared, header: ["t", "a", "c"], ["0,,x", "1,,"]).absentFields == [1, 2, 4])
    let columns = columnBatch([NamedColumn("t", Column(.timestamp, [.timestamp(0)]))], count: 1)
    #expect(Decoder(schema: declared).decode(columns).absentFields == [1, 2, 3, 4])
  }

  @Test func theSameValueCanBeTwoFields() {
    let schema = schema(
      Field(name: "a", type: .string), Field(name: "b", path: ["a"], type: .int, numericStrings: true),
      Field(name: "c", path: ["a"], type: .json))
    let decoded = decode(schema, [#"{"t":0,"a":"12"}"#])
    #expect(decoded.deadLetters.isEmpty)
    #expect(decoded.events.columns[1...].map { $0[0] } == [.string("12"), .int(12), .string("\"12\"")])
  }

  @Test func keysAreFoundInAnyOrderAndSpelling() {
    let names = ["a", "ab", "abcdefg", "abcdefgh", "abcdefghi", "äöü", "with \"quote\"", "back\\slash", ""]
    let fields = names.map { Field(name: $0, path: [$0], type: .int) }
    let schema = Schema(
      fields: [Field(name: "t", type: .timestamp(.automatic), required: true)] + fields, timeField: 0, keyField: nil)
    let written = [
      "a", "a\\u0062", "abcdefg", "abcdefgh", "\\u0061bcdefghi", "\\u00e4öü", "with \\\"quote\\\"", "back\\\\slash", "",
    ]
    var random = SeededRandom(seed: 3)
    let records = (0..<200).map { row in
      let keys = (written.indices.map { "\"\(written[$0])\":\(row * 10 + $0)" } + ["\"t\" : 0", "\"other\":[1]"])
        .shuffled(using: &random)
      return "{" + keys.joined(separator: row % 2 == 0 ? "," : " ,\t") + "}"
    }
    let decoded = decode(schema, records)
    #expect(decoded.deadLetters.isEmpty)
    for index in names.indices {
      #expect(decoded.events.columns[index + 1] == Column(.int, (0..<200).map { .int(Int64($0 * 10 + index)) }))
    }
  }

  // ---- Refusals ----

  @Test(arguments: [
    ("", DeadLetter.Reason.malformed), (" \t", .malformed), ("{", .malformed), (#"{"t":0"#, .malformed),
    (#"{"t":0,"#, .malformed), (#"{"t":0,}"#, .malformed), (#"{"t":0}}"#, .malformed), (#"{"t":0} x"#, .malformed),
    (#"{"t":0}{"t":1}"#, .malformed), (#"{"t" 0}"#, .malformed), (#"{t:0}"#, .malformed),
    (#"{"t":0 "a":1}"#, .malformed),
    (#"{"t":0,"z":tru}"#, .malformed), (#"{"t":0,"z":truee}"#, .malformed), (#"{"t":0,"z":01}"#, .malformed),
    (#"{"t":0,"z":1.}"#, .malformed), (#"{"t":0,"z":.5}"#, .malformed), (#"{"t":0,"z":+1}"#, .malformed),
    (#"{"t":0,"z":1e}"#, .malformed), (#"{"t":0,"z":-}"#, .malformed), (#"{"t":0,"z":NaN}"#, .malformed),
    (#"{"t":0,"z":Infinity}"#, .malformed), (#"{"t":0,"z":-Infinity}"#, .malformed), (#"{"t":0,"a":NaN}"#, .malformed),
    (#"{"t":0,"z":[1,]}"#, .malformed), (#"{"t":0,"z":[1 2]}"#, .malformed), (#"{"t":0,"z":{"b"}}"#, .malformed),
    (#"{"t":0,"z":[}]}"#, .malformed), (#"{"t":0,"z":"\x"}"#, .malformed), (#"{"t":0,"z":"\u12g4"}"#, .malformed),
    (#"{"t":0,"z":"\ud800"}"#, .malformed), (#"{"t":0,"z":"\udc00"}"#, .malformed),
    (#"{"t":0,"z":"\ud800\u0041"}"#, .malformed), (#"{"t":0,"z":"abc}"#, .malformed), (#"{"t":0,"z":"\"}"#, .malformed),
    ("{\"t\":0,\"z\":\"a\u{1}\"}", .malformed), ("{\"t\":0,\"z\":\"a\nb\"}", .malformed),
    (#"{"t":0,"z":1"x"}"#, .malformed),
    (#"{"t":0,"z":'a'}"#, .malformed), (#"{"t":0}//"#, .malformed), (#"{"t":0,"\ud800":1}"#, .malformed),
    (#"{,"t":0}"#, .malformed), (#"{"t"::0}"#, .malformed), (#"{"t":0,,"a":1}"#, .malformed), (#"[1,"#, .malformed),
    ("\u{FEFF}{\"t\":0}", .malformed), ("{\"t\":\u{C}0}", .malformed), ("{\"t\":0\0}", .malformed),
    ("[]", .notAnObject), ("5", .notAnObject), ("\"x\"", .notAnObject), ("null", .notAnObject),
    (" [{\"t\":0}] ", .notAnObject),
    (#"{"t":0,"t":0}"#, .duplicateKey), (#"{"t":0,"a":null,"\u0061":1}"#, .duplicateKey),
    (#"{"t":null}"#, .missing), (#"{"a":1}"#, .missing),
  ])
  func refused(_ record: String, _ reason: DeadLetter.Reason) {
    let good = #"{"t":1,"a":2}"#
    // Alone, and among good records of one group, where it must not harm its neighbours.
    for records in [[record], [good, record, good], [record, record, good]] {
      let decoded = decode(schema(Field(name: "a", type: .int)), records)
      let refused = records.count { $0 == record }
      #expect(decoded.deadLetters.map(\.reason) == Array(repeating: reason, count: refused))
      #expect(decoded.events.columns[1] == Column(.int, Array(repeating: .int(2), count: records.count - refused)))
      #expect(decoded.deadLetters.first?.raw == Array(record.utf8))
      #expect(decoded.deadLetters.first?.length == record.utf8.count)
    }
  }

  @Test(arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]])
  func invalidUTF8IsRefusedWhereverItIs(_ bytes: [UInt8]) {
    let good = Array(#"{"t":1}"#.utf8)
    for key in ["t\":0,\"z", "t\":0,\"a"] {
      let bad = Array("{\"\(key)\":\"".utf8) + bytes + Array("\"}".utf8)
      let batch = QueryEvents.batch(of: [good, bad, good])
      let decoded = Decoder(schema: schema(Field(name: "a", type: .string))).decode(batch)
      #expect(decoded.deadLetters.map(\.reason) == [.invalidUTF8])
      #expect(decoded.deadLetters.first?.raw == bad)
      #expect(decoded.events.count == 2)
    }
  }

  @Test func nestingIsBounded() {
    func nested(_ depth: Int) -> String {
      let inner = depth - 1
      return #"{"t":0,"a":\#(String(repeating: "[", count: inner))\#(String(repeating: "]", count: inner))}"#
    }
    for field in [Field(name: "a", type: .json), Field(name: "b", type: .json)] {
      #expect(decode(schema(field), [nested(Limits.maxNesting)]).deadLetters.isEmpty)
      #expect(decode(schema(field), [nested(Limits.maxNesting + 1)]).deadLetters.map(\.reason) == [.tooDeep])
      let unclosed = #"{"t":0,"a":"# + String(repeating: "[", count: 100_000)
      #expect(decode(schema(field), [unclosed]).deadLetters.map(\.reason) == [.tooDeep])
    }
    #expect(decode(schema(), [String(repeating: "[", count: 100_000)]).deadLetters.map(\.reason) == [.tooDeep])
    let deep = Field(name: "deep", path: Array(repeating: "a", count: 80), type: .int)
    let objects = #"{"t":0,"a":"# + String(repeating: #"{"a":"#, count: 79) + "1" + String(repeating: "}", count: 80)
    #expect(decode(schema(deep), [objects]).deadLetters.map(\.reason) == [.tooDeep])
  }

  @Test func largeEventsAreRefused() {
    let small = schema(maxEventBytes: 20)
    let decoded = decode(small, [#"{"t":0,"zzzzzzzz":1}"#, #"{"t":0,"zzzzzzzzz":1}"#, #"{"t":0}"#])
    #expect(decoded.deadLetters.map(\.reason) == [.tooLarge])
    #expect(decoded.events.count == 2)
    let huge = "{\"t\":0,\"z\":\"" + String(repeating: "x", count: Limits.maxEventBytes) + "\"}"
    let letter = decode(schema(), [huge]).deadLetters.first
    #expect(letter?.reason == .tooLarge)
    #expect(letter?.raw.count == Limits.oversizedExcerptBytes)
    #expect(letter?.length == huge.utf8.count)
    let most = "{\"t\":0,\"a\":\"" + String(repeating: "x", count: Limits.maxEventBytes - 14) + "\"}"
    #expect(most.utf8.count == Limits.maxEventBytes)
    #expect(decode(schema(Field(name: "a", type: .string)), [most]).deadLetters.isEmpty)
  }

  @Test func unknownFieldsAreIgnoredOrRefused() {
    let records = [#"{"t":0,"a":{"b":1}}"#, #"{"t":0,"z":1}"#, #"{"t":0,"a":{"b":1,"z":[]}}"#, #"{"t":0,"j":{"z":1}}"#]
    let fields = [Field(name: "a.b", type: .int), Field(name: "j", type: .json)]
    #expect(decode(schema(fields[0], fields[1]), records).deadLetters.isEmpty)
    let strict = decode(schema(fields[0], fields[1], unknownFields: .reject), records)
    #expect(strict.deadLetters.map(\.reason) == [.unknownField, .unknownField])
    #expect(strict.deadLetters.map(\.position.row) == [1, 2])
    #expect(strict.deadLetters.allSatisfy { $0.message.contains("\"z\"") })
  }

  @Test func duplicatesOfUndeclaredKeysAreNobodysBusiness() {
    let decoded = decode(schema(Field(name: "a.b", type: .int)), [#"{"z":1,"t":0,"z":{"t":1},"z":3}"#])
    #expect(decoded.deadLetters.isEmpty)
    let twice = decode(schema(Field(name: "a.b", type: .int)), [#"{"t":0,"a":{},"a":{"b":1}}"#])
    #expect(twice.deadLetters.map(\.reason) == [.duplicateKey])
  }

  @Test func manyUndeclaredKeysDoNotMatter() {
    let records = (0..<300).map { row in
      "{" + (0..<100).map { "\"u\(row * 7 + $0)\":{\"a\":\($0)}" }.joined(separator: ",") + ",\"a\":\(row),\"t\":0}"
    }
    let decoded = decode(schema(Field(name: "a", type: .int)), records)
    #expect(decoded.events.columns[1] == Column(.int, (0..<300).map { .int($0) }))
  }

  @Test func oversizedRecordsOfTheSourceTakeTheirPlace() {
    let batch = QueryEvents.batch(of: [#"{"t":0}"#, "x", #"{"t":0}"#].map { Array($0.utf8) })
    let oversized = DeadLetter(
      position: Position(segment: 0, offset: 3, row: 0), stage: .read, reason: .tooLarge, message: "large", raw: [])
    let raw = RawBatch(
      partition: batch.partition, positions: batch.positions, payload: batch.payload, oversized: [oversized],
      next: batch.next)
    let decoded = Decoder(schema: schema()).decode(raw)
    #expect(decoded.deadLetters.map(\.position.offset) == [3, 8])
    #expect(decoded.events.positions.offsets == [0, 10])
    #expect(decoded.events.positions.rows == [0, 2])
  }

  @Test func recordsNeedNoLineEndsBetweenThem() {
    let first = Array(#"{"t":1,"a":"x"}"#.utf8)
    let second = Array(#"{"t":2,"a":12"#.utf8)
    let third = Array(#"34}"#.utf8)
    let bytes = first + second + third + [UInt8](repeating: 0x39, count: Limits.bytePadding)
    let bounds = [0, first.count, first.count + second.count, first.count + second.count + third.count].map(UInt32.init)
    let raw = RawBatch(
      partition: PartitionID(source: "log", number: 3),
      positions: RecordPositions(segment: 0, offsets: [5, 6, 9], rows: [5, 6, 9]),
      payload: .json(RecordBytes(bytes: bytes, starts: Array(bounds[..<3]), ends: Array(bounds[1...]))),
      next: Position(segment: 0, offset: 10, row: 10))
    let decoded = Decoder(schema: schema(Field(name: "a", type: .string))).decode(raw)
    #expect(decoded.events.eventTimes == [1_000_000])
    #expect(decoded.deadLetters.map(\.reason) == [.malformed, .malformed])
    #expect(decoded.deadLetters.map(\.position.offset) == [6, 9])
  }
}
