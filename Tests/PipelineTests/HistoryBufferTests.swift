// Which rows go into which shard: a function of the rows, whatever the batches are and wherever a run starts again.

import Detection
import TestKit
import Testing

@testable import Pipeline

@Suite("History buffer")
struct HistoryBufferTests {
  private static let layout = HistoryLayout(columns: [
    HistoryLayout.Column(name: "at", type: .timestamp), HistoryLayout.Column(name: "row", type: .int),
    HistoryLayout.Column(name: "text", type: .string),
  ])

  private static func make(maxBytes: Int = 1 << 30) -> HistoryBuffer {
    HistoryBuffer(
      layout: layout, timeColumn: 0, folder: "history/test", partition: PartitionID(source: "s", number: 0),
      maxWaiting: 3_000, maxBytes: maxBytes)
  }

  /// Every 50th row has a long text.
  private static func columns(_ times: ArraySlice<Int64>) -> [Column] {
    let texts = times.indices.map { "row \($0)" + ($0 % 50 == 0 ? String(repeating: "x", count: 3_000) : "") }
    return [
      Column(.timestamp(Array(times))), Column(.int(times.indices.map { Int64($0) })),
      Column(.string(StringColumn(texts))),
    ]
  }

  /// Times of `count` rows in any order of `days` days, before and after 1970, with some runs of one day.
  private static func times(_ count: Int, days: Int64) -> [Int64] {
    var random = SeededRandom(seed: 9)
    var times: [Int64] = []
    while times.count < count {
      let day = Int64.random(in: -days / 2..<days - days / 2, using: &random)
      for _ in 0..<(Int.random(in: 0..<10, using: &random) == 0 ? 50 : 1) {
        times.append(day * Timestamp.microsecondsPerDay + .random(in: 0..<Timestamp.microsecondsPerDay, using: &random))
      }
    }
    return Array(times.prefix(count))
  }

  /// Path and rows of a shard.
  private static func text(_ job: ShardJob) -> String {
    let rows = (0..<job.rows.count).map { row in job.rows.columns.map { "\($0[row])" }.joined(separator: " ") }
    return "\(job.shard.path) \(job.shard.firstTime) \(job.shard.lastTime) \(rows)"
  }

  private static func shards(
    _ times: [Int64], batch: Int, restartEvery: Int?, maxBytes: Int = 1 << 30
  ) throws -> [String] {
    var buffer = make(maxBytes: maxBytes)
    var stored: [(tail: HistoryTail, rows: HistoryRows)] = []
    var nextShard: [String: Int] = [:]
    var shards: [String] = []
    func take(_ buffer: inout HistoryBuffer) {
      for job in buffer.takeJobs() {
        nextShard[job.shard.day] = job.shard.number + 1
        shards.append(text(job))
      }
    }
    for (index, start) in stride(from: 0, to: times.count, by: batch).enumerated() {
      let slice = times[start..<min(times.count, start + batch)]
      buffer.append(columns(slice), eventTimes: Array(slice), now: .now)
      take(&buffer)
      guard let restartEvery, index % 3 == 0 else { continue }
      let (added, dropBelow) = buffer.takeTail()
      if let dropBelow { stored.removeAll { $0.tail.number < dropBelow } }
      if let added { stored.append((HistoryTail(number: added.number, days: added.days, bytes: []), added.rows)) }
      if index % restartEvery == 0 {
        buffer = make(maxBytes: maxBytes)
        try buffer.restore(stored, nextShard: nextShard, now: .now)
      }
    }
    buffer.seal(olderThan: nil, all: true)
    take(&buffer)
    return shards
  }

  @Test("shards are the same whatever the batches are and wherever a run starts again", arguments: [3, 40, 700])
  func determinism(days: Int64) throws {
    let times = Self.times(20_000, days: days)
    let expected = try Self.shards(times, batch: 20_000, restartEvery: nil)
    for (batch, restart) in [(1000, nil), (7, nil), (1000, 3), (64, 6), (333, 12)] {
      let shards = try Self.shards(times, batch: batch, restartEvery: restart)
      #expect(shards == expected, "batches of \(batch), restarted every \(restart ?? 0)")
    }
  }

  @Test("large rows are cut by their bytes, at the same row whatever the batches are", arguments: [1, 40])
  func bytes(days: Int64) throws {
    let times = Self.times(10_000, days: days)
    let expected = try Self.shards(times, batch: 10_000, restartEvery: nil, maxBytes: 40_000)
    // 10,000 rows of 8 bytes and 60 more on average.
    #expect(expected.count > 10_000 * 65 / 40_000)
    // The bound, and at most the row that reached it.
    #expect(expected.allSatisfy { $0.utf8.count < 40_000 * 2 })
    for (batch, restart) in [(1000, nil), (7, nil), (1000, 3), (64, 6)] {
      let shards = try Self.shards(times, batch: batch, restartEvery: restart, maxBytes: 40_000)
      #expect(shards == expected, "batches of \(batch), restarted every \(restart ?? 0)")
    }
  }

  @Test("events of many days in any order do not make a shard of each few rows")
  func manyDays() throws {
    let times = Self.times(60_000, days: 100)
    let shards = try Self.shards(times, batch: 512, restartEvery: nil)
    // 3000 rows wait: about 60 a shard.
    #expect(shards.count < 60_000 / 45)
  }

  @Test("times of rows that waited while the use case was changed are those of the event time, wherever it stood")
  func changedLayout() throws {
    var buffer = Self.make()
    buffer.append(Self.columns([5, 9, 7]), eventTimes: [5, 9, 7], now: .now)
    let added = try #require(buffer.takeTail().added)
    let tail = HistoryTail(number: added.number, days: added.days, bytes: [])
    for (columns, first, last) in [
      // Another timestamp stands in the place of the event time; or the event time was none of the fields then.
      (["sent", "at", "row", "text"], Int64(5), Int64(9)),
      (["sent", "row", "text"], 0, Timestamp.microsecondsPerDay - 1),
    ] {
      let layout = HistoryLayout(
        columns: columns.map { name in
          HistoryLayout.Column(name: name, type: name == "row" ? .int : name == "text" ? .string : .timestamp)
        })
      let old = columns.map { name in
        switch name {
        case "at": added.rows.columns[0]
        case "row": added.rows.columns[1]
        case "text": added.rows.columns[2]
        default: Column(.timestamp([100, 200, 300]))
        }
      }
      var restored = Self.make()
      try restored.restore([(tail, HistoryRows(layout: layout, columns: old))], nextShard: [:], now: .now)
      let shards = restored.takeJobs().map(\.shard)
      #expect(shards.map(\.firstTime) == [first] && shards.map(\.lastTime) == [last], "\(columns): \(shards)")
    }
  }

  @Test("what was restored waits no longer than what came in this run")
  func restoredRowsAge() throws {
    var buffer = Self.make()
    let times = Self.times(10, days: 3)
    buffer.append(Self.columns(times[...]), eventTimes: times, now: .now)
    let added = try #require(buffer.takeTail().added)
    var restored = Self.make()
    let start = ContinuousClock.now
    let tail = HistoryTail(number: added.number, days: added.days, bytes: [])
    try restored.restore([(tail, added.rows)], nextShard: [:], now: start)
    restored.seal(olderThan: start - .seconds(1))
    #expect(restored.takeJobs().isEmpty)
    restored.seal(olderThan: start)
    #expect(restored.takeJobs().reduce(0) { $0 + $1.rows.count } == 10)
    let (none, dropBelow) = restored.takeTail()
    #expect(none?.rows.count == nil && dropBelow == added.number + 1)
  }

  @Test("a tail that does not hold what it says is refused")
  func damage() throws {
    var buffer = Self.make()
    let rows = HistoryRows(layout: Self.layout, columns: Self.columns([1, 2]))
    for days in [[("1970-01-01", 3)], [("yesterday", 2)]] {
      let tail = HistoryTail(number: 0, days: days.map { HistoryTail.DayRows(day: $0, rows: $1) }, bytes: [])
      #expect(throws: CodingError.self) { try buffer.restore([(tail, rows)], nextShard: [:], now: .now) }
    }
  }
}
