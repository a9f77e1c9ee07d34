// Fields that a log keeps beside its records.

import Testing

@testable import Detection

@Suite("Fields of envelopes")
struct EnvelopeFieldTests {
  private static let schema = Schema(
    fields: [
      Field(name: "at", path: ["_timestamp"], type: .timestamp(.automatic), required: true),
      Field(name: "key", path: ["_key"], type: .string, maxLength: 3),
      Field(name: "tenant", path: ["header", "tenant.id"], type: .int, required: true),
      Field(name: "flag", path: ["header", "flag"], type: .bool),
      Field(name: "topic", path: ["_topic"], type: .string),
      Field(name: "offset", path: ["_offset"], type: .int),
      Field(name: "amount", type: .double, minimum: .double(0)),
    ], timeField: 0, keyField: 1)

  private static func batch(_ records: [String], _ envelopes: [RecordEnvelope]?) -> RawBatch {
    let offsets = records.indices.map { Int64($0) * 10 }
    return RawBatch(
      partition: PartitionID(source: "orders", number: 3),
      positions: RecordPositions(segment: 0, offsets: offsets, rows: offsets),
      payload: .json(RecordBytes(records.map { Array($0.utf8) })), envelopes: envelopes.map { RecordEnvelopes($0) },
      next: Position(segment: 0, offset: 100, row: 100))
  }

  private static func envelope(
    _ key: String?, tenant: String? = "7", time: Int64? = 1_700_000_000_000_000, flag: String? = nil
  ) -> RecordEnvelope {
    RecordEnvelope(
      key: key.map { Array($0.utf8) }, timestamp: time,
      headers: [RecordHeader("other", nil)] + (tenant.map { [RecordHeader("tenant.id", Array($0.utf8))] } ?? [])
        + (flag.map { [RecordHeader("flag", Array($0.utf8))] } ?? []))
  }

  @Test("a field is read from the envelope where the event does not have it")
  func filled() {
    let raw = Self.batch(
      [#"{"amount": 1}"#, #"{"amount": 2, "_key": "in", "header": {"tenant.id": 9}}"#, #"{"_timestamp": 1600000000}"#],
      [Self.envelope("a", flag: "true"), Self.envelope("b", tenant: "8"), Self.envelope(nil, flag: "false")])
    let decoded = Decoder(schema: Self.schema).decode(raw)
    #expect(decoded.deadLetters.isEmpty)
    let columns = decoded.events.columns
    #expect(
      columns[0]
        == Column(
          .timestamp,
          [.timestamp(1_700_000_000_000_000), .timestamp(1_700_000_000_000_000), .timestamp(1_600_000_000_000_000)]))
    #expect(columns[1] == Column(.string, [.string("a"), .string("in"), .null]))
    #expect(columns[2] == Column(.int, [.int(7), .int(9), .int(7)]))
    #expect(columns[3] == Column(.bool, [.bool(true), .null, .bool(false)]))
    #expect(columns[4] == Column(.string, [.string("orders"), .string("orders"), .string("orders")]))
    #expect(columns[5] == Column(.int, [.int(0), .int(10), .int(20)]))
  }

  @Test("what does not fit makes a dead letter, with the envelope, and only of that record")
  func misfits() throws {
    let raw = Self.batch(
      [#"{"amount": 1}"#, "{", #"{"amount": 1}"#, #"{"amount": -1}"#, #"{"amount": 1}"#, #"{"_key": "ok"}"#],
      [
        Self.envelope("a", tenant: nil), Self.envelope("b"), Self.envelope("long"), Self.envelope("d"),
        RecordEnvelope(key: [0xFF], timestamp: 1, headers: [RecordHeader("tenant.id", Array("1".utf8))]),
        RecordEnvelope(key: [0xFF], timestamp: 1, headers: [RecordHeader("tenant.id", Array("1".utf8))]),
      ])
    let plan = try Plan(UseCase(name: "log", event: EventDefinition(schema: Self.schema)))
    let staged = plan.derive(Decoder(schema: Self.schema).decode(raw), from: raw)
    #expect(staged.deadLetters.map(\.position.offset) == [0, 10, 20, 30, 40])
    #expect(staged.deadLetters.map(\.reason) == [.missing, .malformed, .tooLong, .outOfRange, .invalidUTF8])
    #expect(staged.deadLetters.map(\.field) == ["tenant", nil, "key", "amount", "key"])
    #expect(staged.deadLetters.map(\.envelope?.key) == ["a", "b", "long", "d"].map { Array($0.utf8) } + [[0xFF]])
    #expect(staged.events.positions.offsets == [50], "what the event itself has is not judged by what lies beside it")
  }

  @Test("without envelopes such fields are looked for in the events alone")
  func withoutEnvelopes() {
    let raw = Self.batch([#"{"_timestamp": 1600000000, "header": {"tenant.id": 3}}"#, #"{"amount": 1}"#], nil)
    let decoded = Decoder(schema: Self.schema).decode(raw)
    #expect(decoded.events.count == 1 && decoded.deadLetters.map(\.reason) == [.missing])
    #expect(decoded.deadLetters.first?.envelope == nil)
  }

  @Test("a batch that is cut keeps the envelopes of its records")
  func split() throws {
    let envelopes = (0..<5).map { Self.envelope("\($0)", tenant: $0 % 2 == 0 ? nil : "\($0)", time: Int64($0)) }
    let raw = Self.batch([String](repeating: "{}", count: 5), envelopes)
    let parts = try #require(raw.split(at: Position(segment: 0, offset: 20, row: 20)))
    let behind = (0..<3).compactMap { parts.behind.envelopes?[$0] }
    #expect(parts.before.envelopes?.count == 2 && behind == Array(envelopes[2...]))
    #expect(raw.heldBytes > Self.batch([String](repeating: "{}", count: 5), nil).heldBytes)
  }

  @Test("envelopes give back what was put in, absent and empty told apart")
  func roundTrip() {
    let all = [
      RecordEnvelope(), RecordEnvelope(key: [], timestamp: 0, headers: [RecordHeader("", [])]),
      RecordEnvelope(
        key: [1], timestamp: -1, headers: [RecordHeader("a", nil), RecordHeader("a", [2]), RecordHeader("b", [3])]),
      RecordEnvelope(headers: []),
    ]
    let envelopes = RecordEnvelopes(all)
    #expect(all.indices.map { envelopes[$0] } == all)
    #expect(envelopes.header(Array("a".utf8), of: 2).map(Array.init) == [2], "the last one counts")
    #expect(envelopes.header(Array("a".utf8), of: 1) == nil && envelopes.key(of: 1).map(Array.init) == [])
  }
}
