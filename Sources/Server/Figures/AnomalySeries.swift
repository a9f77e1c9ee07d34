// Of each anomaly what counts over time need, some 60 bytes, and its id.

import Detection
import Pipeline

/// Anomalies by time.
struct AnomalySeries: Sendable {
  struct Row: Sendable {
    /// Microseconds.
    var time: Int64
    var entity: Int32
    var detector: Int16
    var severity: Severity
    var isHidden: Bool
    /// Which of the ids it is.
    var number: Int32
    var partition: Int16
    var position: Position
  }

  /// Ascending by time.
  private(set) var rows: [Row] = []
  private(set) var entities = NameTable()
  private(set) var detectors = NameTable()
  private var partitions: [PartitionID] = []
  /// Ids of those that lists and counts leave out.
  private(set) var hidden: Set<String> = []
  private var numbers: [String: Int32] = [:]
  private var nextNumber: Int32 = 0
  /// The ids of all of them.
  var identities: some Collection<String> { numbers.keys }
  private var removed: Set<Int32> = []
  private var isSorted = true
  /// Whether those of all times are here.
  var isWhole = true

  mutating func add(_ anomaly: StoredAnomaly) {
    let id = anomaly.id
    if let known = numbers[id] { removed.insert(known) }
    numbers[id] = nextNumber
    let row = Row(
      time: anomaly.eventTime, entity: Int32(clamping: entities.insert(anomaly.key)),
      detector: Int16(clamping: detectors.insert(anomaly.detector)),
      severity: Severity(rawValue: anomaly.severity) ?? .info, isHidden: hidden.contains(id), number: nextNumber,
      partition: Int16(clamping: number(of: anomaly.partition)), position: anomaly.position)
    nextNumber += 1
    if let last = rows.last, last.time > row.time { isSorted = false }
    rows.append(row)
  }

  private mutating func number(of partition: PartitionID) -> Int {
    if let known = partitions.firstIndex(of: partition) { return known }
    partitions.append(partition)
    return partitions.count - 1
  }

  /// The earliest event time of those from a position on.
  func firstTime(from position: Position, in partition: PartitionID) -> Int64? {
    guard let number = partitions.firstIndex(of: partition) else { return nil }
    return rows.first { Int($0.partition) == number && $0.position >= position }?.time
  }

  mutating func remove(_ id: String) {
    guard let number = numbers.removeValue(forKey: id) else { return }
    removed.insert(number)
  }

  /// To be called behind additions and removals.
  mutating func settle() {
    if !removed.isEmpty {
      rows.removeAll { removed.contains($0.number) }
      removed = []
    }
    if !isSorted {
      rows.sort { ($0.time, $0.number) < ($1.time, $1.number) }
      isSorted = true
    }
  }

  mutating func forget(before time: Int64) {
    let count = rows.partitioningIndex { $0.time >= time }
    // An eighth at a time: what is left moves up.
    guard count * 8 > rows.count, count > 0 else { return }
    let gone = Set(rows[..<count].map(\.number))
    rows.removeFirst(count)
    isWhole = false
    numbers = numbers.filter { !gone.contains($0.value) }
  }

  mutating func hide(_ ids: Set<String>) {
    guard ids != hidden else { return }
    let changed = ids.symmetricDifference(hidden)
    hidden = ids
    let numbers = Set(changed.compactMap { self.numbers[$0] })
    for index in rows.indices where numbers.contains(rows[index].number) { rows[index].isHidden.toggle() }
  }

  /// Those in a span of time that are not hidden, or all of them.
  func rows(from: Int64, to: Int64, withHidden: Bool = false) -> some Sequence<Row> {
    let first = rows.partitioningIndex { $0.time >= from }
    let end = rows.partitioningIndex { $0.time >= to }
    return (first < end ? rows[first..<end] : []).lazy.filter { withHidden || !$0.isHidden }
  }
}

extension AnomalySeries {
  /// How many anomalies a list has, by what is known of them here; nil where that does not reach far enough.
  /// - Parameters:
  ///   - said: whether the list has those of which something was said, by their ids.
  ///   - others: whether it has those of which nothing was said.
  func count(_ filter: ResultFilter, said: [String: Bool], others: Bool) -> Int? {
    // What lies behind what is kept cannot be counted.
    guard isWhole || rows.first.map({ (filter.from ?? .min) >= $0.time }) ?? false else { return nil }
    let keys = filter.keys.map { Set($0.compactMap { entities.index(of: $0) }) }
    let detector = filter.name.map { detectors.index(of: $0) ?? -1 }
    let said = Dictionary(
      said.compactMap { id, isShown in numbers[id].map { ($0, isShown) } }, uniquingKeysWith: { $1 })
    return rows(from: filter.from ?? .min, to: filter.to ?? .max, withHidden: true).reduce(0) { count, row in
      let isWanted =
        (said[row.number] ?? others) && (keys?.contains(Int(row.entity)) ?? true)
        && (detector ?? Int(row.detector)) == Int(row.detector)
        && (filter.severities?.contains(row.severity) ?? true)
      return count + (isWanted ? 1 : 0)
    }
  }
}
