// Events as JSON: what is decoded and rendered decodes to the same event again.

import Detection
import TestKit
import Testing

@Suite struct EventRendererTests {
  @Test func fieldsAreRenderedByTypeAndNested() {
    let schema = schema(
      Field(name: "p.a", type: .double), Field(name: "s", type: .string), Field(name: "p.b.c", type: .bool),
      Field(name: "j", type: .json), Field(name: "n", type: .int))
    let batch = EventBatch(
      partition: PartitionID(source: "x", number: 0),
      positions: RecordPositions(segment: 0, offsets: [0, 1], rows: [0, 1]), eventTimes: [0, 250_000],
      columns: [
        Column(.timestamp, [.timestamp(0), .timestamp(250_000)]), Column(.double, [.double(.infinity), .double(1e-5)]),
        Column(.string, [.string("q\"\\\n\u{1}é"), .null]), Column(.bool, [.bool(true), .null]),
        Column(.string, [.string("[1, 2]"), .null]), Column(.int, [.int(-7), .null]),
      ])
    let renderer = EventRenderer(schema: schema)
    #expect(
      renderer.json(of: batch, row: 0)
        == #"{"t":"1970-01-01T00:00:00Z","p":{"a":"inf","b":{"c":true}},"s":"q\"\\\n\u0001é","j":[1, 2],"n":-7}"#)
    #expect(
      renderer.json(of: batch, row: 1)
        == #"{"t":"1970-01-01T00:00:00.250Z","p":{"a":1e-05,"b":{"c":null}},"s":null,"j":null,"n":null}"#)
  }

  @Test func renderedEventsDecodeToThemselves() {
    let decoder = Decoder(schema: QueryEvents.schema)
    let renderer = EventRenderer(schema: QueryEvents.schema)
    let events = decoder.decode(QueryEvents.batch(of: QueryEvents.json(count: 500, seed: 5))).events
    #expect(events.count == 500)
    let rendered = (0..<events.count).map { Array(renderer.json(of: events, row: $0).utf8) }
    let again = decoder.decode(QueryEvents.batch(of: rendered))
    #expect(again.deadLetters.isEmpty)
    #expect(again.events.columns == events.columns)
  }
}
