// The closed windows of one definition, as numbers: rows of all entities by start.

import Detection
import Foundation
import Pipeline

/// Numbers of windows by start and entity.
struct WindowSeries: Sendable {
  /// What one window holds.
  struct Cell: Sendable {
    var events: Int64
    /// By the index of a class.
    var classes: [Int64]
    /// By the index of an aggregate that figures need; nil where it is NULL or no number.
    var values: [Double?]
  }

  /// The windows that start together, by the index of their entity.
  private(set) var rows: [Int64: [Int: Cell]] = [:]
  /// Their starts, ascending.
  private(set) var starts: [Int64] = []
  private(set) var entities = NameTable()
  /// Names of the aggregates whose values are kept.
  let aggregates: [String]
  let classes: [String]
  private let entityField: String?

  init(_ window: CompiledWindow?, _ dashboard: DashboardDefinition) {
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
  }

  /// The same without windows. Entities keep their numbers.
  var emptied: WindowSeries {
    var series = self
    (series.rows, series.starts) = ([:], [])
    return series
  }

  /// Whether nothing is known of the window of a part.
  func isNew(_ part: StoredWindowPart) -> Bool {
    guard let row = rows[part.identity.start], let entity = entities.index(of: name(in: part.by)) else { return true }
    return row[entity] == nil
  }

  mutating func add(start: Int64, by: String, events: Int64, aggregates: String, classes: String) {
    let entity = entities.insert(name(in: by))
    let values = Self.members(of: aggregates)
    let counts = Self.members(of: classes)
    if rows[start] == nil {
      let place = starts.firstIndex { $0 > start } ?? starts.count
      starts.insert(start, at: place)
    }
    rows[start, default: [:]][entity] = Cell(
      events: events, classes: self.classes.map { Int64((counts[$0] as? NSNumber)?.doubleValue ?? 0) },
      values: self.aggregates.map { (values[$0] as? NSNumber)?.doubleValue })
  }

  mutating func remove(_ start: Int64) {
    rows[start] = nil
    starts.removeAll { $0 == start }
  }

  mutating func forget(before time: Int64) {
    let count = starts.prefix { $0 < time }.count
    for start in starts.prefix(count) { rows[start] = nil }
    starts.removeFirst(count)
  }

  /// The starts in a span of time.
  func starts(from: Int64, to: Int64) -> ArraySlice<Int64> {
    let first = starts.partitioningIndex { $0 >= from }
    let end = starts.partitioningIndex { $0 >= to }
    return first < end ? starts[first..<end] : []
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
