// `pulse infer`: the text it writes passes the check, whatever the sample holds, and says what was seen.

import Foundation
import TestKit
import Testing

@testable import Configuration
@testable import Detection

@Suite struct ConfigurationInferenceTests {
  private func infer(_ sample: EventSample) throws -> String {
    try UseCaseInference.pipeline(for: sample, name: "My sample.ndjson", source: "sample.ndjson")
  }

  /// The text with the commented example taken as it is.
  private func withExamples(_ text: String) -> String {
    guard let start = text.range(of: "# rules:") else { return text }
    let examples = text[start.lowerBound...].split(separator: "\n").map { $0.hasPrefix("# ") ? $0.dropFirst(2) : $0 }
    return text[..<start.lowerBound] + examples.joined(separator: "\n") + "\n"
  }

  private func expectRight(_ text: String) {
    for text in [text, withExamples(text)] {
      let check = UseCaseChecker.check(text: text)
      #expect(check.diagnostics.isEmpty, "\(check.rendered)\n\(text)")
    }
  }

  /// The dead letters that the events of a sample become under the inferred use case, as messages.
  private func rejected(_ text: String, _ payload: RawBatch.Payload, count: Int) throws -> [String] {
    let check = UseCaseChecker.check(text: text)
    let plan = try #require(check.plan, "\(check.rendered)")
    let rows = (0..<count).map { Int64($0) }
    let raw = RawBatch(
      partition: PartitionID(source: "test", number: 0),
      positions: RecordPositions(segment: 0, offsets: rows, rows: rows), payload: payload, next: .start)
    return plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw).deadLetters.map {
      "\($0.field ?? ""): \($0.message)"
    }
  }

  private func ndjson(_ lines: [String]) -> RawBatch.Payload { .json(RecordBytes(lines.map { Array($0.utf8) })) }

  private let logins = (0..<40).map { index in
    "{\"at\": \"2026-03-01T00:00:\(index + 10)Z\", \"user_id\": \(index % 4), \"type\": \"\(index % 3 == 0 ? "login" : "view")\", "
      + "\"amount\": \(index).5, \"ok\": true, \"tags\": [1], \"payload\": {\"n\": \(index), \"deep\": {\"s\": null}}}"
  }.joined(separator: "\n")

  @Test func namesOfHistoryAreLeftToHistory() throws {
    let text = try infer(EventSample(ndjson: #"{"at": "2026-03-01T00:00:00Z", "_row": 1, "_late": true}"#))
    expectRight(text)
    let schema = try UseCaseReader.read(text).get().event.schema
    #expect(schema.fields.map(\.name) == ["at", "_row_", "_late_"])
    #expect(schema.fields.map(\.path) == [["at"], ["_row"], ["_late"]])
  }

  @Test func findsTypesTimeKeyAndConstraints() throws {
    let text = try infer(EventSample(ndjson: logins))
    expectRight(text)
    let useCase = try UseCaseReader.read(text).get()
    #expect(useCase.name == "my_sample_ndjson")
    let schema = useCase.event.schema
    #expect(
      schema.fields.map(\.name) == ["at", "user_id", "type", "amount", "ok", "tags", "payload.n", "payload.deep.s"])
    #expect(
      schema.fields.map(\.type)
        == [.timestamp(.rfc3339), .int, .string, .double, .bool, .json, .int, .string])
    #expect(schema.timeField == 0 && schema.keyField == 1)
    // What the sample only suggests is proposed in comments: but for the event time nothing is required or bounded.
    #expect(schema.fields.allSatisfy { $0.allowed == nil && $0.minimum == nil })
    #expect(schema.fields.map(\.required) == [true, false, false, false, false, false, false, false])
    #expect(text.contains("# int, never null, 4 distinct, from 0 to 3, such as 0, 1, 2; if the rest is like this"))
    #expect(text.contains("add: required: true, allowed: [login, view]\n"))
    #expect(text.contains("add: required: true, min: 0\n"))
    #expect(text.contains("never anything but null; the type is a guess"))
    let lines = logins.split(separator: "\n").map(String.init)
    #expect(try rejected(text, ndjson(lines), count: lines.count).isEmpty)
  }

  @Test(arguments: [("1767225600", "seconds"), ("1767225600123", "milliseconds"), ("1767225600123456", "microseconds")])
  func findsEpochTimesByNameAndSize(_ value: String, _ format: String) throws {
    let line = "{\"event_time\": \(value), \"n\": \(value)}"
    let text = try infer(EventSample(ndjson: line))
    expectRight(text)
    #expect(try rejected(text, ndjson([line]), count: 1).isEmpty)
    let fields = try UseCaseReader.read(text).get().event.schema.fields
    #expect(fields[0].type == .timestamp(TimestampFormat(rawValue: format)!))
    #expect(fields[1].type == .int)
  }

  @Test func prefersTheAscendingTimeThatIsAlwaysThere() throws {
    let lines = (10..<60).map { index in
      "{\"due_time\": \"2026-03-01T00:\(69 - index)0:00Z\", \"seen_at\": \"2026-03-01T00:00:\(index)Z\""
        + (index % 2 == 0 ? ", \"timestamp\": \"2026-03-01T00:00:\(index)Z\"" : "") + "}"
    }
    let useCase = try UseCaseReader.read(try infer(EventSample(ndjson: lines.joined(separator: "\n")))).get()
    #expect(useCase.event.schema.fields[useCase.event.schema.timeField].name == "seen_at")
  }

  @Test func readsCSVWithQuotesAndNulls() throws {
    let text = [
      #"time,host,"load, avg",up,code,empty"#, "2026-03-01 00:00:01,a,0.5,true,007,",
      #"2026-03-01 00:00:02,"b ""x"" c",1,false,008,"#, "short,row", "2026-03-01 00:00:03,a,,true,009,", "",
    ].joined(separator: "\r\n")
    let sample = EventSample(csv: text)
    #expect(sample.events == 3 && sample.unreadable == 1)
    let pipeline = try infer(sample)
    expectRight(pipeline)
    let fields = try UseCaseReader.read(pipeline).get().event.schema.fields
    #expect(fields.map(\.name) == ["time", "host", "load__avg", "up", "code", "empty"])
    #expect(fields.map(\.type) == [.timestamp(.rfc3339), .string, .double, .bool, .string, .string])
    #expect(fields[2].path == ["load, avg"] && !fields[2].required)
    #expect(pipeline.contains("1 record could not be read"))
    let records = text.components(separatedBy: "\r\n").filter { !$0.isEmpty }
    let payload = RawBatch.Payload.csv(
      RecordBytes(records.dropFirst().map { Array($0.utf8) }),
      header: ["time", "host", "load, avg", "up", "code", "empty"])
    let letters = try rejected(pipeline, payload, count: 4)
    #expect(letters.count == 1, "the short row alone: \(letters)")
  }

  @Test func takesColumnsWithTheirTypes() throws {
    let columns = [
      NamedColumn("pickup", Column(.timestamp, [.timestamp(1_000_000), .timestamp(2_000_000)])),
      NamedColumn("Vendor ID", Column(.int, [.int(1), .null])),
      NamedColumn("fare", Column(.double, [.double(-1), .double(.nan)])),
      NamedColumn("flag", Column(.bool, [.bool(true), .null])),
      NamedColumn("s", Column(.string, [.string("x\n\u{7}y"), .string("")])),
    ]
    let sample = EventSample(columns: columns)
    let text = try infer(sample)
    expectRight(text)
    let fields = try UseCaseReader.read(text).get().event.schema.fields
    #expect(fields.map(\.type) == [.timestamp(.automatic), .int, .double, .bool, .string])
    #expect(fields[1].path == ["Vendor ID"] && fields[2].minimum == nil)
    #expect(text.contains("holds NaN"))
    let finite = columns.map { NamedColumn($0.name, $0.column.filtered(Bitmap(count: 2) { $0 == 0 })) }
    #expect(try rejected(text, .columns(finite), count: 1).isEmpty)
  }

  @Test func takesTheTypeOfTheFileWhereTheSampleIsEmpty() throws {
    var sample = EventSample(columns: [])
    sample.declare("late", as: .json)
    let types: [ValueType] = [.int, .double, .bool, .string, .timestamp]
    let columns =
      [
        NamedColumn("t", Column(.timestamp, [.timestamp(1), .timestamp(2)])),
        NamedColumn("late", Column(.string, [.null, .null])),
      ] + types.map { NamedColumn($0.rawValue, Column($0, [.null, .null])) }
    sample.append(columns: columns, limit: 10)
    let text = try infer(sample)
    expectRight(text)
    let fields = try UseCaseReader.read(text).get().event.schema.fields
    let found = Dictionary(uniqueKeysWithValues: fields.map { ($0.path[0], $0.type.name) })
    #expect(found["late"] == "json")
    for type in types { #expect(found[type.rawValue] == type.rawValue) }
    #expect(text.contains("the type is that of the file"))
  }

  @Test func valuesThatFitNoTypeAreReadAsTextOrLeftOut() throws {
    let ids = (0..<2000).map { index -> Scalar in index == 7 ? .null : .int(Int64(index)) }
    let times = Column(.timestamp, (0..<2000).map { .timestamp($0) })
    func misfit(_ row: Int, _ column: String, _ found: String) -> ColumnMisfit {
      ColumnMisfit(row: row, column: column, reason: .outOfRange, expected: "less", found: found)
    }
    var sample = EventSample(columns: [])
    sample.append(
      columns: [NamedColumn("t", times)] + ["id", "few", "many"].map { NamedColumn($0, Column(.int, ids)) },
      misfits: [misfit(7, "id", "18446744073709551615"), misfit(7, "few", "9 seconds")]
        + (0..<3).map { misfit($0, "many", "9 seconds") }, limit: 2000)
    let text = try infer(sample)
    expectRight(text)
    let fields = try UseCaseReader.read(text).get().event.schema.fields
    #expect(fields.map(\.name) == ["t", "id", "few"] && fields.map(\.type.name) == ["timestamp", "string", "int"])
    #expect(text.contains("many is left out: 0.2 % of its values") && text.contains("1 value out of range"))
  }

  @Test func brokenLinesAreSkippedAndSaid() throws {
    var lines = logins.split(separator: "\n").map(String.init)
    lines[3] = #"{"at": "2026-03-01T00:0"#
    lines[9] = "[1]"
    let text = try infer(EventSample(ndjson: "\u{FEFF}\n" + lines.joined(separator: "\r\n") + "\n{\"at\": "))
    expectRight(text)
    #expect(text.contains("from 38 events") && text.contains("3 records could not be read"))
    #expect(text.contains(": lines 5, 11, 42.\n"))
    #expect(try UseCaseReader.read(text).get().event.schema.fields.first?.name == "at")
  }

  @Test func aByteOrderMarkAndAStrayQuoteDoNotEndACSVSample() throws {
    let rows = (10..<60).map { "2026-03-01 00:00:\($0),h\($0 % 3),\($0)" }
    let text = "\u{FEFF}time,host,load\n" + (rows[..<5] + ["2026,\"x", "1,2"] + rows[5...]).joined(separator: "\n")
    let sample = EventSample(csv: text)
    #expect(sample.events == 50 && sample.unreadable == 2 && sample.unreadableLines == [7, 8])
    let inferred = try infer(sample)
    expectRight(inferred)
    #expect(try UseCaseReader.read(inferred).get().event.schema.fields.map(\.name) == ["time", "host", "load"])
  }

  @Test(arguments: [
    (#""2026-03-01T00:00:10Z""#, #""n/a""#, "rfc3339"), (#""2026-03-01T00:00:10Z""#, "0", "rfc3339"),
    ("1767225600", #""n/a""#, "seconds"), ("1767225600123", "0", "milliseconds"),
  ])
  func aFewValuesThatAreNoTimesDoNotHideTheEventTime(_ good: String, _ bad: String, _ format: String) throws {
    let lines = (0..<40).map { index in
      "{\"other_time\": \(index < 8 ? "5" : good), \"event_time\": \(index % 20 == 3 ? bad : good)}"
    }
    let text = try infer(EventSample(ndjson: lines.joined(separator: "\n")))
    expectRight(text)
    let schema = try UseCaseReader.read(text).get().event.schema
    #expect(schema.fields[schema.timeField].name == "event_time")
    #expect(schema.fields[schema.timeField].type == .timestamp(TimestampFormat(rawValue: format)!))
    #expect(text.contains(format == "rfc3339" ? "no time in 2 events, which become dead" : "not likely in 2 events"))
    // A number is a time, if not a likely one.
    #expect(try rejected(text, ndjson(lines), count: lines.count).count == (format == "milliseconds" ? 0 : 2))
    // Where fewer are times, none is taken for one.
    #expect(throws: InferenceError.self) { try infer(EventSample(ndjson: "{\"time\": \(good)}\n{\"time\": \(bad)}")) }
  }

  @Test(arguments: [
    ("", "holds no events"), ("not json\n[1]\n", "2 records could not be read"),
    ("{\"a\": 1}", "looks like an event time"),
  ])
  func saysWhyNothingCanBeInferred(_ text: String, _ reason: String) {
    #expect {
      try UseCaseInference.pipeline(for: EventSample(ndjson: text), name: "x", source: "x")
    } throws: { error in
      (error as? InferenceError)?.description.contains(reason) ?? false
    }
  }

  /// Samples of every type under awkward names: the result always passes the check.
  @Test(arguments: 0..<150)
  func whateverWasSeenPassesTheCheck(_ seed: Int) throws {
    var random = SeededRandom(seed: UInt64(seed))
    let names = [
      "null", "yes", "a b", "a.b", "1st", "é", "", "id", "user_id", "true", "time", "x", "X", "sum", "and", "end", "#",
      "- a", "{",
    ]
    let chosen = names.shuffled(using: &random).prefix(8)
    var lines: [String] = []
    for index in 0..<Int.random(in: 1...60, using: &random) {
      var members = ["\"ts\": \"2026-03-01T00:00:\(10 + index % 50).\(index)Z\""]
      for (position, name) in chosen.enumerated() {
        members.append("\"\(name)\": \(value(kind: (seed + position) % 12, row: index, &random))")
      }
      lines.append("{\(members.joined(separator: ", "))}")
    }
    let pipeline = try infer(EventSample(ndjson: lines.joined(separator: "\n")))
    expectRight(pipeline)
    let letters = try rejected(pipeline, ndjson(lines), count: lines.count)
    #expect(letters.isEmpty, "\(letters)\n\(lines.joined(separator: "\n"))\n\(pipeline)")
  }

  private func value(kind: Int, row: Int, _ random: inout SeededRandom) -> String {
    if Int.random(in: 0..<6, using: &random) == 0 { return "null" }
    switch kind {
    case 0: return String(Int.random(in: -5...5, using: &random))
    case 1: return String(UInt64.random(in: 0 ... .max, using: &random))
    case 2: return String(Double.random(in: -1e6...1e6, using: &random))
    case 3: return Bool.random(using: &random) ? "true" : "false"
    case 4:
      return
        "\"\(["null", "~", "NO", "a: b", "# x", "it's", "1", "\\u0000\\u001b[31m", "\\ud83d\\ude00"].randomElement(using: &random)!)\""
    case 5: return "\"\(Int.random(in: 0...3, using: &random))\""
    case 6: return "[{\"a\": 1}]"
    case 7: return row % 2 == 0 ? "{\"b\": {\"c\": \(row)}}" : "5"
    case 8: return "{}"
    case 9: return row % 3 == 0 ? "1" : "true"
    case 10: return "\"2026-03-01\""
    default: return "1e400".prefix(2) + String(Int.random(in: 1...300, using: &random))
    }
  }
}
