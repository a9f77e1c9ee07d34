// The closed windows of one definition, as numbers: those that start together are a row with a column for each number, and
// have their sum beside them. A question about all entities adds up one sum for each start.

import Detection
import Foundation
import Pipeline

/// Sums over windows.
struct WindowSums: Sendable {
  var windows = 0
  var events: Int64 = 0
  var classes: [Int64]
  var sums: [Double]
  /// How many windows have a value.
  var counts: [Int]

  init(_ series: WindowSeries) {
    classes = [Int64](repeating: 0, count: series.classes.count)
    sums = [Double](repeating: 0, count: series.aggregates.count)
    counts = [Int](repeating: 0, count: series.aggregates.count)
  }

  mutating func add(_ row: WindowSeries.Row, _ cell: Int) {
    windows += 1
    events += row.events[cell]
    for index in classes.indices { classes[index] += row.classes[cell * classes.count + index] }
    for index in sums.indices {
      let value = row.values[cell * sums.count + index]
      if value.isNaN { continue }
      sums[index] += value
      counts[index] += 1
    }
  }

  mutating func add(_ other: WindowSums) {
    windows += other.windows
    events += other.events
    for index in classes.indices { classes[index] += other.classes[index] }
    for index in sums.indices {
      sums[index] += other.sums[index]
      counts[index] += other.counts[index]
    }
  }
}

/// Numbers of windows by start and entity.
struct WindowSeries: Sendable {
  /// The windows that start together.
  struct Row: Sendable {
    let start: Int64
    /// Ascending.
    fileprivate(set) var entities: [Int32] = []
    fileprivate(set) var events: [Int64] = []
    /// By entity, then class.
    fileprivate(set) var classes: [Int64] = []
    /// By entity, then the aggregate that figures need; NaN where it is NULL or no number.
    fileprivate(set) var values: [Double] = []
    /// Over all entities.
    fileprivate(set) var sums: WindowSums

    /// Which of the windows is an entity's.
    func cell(of entity: Int) -> Int? {
      let index = entities.partitioningIndex { $0 >= entity }
      return index < entities.count && Int(entities[index]) == entity ? index : nil
    }
  }

  /// Ascending by start.
  private(set) var rows: [Row] = []
  private(set) var entities = NameTable()
  /// Windows of all rows.
  private(set) var count = 0
  /// From when on all windows are here, microseconds; `Int64.min` where all are.
  private(set) var knownFrom = Int64.min
  /// Names of the aggregates whose values are kept.
  let aggregates: [String]
  let classes: [String]
  private let entityField: String?
  /// Bytes of windows at most: beyond, the oldest go.
  private let mostBytes: Int
  /// Starts whose sums are to be made.
  private var stale: Set<Int64> = []

  init(_ window: CompiledWindow?, _ dashboard: DashboardDefinition, mostBytes: Int) {
    var names: [String] = []
    for figure in dashboard.figures {
      switch figure.kind {
      case .sum(let name), .mean(let name): names.append(name)
      case .ratio(let name, let whole): names += [name] + whole
      case .share, .events, .anomalies: break
      }
    }
    aggregates = Set(names).sorted()
    classes = window?.classColumn == nil ? [] : window?.classes ?? []
    entityField = window?.by.first?.name
    self.mostBytes = mostBytes
  }

  /// The same without windows. Entities keep their numbers.
  var emptied: WindowSeries {
    var series = self
    (series.rows, series.count, series.knownFrom, series.stale) = ([], 0, .min, [])
    return series
  }

  /// Bytes of a window: its entity, its events, its classes and its values.
  var bytesOfOne: Int { 4 + 8 * (1 + classes.count + aggregates.count) }
  /// Windows at most.
  var most: Int { max(1, mostBytes / bytesOfOne) }
  /// Whether there is no place for more.
  var isFull: Bool { count >= most }

  var firstStart: Int64? { rows.first?.start }

  private func place(of start: Int64) -> Int { rows.partitioningIndex { $0.start >= start } }

  private func row(of start: Int64) -> Int? {
    let index = place(of: start)
    return index < rows.count && rows[index].start == start ? index : nil
  }

  /// Whether nothing is known of the window of a part.
  func isNew(_ part: StoredWindowPart) -> Bool {
    guard let row = row(of: part.identity.start), let entity = entities.index(of: name(in: part.by)) else {
      return true
    }
    return rows[row].cell(of: entity) == nil
  }

  /// Adds one, or puts it in the place of what it said before.
  mutating func add(start: Int64, by: String, events: Int64, aggregates: String, classes: String) {
    // Others of that start are not here any more.
    guard start >= knownFrom else { return }
    let entity = entities.insert(name(in: by))
    let (values, counts) = (Self.members(of: aggregates), Self.members(of: classes))
    let ofClasses = self.classes.map { Int64((counts[$0] as? NSNumber)?.doubleValue ?? 0) }
    let ofAggregates = self.aggregates.map { (values[$0] as? NSNumber)?.doubleValue ?? .nan }
    let index = place(of: start)
    if index == rows.count || rows[index].start != start {
      rows.insert(Row(start: start, sums: WindowSums(self)), at: index)
    }
    stale.insert(start)
    if let cell = rows[index].cell(of: entity) {
      rows[index].events[cell] = events
      for (place, count) in ofClasses.enumerated() { rows[index].classes[cell * ofClasses.count + place] = count }
      for (place, value) in ofAggregates.enumerated() { rows[index].values[cell * ofAggregates.count + place] = value }
      return
    }
    let cell = rows[index].entities.partitioningIndex { $0 >= entity }
    rows[index].entities.insert(Int32(clamping: entity), at: cell)
    rows[index].events.insert(events, at: cell)
    rows[index].classes.insert(contentsOf: ofClasses, at: cell * ofClasses.count)
    rows[index].values.insert(contentsOf: ofAggregates, at: cell * ofAggregates.count)
    count += 1
  }

  /// To be called behind additions: makes the sums of what has changed, and lets the oldest go where there are too many.
  mutating func settle() {
    for start in stale {
      guard let index = row(of: start) else { continue }
      var sums = WindowSums(self)
      for cell in rows[index].entities.indices { sums.add(rows[index], cell) }
      rows[index].sums = sums
    }
    stale = []
    while count > most, rows.count > 1 { dropOldest() }
  }

  private mutating func dropOldest() {
    let row = rows.removeFirst()
    count -= row.entities.count
    knownFrom = max(knownFrom, rows.first?.start ?? row.start.addingSaturated(1))
  }

  /// Lets go of the oldest start: not all of it may be here.
  mutating func dropCutOff() { if rows.count > 1 { dropOldest() } }

  mutating func remove(_ start: Int64) {
    guard let index = row(of: start) else { return }
    count -= rows.remove(at: index).entities.count
  }

  mutating func forget(before time: Int64) {
    while let oldest = rows.first, oldest.start < time { dropOldest() }
  }

  /// Says that those before a time were not added.
  mutating func isKnown(from time: Int64) { knownFrom = max(knownFrom, time) }

  /// Those that start in a span of time.
  func rows(from: Int64, to: Int64) -> ArraySlice<Row> {
    let (first, end) = (place(of: from), place(of: to))
    return first < end ? rows[first..<end] : []
  }

  /// The entity that a window is of, as its key is written in anomalies.
  private func name(in by: String) -> String {
    guard let entityField, let value = Self.members(of: by)[entityField] else { return "" }
    return switch value {
    case let text as String: text
    case let number as NSNumber: "\(number)"
    default: ""
    }
  }

  private static func members(of json: String) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]) ?? [:]
  }
}

/// Names with numbers from 0 on.
struct NameTable: Sendable {
  private(set) var names: [String] = []
  private var indices: [String: Int] = [:]

  func index(of name: String) -> Int? { indices[name] }

  mutating func insert(_ name: String) -> Int {
    if let known = indices[name] { return known }
    indices[name] = names.count
    names.append(name)
    return names.count - 1
  }
}

extension RandomAccessCollection {
  /// The first index from which on a condition holds, which holds from some index on.
  func partitioningIndex(where holds: (Element) -> Bool) -> Index {
    var (low, count) = (startIndex, count)
    while count > 0 {
      let half = count / 2
      let middle = index(low, offsetBy: half)
      if holds(self[middle]) {
        count = half
      } else {
        low = index(after: middle)
        count -= half + 1
      }
    }
    return low
  }
}
