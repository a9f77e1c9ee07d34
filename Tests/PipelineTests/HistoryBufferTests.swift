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

  private static func make(maxBytes: Int = 1 << 30, retention: Int64? = nil) -> HistoryBuffer {
    HistoryBuffer(
      layout: layout, timeColumn: 0, folder: "history/test", partition: PartitionID(source: "s", number: 0),
      retention: retention,
      bounds: HistoryBounds(
        waitingRows: 3_000, waitingBytes: maxBytes, denseRows: 8, denseBytes: maxBytes / 256, scatteredRows: 1_000))
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
  ) throws -> [String] { try jobs(times, batch: batch, restartEvery: restartEvery, maxBytes: maxBytes).map(text) }

  /// The shards of a stream, the end included. After every checkpoint the stored tails have the rows that wait, and no
  /// others.
  private static func jobs(
    _ times: [Int64], batch: Int, restartEvery: Int?, maxBytes: Int = 1 << 30
  ) throws -> [ShardJob] {
    var buffer = make(maxBytes: maxBytes)
    var stored: [(tail: HistoryTail, rows: HistoryRows)] = []
    var nextShard: [String: Int] = [:]
    var shards: [ShardJob] = []
    func take(_ buffer: inout HistoryBuffer) {
      for job in buffer.takeJobs() {
        nextShard[job.shard.day] = job.shard.number + 1
        shards.append(job)
      }
    }
    for (index, start) in stride(from: 0, to: times.count, by: batch).enumerated() {
      let slice = times[start..<min(times.count, start + batch)]
      buffer.append(columns(slice), eventTimes: Array(slice), now: .now)
      take(&buffer)
      guard let restartEvery, index % 3 == 0 else { continue }
      store(buffer.takeTails(), in: &stored)
      let written = shards.reduce(0) { $0 + $1.rows.count }
      #expect(stored.reduce(0) { $0 + $1.rows.count } + written == slice.endIndex)
      if index % restartEvery == 0 {
        buffer = make(maxBytes: maxBytes)
        try buffer.restore(stored, nextShard: nextShard, now: .now)
      }
    }
    buffer.seal(olderThan: nil, all: true)
    take(&buffer)
    return shards
  }

  private static func store(
    _ tails: (stored: [TailJob], dropped: [Int]), in stored: inout [(tail: HistoryTail, rows: HistoryRows)]
  ) {
    let gone = Set(tails.dropped + tails.stored.map(\.number))
    stored.removeAll { gone.contains($0.tail.number) }
    stored += tails.stored.map { (HistoryTail(number: $0.number, days: $0.days, bytes: []), $0.rows) }
    stored.sort { $0.tail.number < $1.tail.number }
  }

  /// The only tail that is there to store.
  private static func onlyTail(_ buffer: inout HistoryBuffer) throws -> TailJob {
    let (stored, dropped) = buffer.takeTails()
    #expect(stored.count == 1 && dropped.isEmpty)
    return try #require(stored.first)
  }

  @Test(
    "shards are the same whatever the batches are and wherever a run starts again", arguments: [3, 40, 700, 20_000])
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

  /// Paths and rows of the shards of a stream, the end included, by the plain rule: a day is cut when 3000 rows wait and it
  /// is the fullest.
  private static func plainShards(_ times: [Int64]) -> [String: [Int64]] {
    var (waiting, next, shards) = ([String: [Int64]](), [String: Int](), [String: [Int64]]())
    func cut(_ day: String) {
      let number = String(next[day, default: 0])
      next[day, default: 0] += 1
      let name = "s-0-" + String(repeating: "0", count: 6 - number.count) + number
      shards["history/test/day=\(day)/\(name).arrow"] = waiting.removeValue(forKey: day)
    }
    for (row, time) in times.enumerated() {
      waiting[Timestamp.day(of: time), default: []].append(Int64(row))
      if waiting.values.reduce(0, { $0 + $1.count }) == 3_000 {
        if let day = waiting.max(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) })?.key { cut(day) }
      }
    }
    for day in waiting.keys { cut(day) }
    return shards
  }

  @Test("days with many rows are cut one by one, the fullest first, and lie in their folders", arguments: [1, 3, 15])
  func denseDays(days: Int64) throws {
    let times = Self.times(10_000, days: days)
    let jobs = try Self.jobs(times, batch: 700, restartEvery: 6)
    let shards = Dictionary(uniqueKeysWithValues: jobs.map { ($0.shard.path, $0.rows.columns[1]) })
    let expected = Self.plainShards(times)
    #expect(Set(shards.keys) == Set(expected.keys))
    for (path, rows) in expected { #expect(shards[path] == Column(.int(rows)), "\(path)") }
  }

  /// Rows of one day, and one in `share` of any of 40,000 days.
  private static func timesWithRandomOnes(_ count: Int, share: Int) -> [Int64] {
    var random = SeededRandom(seed: 11)
    return (0..<count).map { row in
      let day = row % share == 0 ? Int64.random(in: 0..<40_000, using: &random) : 20_000
      return day * Timestamp.microsecondsPerDay + Int64(row)
    }
  }

  @Test("random times make few files, and shards of the day that the others have stay full", arguments: [10, 100])
  func randomTimes(share: Int) throws {
    let times = Self.timesWithRandomOnes(40_000, share: share)
    let jobs = try Self.jobs(times, batch: 500, restartEvery: 9)
    let several = jobs.filter { $0.shard.path.contains("/day=__HIVE_DEFAULT_PARTITION__/") }
    #expect(several.count == (40_000 / share + 999) / 1_000)
    let one = jobs.filter { $0.shard.path.contains("/day=2024-10-04/") }
    #expect(several.count + one.count == jobs.count)
    // A third of what waits is theirs at most.
    #expect(one.dropLast().allSatisfy { $0.rows.count >= 2_000 })
    #expect(Set(jobs.map(\.shard.path)).count == jobs.count)
    var rows: [Int64] = []
    for job in jobs {
      guard case .int(let numbers) = job.rows.columns[1].values, case .timestamp(let times) = job.rows.columns[0].values
      else { preconditionFailure("not the columns that were given") }
      #expect(numbers == numbers.sorted(), "in the order of the partition")
      #expect(job.shard.firstTime == times.min() && job.shard.lastTime == times.max())
      #expect(job.shard.day == Timestamp.day(of: job.shard.lastTime))
      rows += numbers
    }
    #expect(rows.sorted() == Array(0..<40_000))
  }

  @Test("the end and the age limit make one file of many days with few rows, and of few days a file each")
  func fewRows() throws {
    for (days, files) in [(16, 16), (17, 1), (900, 1)] {
      for isEnd in [true, false] {
        var buffer = Self.make()
        let start = ContinuousClock.now
        for day in 0..<Int64(days) {
          let time = [day * Timestamp.microsecondsPerDay]
          buffer.append(Self.columns(time[...]), eventTimes: time, now: start + .seconds(day))
        }
        buffer.seal(olderThan: isEnd ? nil : start + .seconds(days), all: isEnd)
        let jobs = buffer.takeJobs()
        #expect(jobs.count == files && jobs.reduce(0) { $0 + $1.rows.count } == days)
      }
    }
    // One row that is old enough does not take a file of its own, and then the next, and so on.
    var buffer = Self.make()
    let start = ContinuousClock.now
    for day in 0..<Int64(100) {
      let time = [day * Timestamp.microsecondsPerDay]
      buffer.append(Self.columns(time[...]), eventTimes: time, now: start + .seconds(day))
    }
    buffer.seal(olderThan: start)
    #expect(buffer.takeJobs().map(\.rows.count) == [100])
  }

  @Test("days that are kept for different times do not share a file, and what is not kept is not written")
  func retention() throws {
    let day = Timestamp.microsecondsPerDay
    let watermark = 20_000 * day
    var buffer = Self.make(retention: 30 * day)
    var random = SeededRandom(seed: 3)
    // Some of any time, and a few of each of the days around the watermark.
    let times = (0..<900).map { row in
      (row % 9 == 0 ? Int64.random(in: 19_960..<20_040, using: &random) : .random(in: 0..<40_000, using: &random)) * day
    }
    let marks = EventTimeMarks(
      watermarks: [Int64](repeating: watermark, count: times.count), watermarkAfter: watermark)
    buffer.append(Self.columns(times[...]), eventTimes: times, marks: marks, now: .now)
    buffer.seal(olderThan: nil, all: true)
    let jobs = buffer.takeJobs()
    let kept = times.filter { $0 >= watermark - 30 * day }
    #expect(jobs.reduce(0) { $0 + $1.rows.count } == kept.count && kept.count < 600)
    // One for each doubling of the time left: of days near the watermark, too, few rows do not make a file each.
    #expect(jobs.count <= 16, "\(jobs.map(\.shard.path))")
    for job in jobs {
      // The time it has left, in days, the day itself included.
      let (first, last) = (job.shard.firstTime - watermark, job.shard.lastTime - watermark)
      #expect((last / day + 31) < 2 * (first / day + 31), "\(job.shard)")
    }
    // All tails go with it.
    #expect(buffer.takeTails().stored.isEmpty)
  }

  @Test("times of rows that waited while the use case was changed are those of the event time, wherever it stood")
  func changedLayout() throws {
    var buffer = Self.make()
    buffer.append(Self.columns([5, 9, 7]), eventTimes: [5, 9, 7], now: .now)
    let added = try Self.onlyTail(&buffer)
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
    let added = try Self.onlyTail(&buffer)
    var restored = Self.make()
    let start = ContinuousClock.now
    let tail = HistoryTail(number: added.number, days: added.days, bytes: [])
    try restored.restore([(tail, added.rows)], nextShard: [:], now: start)
    restored.seal(olderThan: start - .seconds(1))
    #expect(restored.takeJobs().isEmpty)
    restored.seal(olderThan: start)
    #expect(restored.takeJobs().reduce(0) { $0 + $1.rows.count } == 10)
    let (none, dropped) = restored.takeTails()
    #expect(none.isEmpty && dropped == [added.number])
  }

  @Test("a tail of another layout with many days of few rows does not become a file for each")
  func oldLayout() throws {
    var buffer = Self.make()
    let times = (0..<Int64(500)).map { $0 * Timestamp.microsecondsPerDay } + (0..<20)
    buffer.append(Self.columns(times[...]), eventTimes: times, now: .now)
    var stored: [(tail: HistoryTail, rows: HistoryRows)] = []
    Self.store(buffer.takeTails(), in: &stored)
    let other = HistoryLayout(
      columns: Self.layout.columns.map { HistoryLayout.Column(name: $0.name + "s", type: $0.type) })
    var restored = Self.make()
    try restored.restore(
      stored.map { ($0.tail, HistoryRows(layout: other, columns: $0.rows.columns)) }, nextShard: [:], now: .now)
    let jobs = restored.takeJobs()
    #expect(jobs.map(\.rows.count).sorted() == [21, 499])
    #expect(restored.takeTails().dropped == stored.map(\.tail.number))
  }

  @Test("more scattered rows than wait now, which an earlier version left, are cut at once")
  func manyTails() throws {
    let times = (0..<Int64(2_500)).map { $0 * Timestamp.microsecondsPerDay }
    var stored: [(tail: HistoryTail, rows: HistoryRows)] = []
    for start in stride(from: 0, to: times.count, by: 100) {
      let part = times[start..<start + 100]
      let days = part.map { HistoryTail.DayRows(day: Timestamp.day(of: $0), rows: 1) }
      stored.append(
        (
          HistoryTail(number: start / 100, days: days, bytes: []),
          HistoryRows(layout: Self.layout, columns: Self.columns(part))
        ))
    }
    var buffer = Self.make()
    try buffer.restore(stored, nextShard: [:], now: .now)
    #expect(buffer.takeJobs().map(\.rows.count) == [2_500])
    #expect(buffer.takeTails().dropped == stored.map(\.tail.number))
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
