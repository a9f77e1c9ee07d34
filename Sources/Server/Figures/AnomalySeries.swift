// Of each anomaly what counts over time need, in buckets of ten minutes. A bucket has its anomalies and how many of them are
// alike: a question adds up the latter, and looks at single ones only where its span or a step cuts a bucket.

import Detection
import Pipeline

/// Anomalies by time.
struct AnomalySeries: Sendable {
  /// What names an anomaly of a use case, in numbers of the tables.
  struct Key: Sendable, Hashable {
    var offset: Int64
    var segment: UInt32
    var subject: Int32
    var partition: Int32
    var detector: Int16
  }

  struct Row: Sendable {
    /// Microseconds.
    var time: Int64
    var key: Key
    /// Number of the record in its segment.
    var record: Int64
    /// Which conditions of its detector it meets, a bit for each.
    var matches: UInt64
    var entity: Int32
    var severity: Severity
    var isHidden: Bool

    var position: Position { Position(segment: key.segment, offset: key.offset, row: record) }
  }

  /// How many anomalies are alike in all that is counted.
  struct Tally: Sendable, Hashable {
    struct Kind: Sendable, Hashable {
      var matches: UInt64
      var entity: Int32
      var detector: Int16
      var severity: Severity

      init(_ row: Row) {
        (matches, entity, detector, severity) = (row.matches, row.entity, row.key.detector, row.severity)
      }
    }

    var kind: Kind
    var shown = 0
    /// Those that lists and counts leave out.
    var hidden = 0

    mutating func add(_ row: Row) { if row.isHidden { hidden += 1 } else { shown += 1 } }
  }

  /// Anomalies of ten minutes.
  struct Bucket: Sendable {
    static let length: Int64 = 600_000_000

    let start: Int64
    /// Ascending by time.
    fileprivate(set) var rows: [Row] = []
    fileprivate(set) var tallies: [Tally] = []
    /// The last position of each partition.
    fileprivate var last: [Int32: Position] = [:]

    var end: Int64 { start.addingSaturated(Self.length) }

    fileprivate init(start: Int64) { self.start = start }

    /// Where the bucket of a time begins.
    static func start(of time: Int64) -> Int64 {
      time.subtractingSaturated((time % length + length) % length)
    }

    fileprivate mutating func settle() {
      rows.sort { $0.time < $1.time }
      var counts: [Tally.Kind: Tally] = [:]
      last = [:]
      for row in rows {
        let kind = Tally.Kind(row)
        counts[kind, default: Tally(kind: kind)].add(row)
        last[row.key.partition] = max(last[row.key.partition] ?? row.position, row.position)
      }
      tallies = Array(counts.values)
    }
  }

  /// Ascending by time; none is empty.
  fileprivate(set) var buckets: [Bucket] = []
  fileprivate(set) var entities = NameTable()
  fileprivate(set) var detectors = NameTable()
  fileprivate var partitions: [PartitionID] = []
  /// From when on all anomalies are here, microseconds; `Int64.min` where all are.
  fileprivate(set) var knownFrom = Int64.min

  /// The time of the earliest.
  var firstTime: Int64? { buckets.first?.rows.first?.time }
  /// The time of the latest.
  var lastTime: Int64? { buckets.last?.rows.last?.time }

  /// The earliest event time of those from a position on.
  func firstTime(from position: Position, in partition: PartitionID) -> Int64? {
    guard let number = partitions.firstIndex(of: partition).map({ Int32(clamping: $0) }) else { return nil }
    for bucket in buckets where bucket.last[number].map({ $0 >= position }) ?? false {
      let row = bucket.rows.first { $0.key.partition == number && $0.position >= position }
      if let row { return row.time }
    }
    return nil
  }

  /// Calls `body` with what happened in a span, and in which of its steps.
  @inline(__always)
  func forEachTally(_ range: FigureRange, _ body: (Int, Tally) -> Void) {
    let last = range.count - 1
    func step(of time: Int64) -> Int { min(range.index(of: time), last) }
    for bucket in buckets[buckets.partitioningIndex { $0.end > range.from }...] {
      if bucket.start >= range.to { return }
      let isWhole = bucket.start >= range.from && bucket.end <= range.to
      if isWhole, case let index = step(of: bucket.start), index == step(of: bucket.end - 1) {
        for tally in bucket.tallies { body(index, tally) }
        continue
      }
      for row in bucket.rows where row.time >= range.from && row.time < range.to {
        var tally = Tally(kind: Tally.Kind(row))
        tally.add(row)
        body(step(of: row.time), tally)
      }
    }
  }
}

/// What keeps anomalies by time up to date: it knows where each is. Who asks gets the series alone, so that a change does not
/// copy what only changes need.
struct AnomalyBook: Sendable {
  private(set) var series = AnomalySeries()
  /// Ids of those that lists and counts leave out.
  private(set) var hidden: Set<String> = []
  private let useCase: String
  /// Anomalies at most: beyond, the oldest go.
  private let most: Int
  /// Where the bucket of each begins.
  private var places: [AnomalySeries.Key: Int64] = [:]
  private var subjects = NameTable()
  /// Buckets that have changed.
  private var stale: Set<Int64> = []
  /// Keys of ids that were asked for.
  private var keys: [String: AnomalySeries.Key] = [:]

  init(of useCase: String, most: Int) {
    self.useCase = useCase
    self.most = most
  }

  var count: Int { places.count }
  /// Whether there is no place for more.
  var isFull: Bool { count >= most }

  /// Adds one, or puts it in the place of what it said before.
  /// - Parameter matches: which conditions of its detector it meets.
  mutating func add(_ anomaly: StoredAnomaly, matches: UInt64) {
    let key = AnomalySeries.Key(
      offset: anomaly.position.offset, segment: anomaly.position.segment,
      subject: Int32(clamping: subjects.insert(anomaly.subject)), partition: number(of: anomaly.partition),
      detector: Int16(clamping: series.detectors.insert(anomaly.detector)))
    remove(key)
    // Others of that time are not here any more.
    guard anomaly.eventTime >= series.knownFrom else { return }
    let row = AnomalySeries.Row(
      time: anomaly.eventTime, key: key, record: anomaly.position.row, matches: matches,
      entity: Int32(clamping: series.entities.insert(anomaly.key)),
      severity: Severity(rawValue: anomaly.severity) ?? .info,
      isHidden: !hidden.isEmpty && hidden.contains(anomaly.id))
    let start = AnomalySeries.Bucket.start(of: row.time)
    let index = series.buckets.partitioningIndex { $0.start >= start }
    if index == series.buckets.count || series.buckets[index].start != start {
      series.buckets.insert(AnomalySeries.Bucket(start: start), at: index)
    }
    series.buckets[index].rows.append(row)
    places[key] = start
    stale.insert(start)
  }

  private mutating func number(of partition: PartitionID) -> Int32 {
    if let known = series.partitions.firstIndex(of: partition) { return Int32(clamping: known) }
    series.partitions.append(partition)
    return Int32(clamping: series.partitions.count - 1)
  }

  mutating func remove(_ id: AnomalyID) {
    guard let key = key(id.partition, id.position.segment, id.position.offset, id.detector, id.subject) else { return }
    remove(key)
  }

  private mutating func remove(_ key: AnomalySeries.Key) {
    guard let start = places.removeValue(forKey: key), let index = index(ofBucket: start) else { return }
    series.buckets[index].rows.removeAll { $0.key == key }
    stale.insert(start)
  }

  private func index(ofBucket start: Int64) -> Int? {
    let index = series.buckets.partitioningIndex { $0.start >= start }
    return index < series.buckets.count && series.buckets[index].start == start ? index : nil
  }

  private func key(
    _ partition: PartitionID, _ segment: UInt32, _ offset: Int64, _ detector: String, _ subject: String
  ) -> AnomalySeries.Key? {
    guard let partition = series.partitions.firstIndex(of: partition), let subject = subjects.index(of: subject),
      let detector = series.detectors.index(of: detector)
    else { return nil }
    return AnomalySeries.Key(
      offset: offset, segment: segment, subject: Int32(clamping: subject), partition: Int32(clamping: partition),
      detector: Int16(clamping: detector))
  }

  /// The key of an id that is known here.
  private mutating func key(of id: String) -> AnomalySeries.Key? {
    if let known = keys[id] { return known }
    guard let parts = AnomalyID.parts(of: id), parts.place.hasPrefix("\(useCase).") else { return nil }
    let source = String(parts.place.dropFirst(useCase.count + 1))
    let partition = PartitionID(source: source, number: parts.partition)
    let found = key(partition, parts.segment, parts.offset, parts.detector, parts.subject)
    if let found { keys[id] = found }
    return found
  }

  /// To be called behind additions and removals: counts what has changed, and lets the oldest go where there are too many.
  mutating func settle() {
    for start in stale {
      guard let index = index(ofBucket: start) else { continue }
      if series.buckets[index].rows.isEmpty {
        series.buckets.remove(at: index)
      } else {
        series.buckets[index].settle()
      }
    }
    stale = []
    while count > most, series.buckets.count > 1 { dropOldest() }
    // Of a single bucket that alone is too much, the newest stay.
    guard count > most, let oldest = series.buckets.first else { return }
    let gone = oldest.rows.prefix(count - most)
    for row in gone { places[row.key] = nil }
    series.knownFrom = max(series.knownFrom, gone.last.map { $0.time.addingSaturated(1) } ?? .min)
    series.buckets[0].rows.removeFirst(gone.count)
    series.buckets[0].settle()
  }

  private mutating func dropOldest() {
    let bucket = series.buckets.removeFirst()
    for row in bucket.rows { places[row.key] = nil }
    series.knownFrom = max(series.knownFrom, bucket.end)
  }

  /// Lets go of the buckets that end before a time.
  mutating func forget(before time: Int64) {
    while let oldest = series.buckets.first, oldest.end <= time { dropOldest() }
  }

  /// Says that those before a time were not added.
  mutating func isKnown(from time: Int64) { series.knownFrom = max(series.knownFrom, time) }

  mutating func hide(_ ids: Set<String>) {
    guard ids != hidden else { return }
    let changed = ids.symmetricDifference(hidden)
    hidden = ids
    keys = keys.filter { ids.contains($0.key) }
    for id in changed {
      guard let key = key(of: id), let start = places[key], let bucket = index(ofBucket: start),
        let row = series.buckets[bucket].rows.firstIndex(where: { $0.key == key })
      else { continue }
      series.buckets[bucket].rows[row].isHidden = ids.contains(id)
      stale.insert(start)
    }
    settle()
  }

  /// Those of some ids that are here, by id.
  mutating func rows(of ids: some Sequence<String>) -> [String: AnomalySeries.Row] {
    var rows: [String: AnomalySeries.Row] = [:]
    for id in ids {
      guard let key = key(of: id), let start = places[key], let bucket = index(ofBucket: start) else { continue }
      rows[id] = series.buckets[bucket].rows.first { $0.key == key }
    }
    return rows
  }
}

extension AnomalySeries {
  /// Whether a list has anomalies of a kind, as far as kinds tell.
  private func condition(_ filter: ResultFilter) -> (Tally.Kind) -> Bool {
    let keys = filter.keys.map { Set($0.compactMap { entities.index(of: $0) }) }
    let detector = filter.name.map { detectors.index(of: $0) ?? -1 }
    let severities = filter.severities
    return { kind in
      (detector ?? Int(kind.detector)) == Int(kind.detector) && (keys?.contains(Int(kind.entity)) ?? true)
        && (severities?.contains(kind.severity) ?? true)
    }
  }

  /// A time before which a list has no anomaly: whoever looks for few among many need not go on behind it. Of what has come
  /// since these were read nothing is said: it lies behind the time. Nil where too little is known.
  func firstTime(of filter: ResultFilter) -> Int64? {
    let from = filter.from ?? .min
    guard from >= knownFrom else { return nil }
    let isWanted = condition(filter)
    let found = buckets[buckets.partitioningIndex { $0.end > from }...].first { bucket in
      bucket.tallies.contains { isWanted($0.kind) }
    }
    return found.map { max($0.start, from) } ?? buckets.last?.end
  }

  /// How many anomalies a list has, by what is known of them here; nil where that does not reach far enough.
  /// - Parameters:
  ///   - said: of those of which something was said, whether the list has them.
  ///   - others: whether it has those of which nothing was said.
  func count(_ filter: ResultFilter, said: [(row: Row, isListed: Bool)], others: Bool) -> Int? {
    // What lies behind what is kept cannot be counted.
    guard (filter.from ?? .min) >= knownFrom else { return nil }
    let isWanted = condition(filter)
    let (from, to) = (filter.from ?? .min, filter.to ?? .max)
    var count = 0
    if others {
      for bucket in buckets[buckets.partitioningIndex { $0.end > from }...] {
        if bucket.start >= to { break }
        if bucket.start >= from, bucket.end <= to {
          for tally in bucket.tallies where isWanted(tally.kind) { count += tally.shown + tally.hidden }
        } else {
          count += bucket.rows.count { $0.time >= from && $0.time < to && isWanted(Tally.Kind($0)) }
        }
      }
    }
    // Those of which something was said are among the others, and are not.
    for (row, isListed) in said where isListed != others {
      guard row.time >= from, row.time < to, isWanted(Tally.Kind(row)) else { continue }
      count += isListed ? 1 : -1
    }
    return count
  }
}
