// A batch that is cut in two gives what it gave whole, whatever its payload.

import Detection
import TestKit
import Testing

@Suite struct RawBatchSplitTests {
  private static let schema = Schema(
    fields: [
      Field(name: "t", type: .timestamp(.seconds), required: true), Field(name: "name", type: .string),
      Field(name: "n", type: .int),
    ], timeField: 0, keyField: nil)

  private static func record(_ row: Int) -> String { #"{"t": \#(row), "name": "n\#(row % 3)", "n": \#(row * 2)}"# }

  private static let letters = [3, 7].map { row in
    DeadLetter(
      position: position(row), stage: .decode, reason: .tooLarge, message: "too large", raw: [], length: 2_000_000)
  }

  /// Positions of rows as in a file with records of ten bytes, beginning at byte 100.
  private static func position(_ row: Int) -> Position {
    Position(segment: 2, offset: Int64(100 + row * 10), row: Int64(row))
  }

  /// Ten rows, two of which are oversized.
  private static func batch(
    misfits: [ColumnMisfit] = [], _ payload: ([Int]) -> RawBatch.Payload
  ) -> RawBatch {
    let rows = [0, 1, 2, 4, 5, 6, 8, 9]
    return RawBatch(
      partition: PartitionID(source: "s", number: 0),
      positions: RecordPositions(
        segment: 2, offsets: rows.map { position($0).offset }, rows: rows.map { Int64($0) }),
      payload: payload(rows), oversized: letters, misfits: misfits, next: position(11))
  }

  private static let batches: [(String, RawBatch)] = [
    ("json", batch { .json(RecordBytes($0.map { Array(record($0).utf8) })) }),
    (
      "csv",
      batch { rows in
        .csv(RecordBytes(rows.map { Array("\($0),n\($0 % 3),\($0 * 2)".utf8) }), header: ["t", "name", "n"])
      }
    ),
    (
      "columns",
      // Of rows 1, 5 and 9.
      batch(
        misfits: [1, 4, 7].map {
          ColumnMisfit(row: $0, column: "n", reason: .outOfRange, expected: "an integer", found: "row \($0)")
        }
      ) { rows in
        .columns([
          NamedColumn("t", Column(.int, rows.map { .int(Int64($0)) })),
          NamedColumn(
            "name",
            Column(
              .string(
                StringColumn(offsets: [0, 2, 4, 6], bytes: Array("n0n1n2".utf8), codes: rows.map { UInt32($0 % 3) })))
          ), NamedColumn("n", Column(.int, rows.map { $0 == 4 ? .null : .int(Int64($0 * 2)) })),
        ])
      }
    ),
  ]

  private static func rows(_ raw: RawBatch) -> [String] {
    let decoded = Decoder(schema: schema).decode(raw)
    let events = (0..<decoded.events.count).map { row in
      "\(decoded.events.positions[row]) \(decoded.events.eventTimes[row]) \(decoded.events.columns.map { $0[row] })"
    }
    return events + decoded.deadLetters.map { "\($0)" }
  }

  @Test(arguments: 0..<3) func `pieces hold what the batch held`(_ index: Int) throws {
    let (name, whole) = Self.batches[index]
    #expect(whole.first == Self.position(0))
    for row in 1...9 {
      let split = try #require(whole.split(at: Self.position(row)), "\(name), \(row)")
      let (before, behind) = (split.before, split.behind)
      #expect(before.count + before.oversized.count == row, "\(name), \(row)")
      #expect(behind.count + behind.oversized.count == 10 - row)
      #expect(behind.first == Self.position(row) && before.next == Self.position(row) && behind.next == whole.next)
      #expect((Self.rows(before) + Self.rows(behind)).sorted() == Self.rows(whole).sorted(), "\(name), \(row)")
    }
    // Between two records the next one is where it goes on.
    let between = Position(segment: 2, offset: 141, row: 0)
    #expect(whole.split(at: between)?.before.next == Self.position(5))
    for outside in [.start, Self.position(0), Self.position(10), Position(segment: 3, offset: 0, row: 0)] {
      #expect(whole.split(at: outside) == nil)
    }
  }

  @Test func `bytes are counted by piece`() throws {
    let whole = Self.batches[0].1
    let records = [0, 1, 2, 4, 5, 6, 8, 9].map { Self.record($0).utf8.count }
    let split = try #require(whole.split(at: Self.position(4)))
    let (before, behind) = (split.before, split.behind)
    // A line feed stands behind each record; that of the last one counts with none.
    #expect(before.byteCount == records[..<3].reduce(0, +) + 2 + 2_000_000)
    #expect(behind.byteCount == records[3...].reduce(0, +) + 4 + 2_000_000)
  }

  @Test func `oversized records can be all there is`() throws {
    let raw = RawBatch(
      partition: PartitionID(source: "s", number: 0), positions: RecordPositions(segment: 2),
      payload: .json(RecordBytes([])), oversized: Self.letters, next: Self.position(8))
    #expect(raw.first == Self.position(3) && raw.split(at: Self.position(3)) == nil)
    let split = try #require(raw.split(at: Self.position(5)))
    let (before, behind) = (split.before, split.behind)
    #expect(before.oversized.map(\.position) == [Self.position(3)] && before.next == Self.position(7))
    #expect(behind.oversized.map(\.position) == [Self.position(7)] && behind.count == 0)
    let empty = RawBatch(
      partition: PartitionID(source: "s", number: 0), positions: RecordPositions(segment: 2),
      payload: .json(RecordBytes([])), next: Self.position(8))
    #expect(empty.first == nil && empty.split(at: Self.position(4)) == nil)
  }
}
