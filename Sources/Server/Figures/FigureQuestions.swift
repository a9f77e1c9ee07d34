// Questions to the cache of figures: each adds up numbers over the windows or anomalies of a span of time.

import Detection

/// The sums of windows in one step.
private struct WindowSums {
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

  mutating func add(_ cell: WindowSeries.Cell) {
    windows += 1
    events += cell.events
    for (index, count) in cell.classes.enumerated() { classes[index] += count }
    for (index, value) in cell.values.enumerated() {
      guard let value else { continue }
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

extension FigureCache.Content {
  /// Whether there are events of the span before one.
  func hasPrevious(_ range: FigureRange) -> Bool {
    let first = min(windows.starts.first ?? .max, anomalies.rows.first?.time ?? .max)
    return range.previous.from >= first
  }

  private func sums(_ range: FigureRange) -> [WindowSums] {
    var sums = [WindowSums](repeating: WindowSums(windows), count: range.count)
    let chosen = range.entities.map { Set($0.compactMap { windows.entities.index(of: $0) }) }
    for start in windows.starts(from: range.from, to: range.to) {
      let index = range.index(of: start)
      for (entity, cell) in windows.rows[start] ?? [:] where chosen?.contains(entity) ?? true {
        sums[index].add(cell)
      }
    }
    return sums
  }

  /// Numbers of events by class.
  func classes(_ range: FigureRange) -> [(name: String, line: FigureLine)] {
    let (now, before) = (sums(range), sums(range.previous))
    return windows.classes.enumerated().map { index, name in
      let count: (WindowSums) -> Double = { Double($0.classes[index]) }
      return (
        name,
        FigureLine(
          values: now.map { $0.windows > 0 ? count($0) : nil }, total: now.reduce(0) { $0 + count($1) },
          previous: before.map { $0.windows > 0 ? count($0) : nil }, previousTotal: before.reduce(0) { $0 + count($1) })
      )
    }
  }

  /// A figure over a span.
  func figure(_ figure: DashboardDefinition.Figure, _ range: FigureRange) -> FigureLine {
    if figure.kind == .anomalies {
      return counts(range) { _ in 0 }[0] ?? FigureLine.zero(range.count)
    }
    let (now, before) = (sums(range), sums(range.previous))
    let value = value(of: figure.kind)
    func all(_ sums: [WindowSums]) -> Double? {
      var whole = WindowSums(windows)
      for sum in sums { whole.add(sum) }
      return whole.windows > 0 ? value(whole) : nil
    }
    return FigureLine(
      values: now.map { $0.windows > 0 ? value($0) : nil }, total: all(now),
      previous: before.map { $0.windows > 0 ? value($0) : nil }, previousTotal: all(before))
  }

  private func value(of kind: DashboardDefinition.Figure.Kind) -> (WindowSums) -> Double? {
    func index(_ name: String) -> Int? { windows.aggregates.firstIndex(of: name) }
    switch kind {
    case .events: return { Double($0.events) }
    case .anomalies: return { _ in nil }
    case .share(let name):
      let index = windows.classes.firstIndex(of: name)
      return { sums in index.flatMap { sums.events > 0 ? Double(sums.classes[$0]) / Double(sums.events) : nil } }
    case .sum(let name):
      let index = index(name)
      return { sums in index.map { sums.sums[$0] } }
    case .mean(let name):
      let index = index(name)
      return { sums in index.flatMap { sums.counts[$0] > 0 ? sums.sums[$0] / Double(sums.counts[$0]) : nil } }
    case .ratio(let name, let parts):
      let (part, whole) = (index(name), parts.compactMap(index))
      return { sums in
        let total = whole.reduce(0) { $0 + sums.sums[$1] }
        return part.flatMap { total > 0 ? sums.sums[$0] / total : nil }
      }
    }
  }

  /// Events in a span.
  func events(_ range: FigureRange) -> Int64 { sums(range).reduce(0) { $0 + $1.events } }

  /// Numbers of anomalies by a group that `group` gives.
  func counts(_ range: FigureRange, by group: (AnomalySeries.Row) -> Int) -> [Int: FigureLine] {
    let chosen = range.entities.map { Set($0.compactMap { anomalies.entities.index(of: $0) }) }
    var lines: [Int: FigureLine] = [:]
    func count(_ span: FigureRange, _ note: (inout FigureLine, Int) -> Void) {
      for row in anomalies.rows(from: span.from, to: span.to) where chosen?.contains(Int(row.entity)) ?? true {
        note(&lines[group(row), default: FigureLine.zero(range.count)], min(span.index(of: row.time), range.count - 1))
      }
    }
    count(range) { line, index in
      line.values[index] = (line.values[index] ?? 0) + 1
      line.total = (line.total ?? 0) + 1
    }
    count(range.previous) { line, index in
      line.previous[index] = (line.previous[index] ?? 0) + 1
      line.previousTotal = (line.previousTotal ?? 0) + 1
    }
    return lines
  }

  /// What is known of every entity of a span.
  func entities(_ range: FigureRange) -> [EntityFigures] {
    let lines = counts(range) { Int($0.entity) }
    var figures: [String: EntityFigures] = [:]
    let nothing = FigureLine.zero(range.count)
    for name in windows.entities.names where range.entities?.contains(name) ?? true {
      figures[name] = EntityFigures(name, nothing)
    }
    for (entity, line) in lines {
      let name = anomalies.entities.names[entity]
      figures[name, default: EntityFigures(name, nothing)].line = line
    }
    for (span, isNow) in [(range, true), (range.previous, false)] {
      for row in anomalies.rows(from: span.from, to: span.to) {
        let name = anomalies.entities.names[Int(row.entity)]
        let isSevere = row.severity >= .high
        figures[name]?.note(anomalies.detectors.names[Int(row.detector)], isSevere: isSevere, isNow: isNow)
      }
    }
    return Array(figures.values)
  }

  /// The share of events that are of a class other than the last one, and their number, by entity.
  func problems(_ range: FigureRange) -> [String: (events: Int64, problems: Int64)] {
    var sums: [Int: (events: Int64, problems: Int64)] = [:]
    for start in windows.starts(from: range.from, to: range.to) {
      for (entity, cell) in windows.rows[start] ?? [:] {
        sums[entity, default: (0, 0)].events += cell.events
        sums[entity, default: (0, 0)].problems += cell.classes.dropLast().reduce(0, +)
      }
    }
    return Dictionary(uniqueKeysWithValues: sums.map { (windows.entities.names[$0.key], $0.value) })
  }
}

extension FigureLine {
  static func zero(_ count: Int) -> FigureLine {
    let zeros = [Double?](repeating: 0, count: count)
    return FigureLine(values: zeros, total: 0, previous: zeros, previousTotal: 0)
  }
}

/// Anomalies of an entity in a span and in the one before.
struct EntityFigures: Sendable {
  var name: String
  var line: FigureLine
  /// Of high severity and above.
  var severe = 0
  var previousSevere = 0
  /// By detector, now and before.
  var detectors: [String: [Int]] = [:]

  init(_ name: String, _ line: FigureLine) {
    self.name = name
    self.line = line
  }

  mutating func note(_ detector: String, isSevere: Bool, isNow: Bool) {
    detectors[detector, default: [0, 0]][isNow ? 0 : 1] += 1
    guard isSevere else { return }
    if isNow { severe += 1 } else { previousSevere += 1 }
  }

  /// How many more anomalies than before.
  var change: Double { (line.total ?? 0) - (line.previousTotal ?? 0) }
}
