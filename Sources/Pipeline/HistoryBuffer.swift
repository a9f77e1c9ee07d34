// History rows of one partition that are not yet in a shard. Invariants: rows of a day are in partition order; a shard
// takes all rows of its day that wait; of each day, the rows that stored tails cover are the first ones that wait. When
// a shard is cut is a function of the rows alone (and, for the age limit, of the clock), and what decides it is restored
// with the tails: an interrupted run cuts the same shards.

import Detection

/// A full shard's rows, ready to be written by whoever has time.
struct ShardJob: Sendable {
  var rows: HistoryRows
  var shard: HistoryShard
}

/// Rows for a stored tail, ready to be encoded.
struct TailJob: Sendable {
  var number: Int
  var days: [HistoryTail.DayRows]
  var rows: HistoryRows
}

/// Collects rows by day and cuts them into shards.
struct HistoryBuffer {
  private struct Slice {
    var columns: [Column]
    var rows: Range<Int>
  }

  private struct Day {
    var slices: [Slice] = []
    /// Rows that wait, with those of the batch at hand that are not in a slice yet.
    var count = 0
    /// Bytes of text of these rows.
    var bytes = 0
    /// Waiting rows that stored tails cover.
    var tailedCount = 0
    var nextShard = 0
    /// When the first of the waiting rows came.
    var openedAt: ContinuousClock.Instant?

    mutating func add(_ rows: Int, bytes: Int, _ now: ContinuousClock.Instant) {
      count += rows
      self.bytes += bytes
      if openedAt == nil { openedAt = now }
    }
  }

  /// Most rows that wait, of all days: with the last of them the fullest day is cut. At 250 bytes a row these are 25 MB.
  /// One and a half shards, so that a day can fill its shards while the rest of others waits. Events of `d` days in any
  /// order give shards of about 2 · `maxWaitingRows` / d rows.
  static let maxWaitingRows = Limits.shardRows * 3 / 2
  /// Bytes of text that wait, of all days: with the row that reaches them the day with most text is cut. Bounds memory
  /// where events are large: at this size there are at most three such shards in memory (`CommitSchedule`).
  static let maxWaitingBytes = 32 << 20
  /// Slices are joined up to this many rows: a default batch is left alone.
  static let mergedRows = 2_048
  /// Rows of a batch are copied out of it unless they are at least one in so many of its rows: a slice that is not a copy
  /// keeps its whole batch.
  private static let keptShare = 4
  /// How long a row may wait before it is in a shard that other tools can read.
  static let maxAge = Duration.seconds(300)

  private let layout: HistoryLayout
  private let timeColumn: Int
  private let folder: String
  private let stem: String
  private let maxWaiting: Int
  private let maxBytes: Int
  /// By number since 1970-01-01.
  private var days: [Int64: Day] = [:]
  private var waitingRows = 0
  private var waitingBytes = 0
  private(set) var jobs: [ShardJob] = []
  private var nextTail = 0
  /// Whether stored tails hold rows that are in shards now.
  private var tailsAreStale = false

  /// - Parameters:
  ///   - timeColumn: index in `layout` of the event time.
  ///   - folder: where shards go, relative to the data directory: `history/redset`.
  ///   - partition: names the shards.
  ///   - maxWaiting: rows that wait at most.
  ///   - maxBytes: bytes of text that wait at most.
  init(
    layout: HistoryLayout, timeColumn: Int, folder: String, partition: PartitionID,
    maxWaiting: Int = Self.maxWaitingRows, maxBytes: Int = Self.maxWaitingBytes
  ) {
    precondition(maxWaiting > 0 && maxBytes > 0, "a row waits at least for its batch to end")
    self.layout = layout
    self.timeColumn = timeColumn
    self.folder = folder
    self.maxWaiting = maxWaiting
    self.maxBytes = maxBytes
    stem = "\(partition.source)-\(partition.number)"
  }

  /// Takes up what a checkpoint left. Tails of another layout become shards of their own at once.
  /// - Throws: `CodingError` where a tail does not hold the rows it says.
  mutating func restore(
    _ tails: [(tail: HistoryTail, rows: HistoryRows)], nextShard: [String: Int], now: ContinuousClock.Instant
  ) throws(CodingError) {
    for (day, number) in nextShard { days[try Self.number(of: day), default: Day()].nextShard = number }
    for (tail, rows) in tails {
      nextTail = max(nextTail, tail.number + 1)
      guard tail.rows == rows.count else {
        throw CodingError("history tail \(tail.number) has \(rows.count) rows, expected \(tail.rows)")
      }
      let weights = RowWeights(rows.columns)
      var start = 0
      for part in tail.days {
        let number = try Self.number(of: part.day)
        let slice = Slice(columns: rows.columns, rows: start..<start + part.rows)
        var day = days.removeValue(forKey: number) ?? Day()
        if rows.layout == layout {
          day.slices.append(slice)
          let bytes = weights.bytes(of: start..<start + part.rows)
          day.count += part.rows
          day.bytes += bytes
          waitingBytes += bytes
          day.tailedCount += part.rows
          day.openedAt = day.openedAt ?? now
          waitingRows += part.rows
        } else {
          let old = Self.concatenate([slice], skipping: 0, count: part.rows, rows.layout)
          jobs.append(ShardJob(rows: old, shard: shard(of: part.day, number: day.nextShard, rows: old)))
          day.nextShard += 1
          tailsAreStale = true
        }
        days[number] = day
        start += part.rows
      }
    }
  }

  /// Appends the rows of a batch, by the day of their event times, and cuts shards at the very row that fills one or
  /// the buffer, wherever batches end.
  mutating func append(_ columns: [Column], eventTimes: [Int64], now: ContinuousClock.Instant) {
    // Rows of this batch that are counted and not in a slice yet, by day.
    var runs: [Int64: [Range<Int>]] = [:]
    let weights = RowWeights(columns)
    var start = 0
    while start < eventTimes.count {
      let number = Timestamp.dayNumber(of: eventTimes[start])
      let room = min(Limits.shardRows - (days[number]?.count ?? 0), maxWaiting - waitingRows)
      let limit = min(eventTimes.count, start + room)
      var end = start + 1
      while end < limit, Timestamp.dayNumber(of: eventTimes[end]) == number { end += 1 }
      let bytes: Int
      (end, bytes) = weights.run(of: start..<end, reaching: maxBytes - waitingBytes)
      runs[number, default: []].append(start..<end)
      days[number, default: Day()].add(end - start, bytes: bytes, now)
      waitingRows += end - start
      waitingBytes += bytes
      start = end
      if days[number]?.count ?? 0 >= Limits.shardRows { cut(number, &runs, columns) }
      // One cut makes room: the fullest day holds at least the row that just came.
      if waitingRows >= maxWaiting, let fullest = fullestDay(by: \.count) { cut(fullest, &runs, columns) }
      if waitingBytes >= maxBytes, let fullest = fullestDay(by: \.bytes) { cut(fullest, &runs, columns) }
    }
    for (number, runs) in runs { collect(runs, of: number, columns) }
  }

  private func fullestDay(by size: (Day) -> Int) -> Int64? {
    days.max { (size($0.value), $1.key) < (size($1.value), $0.key) }?.key
  }

  private mutating func cut(_ number: Int64, _ runs: inout [Int64: [Range<Int>]], _ columns: [Column]) {
    if let runs = runs.removeValue(forKey: number) { collect(runs, of: number, columns) }
    seal(number)
  }

  /// Makes a slice of rows of a batch.
  private mutating func collect(_ runs: [Range<Int>], of number: Int64, _ columns: [Column]) {
    let count = runs.reduce(0) { $0 + $1.count }
    let slice: Slice
    if runs.count == 1, count * Self.keptShare >= columns[0].count {
      slice = Slice(columns: columns, rows: runs[0])
    } else {
      let pieces = runs.map { Slice(columns: columns, rows: $0) }
      let copy = Self.concatenate(pieces, skipping: 0, count: count, layout)
      slice = Slice(columns: copy.columns, rows: 0..<count)
    }
    var day = days.removeValue(forKey: number) ?? Day()
    day.slices.append(slice)
    mergeSmall(&day)
    days[number] = day
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
  mutating func seal(olderThan limit: ContinuousClock.Instant?, all: Bool = false) {
    for (number, day) in days.sorted(by: { $0.key < $1.key }) where day.count > 0 {
      let isOld = if let opened = day.openedAt, let limit { opened <= limit } else { false }
      if all || isOld { seal(number) }
    }
  }

  /// The shards cut since the last call.
  mutating func takeJobs() -> [ShardJob] {
    defer { jobs = [] }
    return jobs
  }

  /// The rows that no stored tail covers yet, day by day, and the number below which tails are superfluous. Where a shard
  /// has taken rows of stored tails, all that still waits is stored anew and the old tails go: what is stored stays in
  /// proportion to what waits, and there is one tail a checkpoint, however many days it holds.
  mutating func takeTail() -> (added: TailJob?, dropBelow: Int?) {
    var slices: [Slice] = []
    var parts: [HistoryTail.DayRows] = []
    for (number, day) in days.sorted(by: { $0.key < $1.key }) where day.count > (tailsAreStale ? 0 : day.tailedCount) {
      var skip = tailsAreStale ? 0 : day.tailedCount
      parts.append(HistoryTail.DayRows(day: Self.name(of: number), rows: day.count - skip))
      for slice in day.slices {
        let skipped = min(skip, slice.rows.count)
        skip -= skipped
        slices.append(Slice(columns: slice.columns, rows: slice.rows.dropFirst(skipped)))
      }
      days[number]?.tailedCount = day.count
    }
    let dropBelow = tailsAreStale ? nextTail : nil
    tailsAreStale = false
    guard !parts.isEmpty else { return (nil, dropBelow) }
    let rows = Self.concatenate(slices, skipping: 0, count: parts.reduce(0) { $0 + $1.rows }, layout)
    defer { nextTail += 1 }
    return (TailJob(number: nextTail, days: parts, rows: rows), dropBelow)
  }

  private mutating func seal(_ number: Int64) {
    guard var day = days.removeValue(forKey: number) else { return }
    let rows = Self.concatenate(day.slices, skipping: 0, count: day.count, layout)
    jobs.append(ShardJob(rows: rows, shard: shard(of: Self.name(of: number), number: day.nextShard, rows: rows)))
    if day.tailedCount > 0 { tailsAreStale = true }
    waitingRows -= day.count
    waitingBytes -= day.bytes
    day = Day(nextShard: day.nextShard + 1)
    days[number] = day
  }

  private func shard(of day: String, number: Int, rows: HistoryRows) -> HistoryShard {
    // Rows that waited when the use case was changed have the columns of before. Where none of them is its event time now,
    // they lie somewhere in their day.
    let name = layout.columns[timeColumn].name
    var times: [Int64] = []
    if let column = rows.layout.columns.firstIndex(where: { $0.name == name }),
      case .timestamp(let values) = rows.columns[column].values
    {
      times = values
    } else if let start = Timestamp.parse(day + "T00:00:00Z") {
      times = [start, start + Timestamp.microsecondsPerDay - 1]
    }
    let file = "\(stem)-\(String(number).leftPadded(to: 6)).arrow"
    let folder = "\(folder)/day=\(day)"
    return HistoryShard(
      day: day, number: number, rows: rows.count, bytes: 0, firstTime: times.min() ?? 0, lastTime: times.max() ?? 0,
      temporaryPath: "\(folder)/.\(file).tmp", path: "\(folder)/\(file)")
  }

  private static func name(of number: Int64) -> String { Timestamp.day(of: number * Timestamp.microsecondsPerDay) }

  private static func number(of day: String) throws(CodingError) -> Int64 {
    guard let time = Timestamp.parse(day + "T00:00:00Z") else { throw CodingError("'\(day)' is not a day of history") }
    return Timestamp.dayNumber(of: time)
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

extension String {
  fileprivate func leftPadded(to width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}
