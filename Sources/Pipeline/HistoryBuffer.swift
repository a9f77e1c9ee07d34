// History rows of one partition that are not yet in a shard. Invariants: rows of a day are in partition order; the rows
// covered by stored tails are a prefix of the buffered ones, because a shard takes the oldest rows and a checkpoint
// covers all that are left.

import Detection

/// A full shard's rows, ready to be written by whoever has time.
struct ShardJob: Sendable {
  var rows: HistoryRows
  var shard: HistoryShard
}

/// Rows for a stored tail, ready to be encoded.
struct TailJob: Sendable {
  var day: String
  var number: Int
  var rows: HistoryRows
}

/// Collects rows by day and cuts them into shards.
struct HistoryBuffer {
  fileprivate struct Slice {
    var columns: [Column]
    var rows: Range<Int>
  }

  fileprivate struct Day {
    var slices: [Slice] = []
    var count = 0
    /// Buffered rows that stored tails cover.
    var tailedCount = 0
    var nextTail = 0
    var nextShard = 0
    var firstTime = Int64.max
    var lastTime = Int64.min
    var openedAt: ContinuousClock.Instant?
    /// Order of the last append, to find the day that has rested longest.
    var lastUse = 0
  }

  /// Most days with waiting rows: beyond, the day that has rested longest is sealed early.
  static let maxOpenDays = 16
  /// Most waiting rows of all days, at 250 bytes a row 25 MB: with them, the fullest day is sealed early. Which one that
  /// is follows from what waits, so a restart decides the same.
  static let maxWaitingRows = Limits.shardRows * 3 / 2
  /// Slices are joined up to this many rows: a default batch is left alone.
  static let mergedRows = 2_048
  /// How long a row may wait before it is in a shard that other tools can read.
  static let maxAge = Duration.seconds(300)

  private let layout: HistoryLayout
  private let timeColumn: Int
  private let folder: String
  private let stem: String
  private var days: [String: Day] = [:]
  private var uses = 0
  /// Rows of all days.
  private var waitingRows: Int { days.values.reduce(0) { $0 + $1.count } }
  private(set) var jobs: [ShardJob] = []
  private var dropped: [(day: String, below: Int)] = []

  /// - Parameters:
  ///   - timeColumn: index in `layout` of the event time.
  ///   - folder: where shards go, relative to the data directory: `history/redset`.
  ///   - partition: names the shards.
  init(layout: HistoryLayout, timeColumn: Int, folder: String, partition: PartitionID) {
    self.layout = layout
    self.timeColumn = timeColumn
    self.folder = folder
    stem = "\(partition.source)-\(partition.number)"
  }

  /// Takes up what a checkpoint left. Tails of another layout become shards of their own at once.
  mutating func restore(_ tails: [(tail: HistoryTail, rows: HistoryRows)], nextShard: [String: Int]) {
    for (day, number) in nextShard { days[day, default: Day()].nextShard = number }
    for (tail, rows) in tails {
      var day = days[tail.day] ?? Day()
      day.nextTail = max(day.nextTail, tail.number + 1)
      if rows.layout == layout {
        day.slices.append(Slice(columns: rows.columns, rows: 0..<rows.count))
        day.count += rows.count
        day.tailedCount += rows.count
        day.note(rows.columns[timeColumn])
      } else {
        jobs.append(ShardJob(rows: rows, shard: shard(of: tail.day, number: day.nextShard, rows: rows)))
        day.nextShard += 1
        dropped.append((tail.day, tail.number + 1))
      }
      days[tail.day] = day
    }
  }

  /// Appends the rows of a batch, by the day of their event times, and cuts shards at the very row that fills one or
  /// the buffer, wherever batches end.
  mutating func append(_ columns: [Column], eventTimes: [Int64], now: ContinuousClock.Instant) {
    var start = 0
    while start < eventTimes.count {
      let dayNumber = Self.dayNumber(of: eventTimes[start])
      let limit = min(eventTimes.count, start + max(1, Self.maxWaitingRows - waitingRows))
      var end = start + 1
      while end < limit, Self.dayNumber(of: eventTimes[end]) == dayNumber { end += 1 }
      append(Slice(columns: columns, rows: start..<end), times: eventTimes[start..<end], now: now)
      start = end
    }
  }

  private mutating func append(_ slice: Slice, times: ArraySlice<Int64>, now: ContinuousClock.Instant) {
    let name = Timestamp.day(of: times.first!)
    uses += 1
    var day = days.removeValue(forKey: name) ?? Day()
    day.slices.append(slice)
    mergeSmall(&day)
    day.count += slice.rows.count
    day.lastUse = uses
    for time in times {
      day.firstTime = min(day.firstTime, time)
      day.lastTime = max(day.lastTime, time)
    }
    if day.openedAt == nil { day.openedAt = now }
    while day.count >= Limits.shardRows { seal(&day, name: name, count: Limits.shardRows, now: now) }
    days[name] = day
    sealRested(now: now)
    while waitingRows >= Self.maxWaitingRows {
      sealAll(of: days.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }!.key, now: now)
    }
  }

  /// Keeps the number of slices small where batches are: neighbours of similar size are joined, so a row is copied
  /// log(n) times and a slow stream does not hold an array per event and column.
  private func mergeSmall(_ day: inout Day) {
    while day.slices.count > 1 {
      let (a, b) = (day.slices[day.slices.count - 2].rows.count, day.slices[day.slices.count - 1].rows.count)
      guard a <= 2 * b, a + b <= Self.mergedRows else { return }
      let joined = Self.concatenate(day.slices.suffix(2), skipping: 0, count: a + b, layout)
      day.slices.removeLast(2)
      day.slices.append(Slice(columns: joined.columns, rows: 0..<a + b))
    }
  }

  /// Seals what has waited too long; with `all` everything.
  mutating func seal(olderThan limit: ContinuousClock.Instant?, all: Bool = false, now: ContinuousClock.Instant) {
    for name in days.keys.sorted() where days[name]!.count > 0 {
      let isOld = if let opened = days[name]!.openedAt, let limit { opened <= limit } else { false }
      if all || isOld { sealAll(of: name, now: now) }
    }
  }

  /// The shards cut since the last call.
  mutating func takeJobs() -> [ShardJob] {
    defer { jobs = [] }
    return jobs
  }

  /// The rows that no stored tail covers yet, as tails to encode, and the tails that shards have made superfluous.
  mutating func takeTails() -> (added: [TailJob], dropped: [(day: String, below: Int)]) {
    var added: [TailJob] = []
    for name in days.keys.sorted() where days[name]!.count > days[name]!.tailedCount {
      var day = days[name]!
      let rows = Self.concatenate(day.slices, skipping: day.tailedCount, count: day.count - day.tailedCount, layout)
      added.append(TailJob(day: name, number: day.nextTail, rows: rows))
      day.nextTail += 1
      day.tailedCount = day.count
      days[name] = day
    }
    defer { dropped = [] }
    return (added, dropped)
  }

  private mutating func sealRested(now: ContinuousClock.Instant) {
    while days.values.count(where: { $0.count > 0 }) > Self.maxOpenDays {
      let rested = days.filter { $0.value.count > 0 }.min { $0.value.lastUse < $1.value.lastUse }!.key
      sealAll(of: rested, now: now)
    }
  }

  private mutating func sealAll(of name: String, now: ContinuousClock.Instant) {
    guard var day = days.removeValue(forKey: name) else { return }
    seal(&day, name: name, count: day.count, now: now)
    days[name] = day
  }

  private mutating func seal(_ day: inout Day, name: String, count: Int, now: ContinuousClock.Instant) {
    let rows = Self.concatenate(day.slices, skipping: 0, count: count, layout)
    jobs.append(ShardJob(rows: rows, shard: shard(of: name, number: day.nextShard, rows: rows)))
    day.nextShard += 1
    day.dropFirst(count)
    day.openedAt = day.count == 0 ? nil : now
    day.tailedCount = 0
    if day.nextTail > 0 { dropped.append((name, day.nextTail)) }
  }

  private func shard(of day: String, number: Int, rows: HistoryRows) -> HistoryShard {
    let times: [Int64] =
      if case .timestamp(let times) = rows.columns[min(timeColumn, rows.columns.count - 1)].values {
        times
      } else {
        []
      }
    let name = "\(stem)-\(String(number).leftPadded(to: 6)).arrow"
    let folder = "\(folder)/day=\(day)"
    return HistoryShard(
      day: day, number: number, rows: rows.count, bytes: 0, firstTime: times.min() ?? 0, lastTime: times.max() ?? 0,
      temporaryPath: "\(folder)/.\(name).tmp", path: "\(folder)/\(name)")
  }

  private static func dayNumber(of time: Int64) -> Int64 {
    let day = Timestamp.microsecondsPerDay
    return time >= 0 ? time / day : (time + 1) / day - 1
  }

  private static func concatenate(
    _ slices: some Sequence<Slice>, skipping: Int, count: Int, _ layout: HistoryLayout
  ) -> HistoryRows {
    var builders = layout.columns.map { ColumnBuilder($0.type, capacity: count) }
    var skip = skipping
    var missing = count
    for slice in slices where missing > 0 {
      if skip >= slice.rows.count {
        skip -= slice.rows.count
        continue
      }
      let first = slice.rows.lowerBound + skip
      let rows = first..<min(slice.rows.upperBound, first + missing)
      for index in builders.indices { builders[index].append(slice.columns[index], rows: rows) }
      missing -= rows.count
      skip = 0
    }
    return HistoryRows(layout: layout, columns: builders.map { $0.finish() })
  }
}

extension HistoryBuffer.Day {
  fileprivate mutating func note(_ times: Column) {
    guard case .timestamp(let times) = times.values else { return }
    for time in times {
      firstTime = min(firstTime, time)
      lastTime = max(lastTime, time)
    }
  }

  fileprivate mutating func dropFirst(_ rows: Int) {
    var rest = rows
    var kept = slices[...]
    while rest > 0, var first = kept.popFirst() {
      let taken = min(rest, first.rows.count)
      rest -= taken
      if taken < first.rows.count {
        first.rows = first.rows.lowerBound + taken..<first.rows.upperBound
        kept = [first] + kept
      }
    }
    slices = Array(kept)
    count -= rows
  }
}

extension String {
  fileprivate func leftPadded(to width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}
