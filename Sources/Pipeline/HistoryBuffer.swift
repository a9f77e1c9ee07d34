// History rows of one partition that are not yet in a shard. Invariants: rows of a day are in partition order; a shard
// takes all rows of its days that wait; of each day, the rows that stored tails cover are the first ones that wait. When
// a shard is cut is a function of the rows alone (and, for the age limit, of the clock), and what decides it is restored
// with the tails: an interrupted run cuts the same shards.
//
// Days of which many rows wait are dense and are cut one by one. Days of which few wait are scattered: event times that
// are wrong at random make one of every row. Those are kept together and cut together, into a shard of several days, so
// that neither files nor the work for a row grow with the number of days.

import Detection

/// A full shard's rows, ready to be written by whoever has time.
struct ShardJob: Sendable {
  var rows: HistoryRows
  var shard: HistoryShard
}

/// Rows for a stored tail, ready to be encoded. It takes the place of the tail of its number, if there is one.
struct TailJob: Sendable {
  var number: Int
  var days: [HistoryTail.DayRows]
  var rows: HistoryRows
}

/// Collects rows by day and cuts them into shards.
struct HistoryBuffer {
  struct Day {
    /// Rows that wait, with those of the batch at hand that are not in `slices` or `places` yet.
    var count = 0
    /// Bytes of text of these rows.
    var bytes = 0
    var isDense = false
    /// The rows of a dense day.
    var slices: [HistorySlice] = []
    /// Where the rows of a scattered day are.
    var places: [Int] = []
    /// Waiting rows that stored tails cover, by tail, ascending.
    var stored: [(tail: Int, rows: Int)] = []
    /// When the first of the waiting rows came.
    var openedAt: ContinuousClock.Instant?

    var storedCount: Int { stored.reduce(0) { $0 + $1.rows } }

    mutating func noteStored(_ rows: Int, in tail: Int) {
      if stored.last?.tail == tail { stored[stored.count - 1].rows += rows } else { stored.append((tail, rows)) }
    }
  }

  /// Rows of a batch that are counted and not collected yet.
  private struct Uncollected {
    var dense: [Int64: [Range<Int>]] = [:]
    /// In the order of the batch.
    var scattered: [(rows: Range<Int>, day: Int64)] = []
  }

  /// Rows of a batch are copied out of it unless they are at least one in so many of its rows: a slice that is not a copy
  /// keeps its whole batch.
  private static let keptShare = 4
  /// Unused places among scattered rows, beyond as many as are used, that are let be.
  private static let unusedPlaces = 1_024
  /// How long a row may wait before it is in a shard that other tools can read.
  static let maxAge = Duration.seconds(300)

  private let layout: HistoryLayout
  private let bounds: HistoryBounds
  private let retention: Int64?
  private let names: ShardNames
  /// Days of which rows wait, by number since 1970-01-01.
  private(set) var days: [Int64: Day] = [:]
  private var denseDays: Set<Int64> = []
  private var scattered: ScatteredRows
  private var waitingRows = 0
  private var waitingBytes = 0
  private var scatteredCount = 0
  private var scatteredBytes = 0
  private var nextShard: [Int64: Int] = [:]
  private var tails = StoredTails()
  private(set) var jobs: [ShardJob] = []
  /// Bytes of the rows that wait: of text, and a word for each other value.
  var heldBytes: Int { waitingBytes + waitingRows * 8 * layout.columns.count }
  /// The watermark before the last row.
  private var watermark = Int64.min

  /// - Parameters:
  ///   - timeColumn: index in `layout` of the event time.
  ///   - folder: where shards go, relative to the data directory: `history/redset`.
  ///   - partition: names the shards.
  ///   - epoch: of the claim that they are written under.
  ///   - retention: how far behind the watermark a day may lie to be kept, microseconds; nil keeps everything.
  init(
    layout: HistoryLayout, timeColumn: Int, folder: String, partition: PartitionID, epoch: Int64 = 0,
    retention: Int64? = nil, bounds: HistoryBounds = HistoryBounds()
  ) {
    precondition(bounds.waitingRows > 0 && bounds.waitingBytes > 0, "a row waits at least for its batch to end")
    precondition(bounds.denseRows <= Limits.shardRows, "a full shard is of a dense day")
    self.layout = layout
    self.bounds = bounds
    self.retention = retention
    names = ShardNames(timeColumn: layout.columns[timeColumn].name, folder: folder, partition: partition, epoch: epoch)
    scattered = ScatteredRows(layout: layout)
  }

  // MARK: - Rows come

  /// Appends the rows of a batch, by the day of their event times, and cuts shards at the very row that fills one or
  /// the buffer, wherever batches end.
  /// - Parameter marks: the watermarks of the rows; without them it stays where it is.
  mutating func append(
    _ columns: [Column], eventTimes: [Int64], marks: EventTimeMarks? = nil, now: ContinuousClock.Instant
  ) {
    var batch = Uncollected()
    let weights = RowWeights(columns)
    var start = 0
    while start < eventTimes.count {
      let number = Timestamp.dayNumber(of: eventTimes[start])
      let room = room(for: number)
      let limit = min(eventTimes.count, start + room.rows)
      var end = start + 1
      while end < limit, Timestamp.dayNumber(of: eventTimes[end]) == number { end += 1 }
      let bytes: Int
      (end, bytes) = weights.run(of: start..<end, reaching: room.bytes)
      let isDense = count(end - start, of: number, bytes: bytes, now)
      if isDense {
        batch.dense[number, default: []].append(start..<end)
      } else {
        batch.scattered.append((start..<end, number))
      }
      if let marks { watermark = marks.watermarks[end - 1] }
      start = end
      if !isDense, isNowDense(number) {
        collectScattered(&batch, columns)
        makeDense(number)
      }
      while let next = due(after: number) { cut(next, &batch, columns) }
    }
    if let marks { watermark = marks.watermarkAfter }
    collectScattered(&batch, columns)
    for (number, runs) in batch.dense { collect(runs, of: number, columns) }
  }

  /// What of a day may come before something has to be decided.
  private func room(for number: Int64) -> (rows: Int, bytes: Int) {
    let (rows, bytes) = (bounds.waitingRows - waitingRows, bounds.waitingBytes - waitingBytes)
    guard let day = days[number] else {
      return (
        min(rows, bounds.denseRows, bounds.scatteredRows - scatteredCount), min(bytes, bounds.denseBytes)
      )
    }
    if day.isDense { return (min(rows, Limits.shardRows - day.count), bytes) }
    return (
      min(rows, bounds.denseRows - day.count, bounds.scatteredRows - scatteredCount),
      min(bytes, bounds.denseBytes - day.bytes)
    )
  }

  /// - Returns: whether the day was dense before.
  private mutating func count(_ rows: Int, of number: Int64, bytes: Int, _ now: ContinuousClock.Instant) -> Bool {
    waitingRows += rows
    waitingBytes += bytes
    func add(to day: inout Day) -> Bool {
      day.count += rows
      day.bytes += bytes
      if day.openedAt == nil { day.openedAt = now }
      return day.isDense
    }
    let isDense = add(to: &days[number, default: Day()])
    if !isDense {
      scatteredCount += rows
      scatteredBytes += bytes
    }
    return isDense
  }

  private func isNowDense(_ number: Int64) -> Bool {
    guard let day = days[number] else { return false }
    return day.count >= bounds.denseRows || day.bytes >= bounds.denseBytes
  }

  /// Makes a scattered day, whose rows are all collected, a dense one.
  private mutating func makeDense(_ number: Int64) {
    guard var day = days.removeValue(forKey: number) else { return }
    let rows = HistorySlice.joined(scattered.rows(at: day.places), layout)
    day.slices = [HistorySlice(columns: rows.columns, rows: 0..<rows.count)]
    day.places = []
    day.isDense = true
    days[number] = day
    denseDays.insert(number)
    scatteredCount -= day.count
    scatteredBytes -= day.bytes
    compact()
  }

  private mutating func collectScattered(_ batch: inout Uncollected, _ columns: [Column]) {
    var place = scattered.end
    scattered.append(columns, batch.scattered)
    for run in batch.scattered {
      days[run.day]?.places.append(contentsOf: place..<place + run.rows.count)
      place += run.rows.count
    }
    batch.scattered = []
  }

  /// Makes a slice of rows of a batch.
  private mutating func collect(_ runs: [Range<Int>], of number: Int64, _ columns: [Column]) {
    let count = runs.reduce(0) { $0 + $1.count }
    let slice: HistorySlice
    if runs.count == 1, count * Self.keptShare >= columns[0].count {
      slice = HistorySlice(columns: columns, rows: runs[0])
    } else {
      let copy = HistorySlice.joined(runs.map { HistorySlice(columns: columns, rows: $0) }, layout)
      slice = HistorySlice(columns: copy.columns, rows: 0..<count)
    }
    days[number]?.slices.append(slice)
    days[number]?.slices.mergeSmall(layout)
  }

  // MARK: - Shards are cut

  private enum Cut {
    case day(Int64)
    case scattered
  }

  /// What has to be cut, after rows of a day have come.
  private func due(after number: Int64) -> Cut? {
    if let day = days[number], day.isDense, day.count >= Limits.shardRows { return .day(number) }
    if scatteredCount >= bounds.scatteredRows { return .scattered }
    if waitingRows >= bounds.waitingRows { return fullest(\.count).map { .day($0) } ?? .scattered }
    guard waitingBytes >= bounds.waitingBytes else { return nil }
    if scatteredBytes >= bounds.waitingBytes / 3 { return .scattered }
    return fullest(\.bytes).map { .day($0) } ?? .scattered
  }

  private func fullest(_ size: (Day) -> Int) -> Int64? {
    func key(_ number: Int64) -> (Int, Int64) { (days[number].map(size) ?? 0, -number) }
    return denseDays.max { key($0) < key($1) }
  }

  private mutating func cut(_ next: Cut, _ batch: inout Uncollected, _ columns: [Column]) {
    switch next {
    case .day(let number):
      if let runs = batch.dense.removeValue(forKey: number) { collect(runs, of: number, columns) }
      seal(number)
    case .scattered:
      collectScattered(&batch, columns)
      sealScattered()
    }
  }

  /// Seals what has waited too long; with `all` everything.
  mutating func seal(olderThan limit: ContinuousClock.Instant?, all: Bool = false) {
    let due = days.filter { _, day in
      if all { return true }
      guard let limit, let opened = day.openedAt else { return false }
      return opened <= limit
    }
    for number in due.keys.sorted() where denseDays.contains(number) { seal(number) }
    let few = due.filter { !$0.value.isDense }.keys.sorted()
    if few.isEmpty { return }
    // Many grow old one by one: they go together, or each would take a file of its own after all.
    if days.count - denseDays.count > bounds.ownShards { sealScattered() } else { for number in few { seal(number) } }
  }

  /// Seals one day.
  private mutating func seal(_ number: Int64) {
    guard let day = take(number) else { return }
    let rows = HistorySlice.joined(day.isDense ? day.slices : scattered.rows(at: day.places), layout)
    jobs.append(ShardJob(rows: rows, shard: shard(of: [number], rows)))
    compact()
  }

  /// Seals all scattered days.
  private mutating func sealScattered() {
    for group in groups(of: days.filter { !$0.value.isDense }.map(\.key)) {
      let places = group.days.compactMap { take($0)?.places }.joined().sorted()
      guard group.isKept else { continue }
      let rows = HistorySlice.joined(scattered.rows(at: places), layout)
      jobs.append(ShardJob(rows: rows, shard: shard(of: group.days, rows)))
    }
    compact()
  }

  /// What rows of days share a shard: of a few days each has its own; of more, those do that have about the same time left.
  /// A shard goes with the last of its days, and so none stays longer than twice the time it has left, and a cut makes at
  /// most a shard for each doubling of that time, sixteen for a century. Of days that are not kept any more the rows need
  /// not be written.
  private func groups(of days: [Int64]) -> [(days: [Int64], isKept: Bool)] {
    let keepFrom = keepFrom
    let groups = Dictionary(grouping: days) { day -> Int in
      guard let keepFrom else { return 0 }
      return day < keepFrom ? -1 : Int64.bitWidth - (day - keepFrom + 1).leadingZeroBitCount
    }
    let areFew = days.count <= bounds.ownShards
    return groups.sorted { $0.key < $1.key }.flatMap { key, days -> [(days: [Int64], isKept: Bool)] in
      areFew && key >= 0 ? days.sorted().map { ([$0], true) } : [(days.sorted(), key >= 0)]
    }
  }

  /// The first day that is kept; nil where all are.
  private var keepFrom: Int64? {
    guard let retention, watermark != .min else { return nil }
    return Timestamp.dayNumber(of: max(watermark.subtractingSaturated(retention), Timestamp.range.lowerBound))
  }

  /// Removes a day from what waits.
  private mutating func take(_ number: Int64) -> Day? {
    guard let day = days.removeValue(forKey: number) else { return nil }
    waitingRows -= day.count
    waitingBytes -= day.bytes
    if day.isDense {
      denseDays.remove(number)
    } else {
      scatteredCount -= day.count
      scatteredBytes -= day.bytes
    }
    for part in day.stored { tails.noteChange(of: part.tail) }
    return day
  }

  /// The next shard of some days.
  private mutating func shard(of days: [Int64], _ rows: HistoryRows) -> HistoryShard {
    let last = days[days.count - 1]
    let number = nextShard[last] ?? 0
    nextShard[last] = number + 1
    return names.shard(of: days[0]...last, number: number, rows: rows)
  }

  /// Gives up the places of scattered rows that have gone, once they are the greater part.
  private mutating func compact() {
    guard scattered.end > 2 * scatteredCount + Self.unusedPlaces else { return }
    let kept = (0..<scattered.end).filter { isWaiting($0) }
    for (number, day) in days where !day.isDense { days[number]?.places.removeAll(keepingCapacity: day.count > 1) }
    tails.firstUnstored = kept.count { $0 < tails.firstUnstored }
    scattered.keep(kept)
    for place in 0..<scattered.end { days[scattered.days[place]]?.places.append(place) }
  }

  /// Whether a scattered row is not taken: its day has all of its rows or none.
  private func isWaiting(_ place: Int) -> Bool {
    guard let day = days[scattered.days[place]], let first = day.places.first else { return false }
    return first <= place
  }

  /// The shards cut since the last call.
  mutating func takeJobs() -> [ShardJob] {
    defer { jobs = [] }
    return jobs
  }
}

// MARK: - What a checkpoint keeps

extension HistoryBuffer {
  /// Takes up what a checkpoint left. Tails of another layout become shards at once.
  /// - Parameter watermark: where it stands; `Int64.min` while it is not known.
  /// - Throws: `CodingError` where a tail does not hold the rows it says.
  mutating func restore(
    _ stored: [(tail: HistoryTail, rows: HistoryRows)], nextShard: [String: Int], watermark: Int64 = .min,
    now: ContinuousClock.Instant
  ) throws(CodingError) {
    self.watermark = watermark
    for (day, number) in nextShard { self.nextShard[try ShardNames.number(of: day)] = number }
    for (tail, rows) in stored {
      guard tail.rows == rows.count else {
        throw CodingError("history tail \(tail.number) has \(rows.count) rows, expected \(tail.rows)")
      }
      var parts: [(rows: Range<Int>, day: Int64)] = []
      var start = 0
      for part in tail.days where part.rows > 0 {
        parts.append((start..<start + part.rows, try ShardNames.number(of: part.day)))
        start += part.rows
      }
      tails.restore(tail.number, parts.map { ($0.day, $0.rows.count) })
      if rows.layout == layout {
        take(up: parts, of: rows, tail: tail.number, now)
      } else {
        sealOld(parts, of: rows)
        tails.noteChange(of: tail.number)
      }
    }
    tails.firstUnstored = scattered.end
    // An earlier version of the program left more scattered rows than wait now.
    var batch = Uncollected()
    while let next = due(after: 0) { cut(next, &batch, []) }
  }

  private mutating func take(
    up parts: [(rows: Range<Int>, day: Int64)], of rows: HistoryRows, tail: Int, _ now: ContinuousClock.Instant
  ) {
    var batch = Uncollected()
    let weights = RowWeights(rows.columns)
    for (part, number) in parts {
      var start = part.lowerBound
      while start < part.upperBound {
        let day = days[number] ?? Day()
        var end = part.upperBound
        if !day.isDense { end = min(end, start + bounds.denseRows - day.count) }
        let bytes: Int
        (end, bytes) = weights.run(of: start..<end, reaching: day.isDense ? .max : bounds.denseBytes - day.bytes)
        let isDense = count(end - start, of: number, bytes: bytes, now)
        if isDense {
          batch.dense[number, default: []].append(start..<end)
        } else {
          batch.scattered.append((start..<end, number))
        }
        days[number]?.noteStored(end - start, in: tail)
        start = end
        if !isDense, isNowDense(number) {
          collectScattered(&batch, rows.columns)
          makeDense(number)
        }
      }
    }
    collectScattered(&batch, rows.columns)
    for (number, runs) in batch.dense { collect(runs, of: number, rows.columns) }
  }

  /// Makes shards of a tail that was written when the use case had other columns.
  private mutating func sealOld(_ parts: [(rows: Range<Int>, day: Int64)], of rows: HistoryRows) {
    let byDay = Dictionary(grouping: parts, by: \.day)
    let dense = byDay.filter { $0.value.reduce(0) { $0 + $1.rows.count } >= bounds.denseRows }.keys.sorted()
    let few = groups(of: byDay.keys.filter { !dense.contains($0) }).filter(\.isKept).map(\.days)
    for days in dense.map({ [$0] }) + few {
      let slices = days.flatMap { byDay[$0] ?? [] }.sorted { $0.rows.lowerBound < $1.rows.lowerBound }
        .map { HistorySlice(columns: rows.columns, rows: $0.rows) }
      let old = HistorySlice.joined(slices, rows.layout)
      jobs.append(ShardJob(rows: old, shard: shard(of: days, old)))
    }
  }

  /// The tails that are new or hold less than before, and the numbers of those that hold nothing that waits. What is
  /// stored stays in proportion to what waits; there are at most two new ones a checkpoint, however many days they hold:
  /// rows of scattered days and those of dense ones, because dense days are cut more often.
  mutating func takeTails() -> (stored: [TailJob], dropped: [Int]) {
    var (jobs, dropped) = ([TailJob](), [Int]())
    for (number, parts) in tails.takeChanged(waitingIn: days) {
      if parts.isEmpty { dropped.append(number) } else { jobs.append(rewritten(number, parts)) }
    }
    if let job = newScatteredTail() { jobs.append(job) }
    if let job = newDenseTail() { jobs.append(job) }
    return (jobs, dropped)
  }

  /// A stored tail with those of its rows that still wait.
  private func rewritten(_ number: Int, _ parts: [StoredTails.Part]) -> TailJob {
    var taken: [Int64: Int] = [:]
    let slices = parts.flatMap { part -> [HistorySlice] in
      guard let day = days[part.day] else { return [] }
      let before = day.stored.prefix { $0.tail < number }.reduce(0) { $0 + $1.rows } + taken[part.day, default: 0]
      taken[part.day, default: 0] += part.rows
      let rows = before..<before + part.rows
      return day.isDense ? day.slices.rows(rows) : scattered.rows(at: day.places[rows])
    }
    return TailJob(number: number, parts: parts, rows: HistorySlice.joined(slices, layout))
  }

  private mutating func newScatteredTail() -> TailJob? {
    let places = (tails.firstUnstored..<scattered.end).filter { isWaiting($0) }
    tails.firstUnstored = scattered.end
    guard !places.isEmpty else { return nil }
    var parts: [StoredTails.Part] = []
    for place in places {
      let day = scattered.days[place]
      if parts.last?.day == day { parts[parts.count - 1].rows += 1 } else { parts.append((day, 1)) }
    }
    return newTail(parts, scattered.rows(at: places))
  }

  private mutating func newDenseTail() -> TailJob? {
    var (parts, slices) = ([StoredTails.Part](), [HistorySlice]())
    for number in denseDays.sorted() {
      guard let day = days[number], day.count > day.storedCount else { continue }
      parts.append((number, day.count - day.storedCount))
      slices += day.slices.rows(day.storedCount..<day.count)
    }
    return parts.isEmpty ? nil : newTail(parts, slices)
  }

  private mutating func newTail(_ parts: [StoredTails.Part], _ slices: [HistorySlice]) -> TailJob {
    let number = tails.add(parts)
    for part in parts { days[part.day]?.noteStored(part.rows, in: number) }
    return TailJob(number: number, parts: parts, rows: HistorySlice.joined(slices, layout))
  }
}
