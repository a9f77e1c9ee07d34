// CSV: RFC 4180 cells, the coercions of text, and refusals.

import Detection
import TestKit
import Testing

@Suite struct CSVDecodingTests {
  private let fields = schema(
    Field(name: "a", type: .string), Field(name: "n", type: .int), Field(name: "x", type: .double),
    Field(name: "b", type: .bool), Field(name: "j", type: .json), Field(name: "p.q", type: .int))
  private let header = ["n", "t", "ignored", "a", "x", "b", "j", "p.q"]

  @Test func cellsAreCoerced() {
    let decoded = decodeCSV(
      fields, header: header,
      [
        #"1,2018-01-01,?,text,1.5,true,"{""k"": [1]}",7"#, #" 007 ,0,,"with ""quotes"", commas",.5,0,[],+1"#,
        #",0,,,,,,"#, #""","0",,"","","","","""#, #"1.0,"2018-01-01 10:00:00",,"two\#nlines",1e3,FALSE,null,2"#,
        #"-5,0,,un"quoted" text,-0,1, 1 ,3"#,
      ])
    #expect(decoded.deadLetters.isEmpty, "\(decoded.deadLetters)")
    let columns = decoded.events.columns
    #expect(
      columns[1]
        == Column(
          .string,
          [
            .string("text"), .string(#"with "quotes", commas"#), .null, .string(""), .string("two\nlines"),
            .string(#"un"quoted" text"#),
          ]))
    #expect(columns[2] == Column(.int, [.int(1), .int(7), .null, .null, .int(1), .int(-5)]))
    #expect(columns[3] == Column(.double, [.double(1.5), .double(0.5), .null, .null, .double(1000), .double(0)]))
    #expect(columns[4] == Column(.bool, [.bool(true), .bool(false), .null, .null, .bool(false), .bool(true)]))
    #expect(
      columns[5] == Column(.string, [.string(#"{"k": [1]}"#), .string("[]"), .null, .null, .null, .string(" 1 ")]))
    #expect(columns[6] == Column(.int, [.int(7), .int(1), .null, .null, .int(2), .int(3)]))
    #expect(decoded.events.eventTimes[4] == 1_514_800_800_000_000)
  }

  @Test(arguments: [
    ("x,0,,a,1,1,1,1", DeadLetter.Reason.wrongType, "n"), ("1,0,,a,nan,1,1,1", .wrongType, "x"),
    ("1,0,,a,1,maybe,1,1", .wrongType, "b"), ("1,0,,a,1,1,{x,1", .wrongType, "j"), ("1,,,a,1,1,1,1", .missing, "t"),
    ("1,soon,,a,1,1,1,1", .invalidTimestamp, "t"), ("1,0,,a", .wrongColumnCount, ""),
    ("1,0,,a,1,1,1,1,", .wrongColumnCount, ""), ("1,0,,\"a,1,1,1,1", .malformed, ""),
    ("1,0,,\"a\"b,1,1,1,1", .malformed, ""), ("9223372036854775808,0,,a,1,1,1,1", .outOfRange, "n"),
    ("1,0,,a,1e999,1,1,1", .outOfRange, "x"), ("1,0,,a,1,1,\"[1\",1", .wrongType, "j"),
    ("1,0,,a,1,1,\"\"\"\\q\"\"\",1", .wrongType, "j"),
  ])
  func refused(_ record: String, _ reason: DeadLetter.Reason, _ field: String) {
    let good = "1,0,,a,1,1,1,1"
    let decoded = decodeCSV(fields, header: header, [good, record, good])
    #expect(decoded.deadLetters.map(\.reason) == [reason])
    #expect((decoded.deadLetters.first?.field ?? "") == field)
    #expect(decoded.deadLetters.first?.raw == Array(record.utf8))
    #expect(decoded.events.positions.rows == [0, 2])
  }

  @Test(arguments: CSVDelimiter.allCases)
  func cellsEndAtTheirDelimiter(_ delimiter: CSVDelimiter) {
    let mark = String(decoding: [delimiter.byte], as: UTF8.self)
    let others = CSVDelimiter.allCases.filter { $0 != delimiter }.map { String(decoding: [$0.byte], as: UTF8.self) }
    let cells = ["1", "a" + others.joined(), "\"x" + mark + "y\""]
    let records = [Array(cells.joined(separator: mark).utf8), Array("2\(mark)\"b\"c\(mark)".utf8)]
    let batch = QueryEvents.batch(of: records)
    let raw = RawBatch(
      partition: batch.partition, positions: batch.positions,
      payload: .csv(RecordBytes(records), header: ["t", "a", "b"], delimiter: delimiter), next: batch.next)
    let schema = schema(Field(name: "a", type: .string), Field(name: "b", type: .string))
    let decoded = Decoder(schema: schema).decode(raw)
    #expect(decoded.events.columns[1] == Column(.string, [.string("a" + others.joined())]))
    #expect(decoded.events.columns[2] == Column(.string, [.string("x" + mark + "y")]))
    #expect(decoded.deadLetters.map(\.reason) == [.malformed])
    #expect(decoded.deadLetters.first?.message.contains(delimiter.title) == true)
  }

  @Test(
    arguments: [
      ("a,b,c\n1;2;3;4;5", .comma), ("a;b\n1,2,3", .semicolon), ("a\tb\tc, d", .tab), ("\"a;b;c\"|x|\"y;\"\n", .bar),
      ("alone\n1;2", .comma), ("", .comma),
    ] as [(String, CSVDelimiter)])
  func headersTellTheirDelimiter(_ text: String, _ delimiter: CSVDelimiter) {
    #expect(CSVDelimiter(header: text) == delimiter)
  }

  @Test func delimitersAreNamed() {
    #expect(
      [",", ";", "|", "tab", "\t", "\\t"].map { CSVDelimiter(text: $0) } == [
        .comma, .semicolon, .bar, .tab, .tab, .tab,
      ])
    #expect(["", ",,", " ", "comma"].allSatisfy { CSVDelimiter(text: $0) == nil })
    #expect(CSVDelimiter(name: "a/B.TSV") == .tab && CSVDelimiter(name: "tsv.csv") == .comma)
  }

  @Test func refusalsOfWholeRecords() {
    let bad = [Array("1,\"".utf8) + [0xFF] + Array("\"".utf8), Array("1,x".utf8), Array("1,123456789".utf8)]
    let batch = QueryEvents.batch(of: bad)
    let raw = RawBatch(
      partition: batch.partition, positions: batch.positions, payload: .csv(RecordBytes(bad), header: ["t", "a"]),
      next: batch.next)
    let decoded = Decoder(schema: schema(Field(name: "a", type: .string), maxEventBytes: 10)).decode(raw)
    #expect(decoded.deadLetters.map(\.reason) == [.invalidUTF8, .tooLarge])
    #expect(decoded.events.columns[1] == Column(.string, [.string("x")]))
  }

  @Test func headersAreChecked() {
    let strict = schema(Field(name: "a", type: .int), unknownFields: .reject)
    #expect(decodeCSV(strict, header: ["t", "a"], ["0,1"]).deadLetters.isEmpty)
    #expect(decodeCSV(strict, header: ["t", "z"], ["0,1"]).deadLetters.map(\.reason) == [.unknownField])
    #expect(decodeCSV(strict, header: ["t", "a", "a"], ["0,1,2"]).deadLetters.map(\.reason) == [.duplicateKey])
    #expect(value(decodeCSV(schema(Field(name: "a", type: .int)), header: ["t"], ["0"])) == .null)
    let required = schema(Field(name: "a", type: .int, required: true))
    #expect(decodeCSV(required, header: ["t"], ["0"]).deadLetters.map(\.reason) == [.missing])
  }

  @Test func aDecoderMayMeetSeveralHeaders() {
    let decoder = Decoder(schema: schema(Field(name: "a", type: .int)))
    for (header, record) in [(["t", "a"], "0,1"), (["a", "t"], "1,0"), (["t"], "0"), (["t", "a"], "0,1")] {
      let batch = QueryEvents.batch(of: [Array(record.utf8)])
      let raw = RawBatch(
        partition: batch.partition, positions: batch.positions,
        payload: .csv(RecordBytes([Array(record.utf8)]), header: header), next: batch.next)
      #expect(value(decoder.decode(raw)) == (header.count == 1 ? .null : .int(1)))
    }
  }

  @Test func randomTextSurvivesQuoting() {
    var random = SeededRandom(seed: 11)
    let pieces = ["a", ",", "\"", "\n", "\r\n", "é", " "]
    for _ in 0..<300 {
      let cells = (0..<20).map { _ in
        (0..<2).map { _ in
          (0..<Int.random(in: 0..<6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
        }
      }
      let records = cells.map { row in
        row.map { "\"" + $0.replacing("\"", with: "\"\"") + "\"" }.joined(separator: ",") + ",0"
      }
      let schema = schema(Field(name: "a", type: .string), Field(name: "b", type: .string))
      let decoded = decodeCSV(schema, header: ["a", "b", "t"], records)
      #expect(decoded.events.columns[1] == Column(.string, cells.map { .string($0[0]) }))
      #expect(decoded.events.columns[2] == Column(.string, cells.map { .string($0[1]) }))
    }
  }
}
