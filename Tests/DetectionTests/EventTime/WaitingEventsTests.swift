// Events that wait: who is given up at the bound in bytes is a function of the events in their order.

import TestKit
import Testing

@testable import Detection

private let second: Int64 = 1_000_000
private let day = 86_400 * second
private let origin: Int64 = 1_772_000_000_000_000

@Suite struct WaitingEventsTests {
  private static let partition = PartitionID(source: "test", number: 0)
  private static let schema = Schema(
    fields: [
      Field(name: "at", type: .timestamp(.automatic), required: true), Field(name: "text", type: .string),
      Field(name: "n", type: .int),
    ], timeField: 0, keyField: nil)

  private static func batch(_ times: [Int64], _ texts: [String], _ rows: Range<Int>) -> EventBatch {
    EventBatch(
      partition: partition,
      positions: RecordPositions(segment: 0, offsets: rows.map { Int64($0) }, rows: rows.map { Int64($0) }),
      eventTimes: Array(times[rows]),
      columns: [
        Column(.timestamp(Array(times[rows]))),
        Column(.string, texts[rows].map { $0.isEmpty ? .null : .string($0) }),
        Column(.int(rows.map { Int64($0) })),
      ])
  }

  /// What became of each event that waited, as text, in its order.
  private struct Log: Equatable {
    var believed: [String] = []
    var dismissed: Set<Int64> = []
    var undecided: [Int64] = []
    var left = 0

    static func rows(_ events: [ReleasedEvents]) -> [Int64] { events.flatMap { $0.batch.positions.offsets } }
  }

  private static func run(
    _ times: [Int64], _ texts: [String], hosts: [Int64], maxBytes: Int, cut: (Int) -> Int,
    restarting: (Int) -> Bool = { _ in false }
  ) throws -> Log {
    let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second)
    var waiting = WaitingEvents(partition: partition, schema: schema, maxBytes: maxBytes)
    var stored = RuleStore()
    var log = Log()
    var at = 0
    while at < times.count {
      let rows = at..<min(at + cut(at), times.count)
      let batch = batch(times, texts, rows)
      var marks = watermark.mark(batch.eventTimes, clockOf: Column(.int(Array(hosts[rows]))))
      let outcome = waiting.follow(batch, &marks)
      for index in outcome.believed.keys.sorted() {
        for events in outcome.believed[index] ?? [] {
          log.believed.append("\(at + marks.decisions[index].row): \(events.batch.positions.offsets)")
          for row in 0..<events.batch.count {
            let origin = Int(events.batch.positions.offsets[row])
            #expect(events.batch.eventTimes[row] == times[origin])
            #expect(events.batch.columns[2][row] == .int(Int64(origin)))
            #expect(events.batch.columns[1][row] == (texts[origin].isEmpty ? .null : .string(texts[origin])))
          }
        }
      }
      log.dismissed.formUnion(Log.rows(outcome.dismissed))
      marks.dismissed.forEachSet { log.dismissed.insert(Int64(at + $0)) }
      log.undecided += Log.rows(outcome.undecided)
      at = rows.upperBound
      guard restarting(at) else { continue }
      stored.apply(waiting.takeChanges())
      #expect(waiting.takeChanges().isEmpty)
      #expect(stored.entries.count == waiting.count)
      let restored = WaitingEvents(partition: partition, schema: schema, maxBytes: maxBytes)
      try restored.restore(from: stored.sorted)
      #expect(restored.positions == waiting.positions && restored.count == waiting.count)
      waiting = restored
    }
    log.left = waiting.count
    return log
  }

  @Test(arguments: 0..<12, [600, 3000, 1 << 20])
  func `which events are given up does not depend on cuts and restarts`(seed: UInt64, maxBytes: Int) throws {
    var random = SeededRandom(seed: seed)
    var now = origin
    var times: [Int64] = []
    for _ in 0..<3000 {
      if random.chance(0.003) { now += Int64.random(in: 100 * second...3 * day, using: &random) }
      now += Int64.random(in: 0...2 * second, using: &random)
      times.append(now + (random.chance(0.15) ? Int64.random(in: 100 * second...9 * day, using: &random) : 0))
    }
    let texts = times.indices.map { _ in String(repeating: "x", count: Int.random(in: 0...200, using: &random)) }
    let hosts = times.map { _ in Int64.random(in: 0..<6, using: &random) }
    let whole = try Self.run(times, texts, hosts: hosts, maxBytes: maxBytes) { _ in times.count }
    #expect(!whole.believed.isEmpty && !whole.dismissed.isEmpty && (maxBytes > 3000 || !whole.undecided.isEmpty))
    for cut in [1, 7, 500] {
      #expect(try Self.run(times, texts, hosts: hosts, maxBytes: maxBytes) { _ in cut } == whole)
    }
    var cuts = SeededRandom(seed: seed + 99)
    let cut = try Self.run(
      times, texts, hosts: hosts, maxBytes: maxBytes, cut: { _ in Int.random(in: 1...60, using: &cuts) },
      restarting: { $0 % 3 == 0 })
    #expect(cut == whole)
  }
}
