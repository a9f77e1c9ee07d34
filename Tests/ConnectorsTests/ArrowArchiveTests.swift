// Parts of history: a question about a short time decodes the blocks of a file that it may be about, and no others.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Arrow: blocks of history")
struct ArrowArchiveTests {
  private static let partition = PartitionID(source: "s", number: 0)
  private static let schema = Schema(
    fields: [
      Field(name: "at", type: .timestamp(.rfc3339), required: true), Field(name: "key", type: .string),
      Field(name: "n", type: .int),
    ], timeField: 0, keyField: 1)

  /// A shard with so many events, a second apart with some disorder; of two segments.
  private static func archive(_ folder: TestFolder, rows: Int) throws -> (archive: ArrowArchive, shard: ArchivedShard) {
    var random = SeededRandom(seed: 5)
    let times = (0..<rows).map { Int64($0) * 1_000_000 + Int64.random(in: 0..<60_000_000, using: &random) }
    let numbers = (0..<rows).map { Int64($0) }
    let columns: [(name: String, column: Column)] = [
      ("at", Column(.timestamp, times.map { .timestamp($0) })),
      ("key", Column(.string, numbers.map { $0 % 5 == 0 ? .null : .string("k\($0 % 7)") })),
      ("n", Column(.int, numbers.map { .int($0) })),
      ("_segment", Column(.int, numbers.map { .int($0 < 10_000 ? 0 : 1) })),
      ("_offset", Column(.int, numbers.map { .int($0) })), ("_row", Column(.int, numbers.map { .int($0) })),
    ]
    let layout = HistoryLayout(columns: columns.map { .init(name: $0.name, type: $0.column.type) })
    let directory = DataDirectory(path: folder / "data")
    let path = "history/u/day=1970-01-01/a.arrow"
    let bytes = try ArrowHistory(in: directory, useCase: "u").writeShard(
      HistoryRows(layout: layout, columns: columns.map(\.column)), of: partition, to: path)
    let shard = ArchivedShard(
      partition: partition, day: "1970-01-01", number: 0, rows: rows, firstTime: times.min() ?? 0,
      lastTime: times.max() ?? 0, path: path, bytes: bytes)
    return (ArrowArchive(folder: directory.path) { HistoryListing(shards: [shard]) }, shard)
  }

  private struct Event: Hashable {
    var time: Int64
    var position: Position
    var values: [Scalar]
  }

  private static func events(_ read: (_ body: (EventBatch) throws -> Void) throws -> Void) throws -> [Event] {
    var events: [Event] = []
    try read { batch in
      for row in 0..<batch.count {
        events.append(
          Event(
            time: batch.eventTimes[row], position: batch.positions[row], values: batch.columns.map { $0[row] }))
      }
    }
    return events
  }

  @Test("blocks are all of a shard, and tell their times", arguments: [1, 8_192, 8_193, 20_000])
  func blocks(_ rows: Int) throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let (archive, shard) = try Self.archive(folder, rows: rows)
    let whole = try Self.events { try archive.read(shard, schema: Self.schema, $0) }
    #expect(whole.count == rows && Set(whole).count == rows)
    let blocks = try archive.blocks(of: shard, time: "at")
    // A page of events waits for a block: it has few rows.
    #expect(blocks.count == (rows + 8_191) / 8_192 && blocks.allSatisfy { $0.rows.count <= 8_192 })
    #expect(blocks.flatMap { Array($0.rows) } == Array(0..<rows))
    for block in blocks.reversed() {
      let events = try Self.events { try archive.read(block, of: shard, schema: Self.schema, $0) }
      #expect(events == Array(whole[block.rows]))
      #expect(block.firstTime == events.map(\.time).min() && block.lastTime == events.map(\.time).max())
    }
  }

  @Test("a shard that is another one, has no times or is gone is said")
  func trouble() throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let (archive, shard) = try Self.archive(folder, rows: 100)
    var other = shard
    other.rows = 101
    #expect(throws: OperatingError.self) { try archive.blocks(of: other, time: "at") }
    #expect(throws: OperatingError.self) { try archive.blocks(of: shard, time: "absent") }
    let beyond = ShardBlock(rows: 90..<110, firstTime: 0, lastTime: 0)
    #expect(throws: OperatingError.self) { try archive.read(beyond, of: shard, schema: Self.schema) { _ in } }
    try FileManager.default.removeItem(atPath: folder / "data/\(shard.path)")
    #expect(throws: OperatingError.self) { try archive.blocks(of: shard, time: "at") }
    // One that fell behind what is kept since it was listed is not missed.
    let forgotten = ArrowArchive(folder: folder / "data") { HistoryListing() }
    #expect(try forgotten.blocks(of: shard, time: "at").isEmpty)
  }
}
