// Questions to the cache of figures: each adds up numbers over the windows or anomalies of a span of time.

import Detection

/// Sums over the windows of a span by step, and of the one before.
struct StepSums: Sendable {
  var now: [WindowSums]
  var before: [WindowSums]

  /// Events of the span.
  var events: Int64 { now.reduce(0) { $0 + $1.events } }
}

/// What makes a line of anomalies.
enum AnomalyGroup: Sendable, Hashable {
  case all, detector, severity, entity

  func number(_ kind: AnomalySeries.Tally.Kind) -> Int {
    switch self {
    case .all: 0
    case .detector: Int(kind.detector)
    case .severity: Severity.allCases.firstIndex(of: kind.severity) ?? 0
    case .entity: Int(kind.entity)
    }
  }
}

extension FigureCache.Content {
  /// Whether there are events of the span before one, and all of them are here.
  func hasPrevious(_ range: FigureRange) -> Bool {
    let first = min(windows.firstStart ?? .max, anomalies.firstTime ?? .max)
    return range.previous.from >= max(first, knownFrom)
  }

  /// Sums over windows by step, of a span and of the one before.
  func sums(_ range: FigureRange) -> StepSums {
    let entities = range.entities.map { $0.compactMap { windows.entities.index(of: $0) }.sorted() }
    return StepSums(now: sums(range, entities), before: sums(range.previous, entities))
  }

  private func sums(_ range: FigureRange, _ entities: [Int]?) -> [WindowSums] {
    var sums = [WindowSums](repeating: WindowSums(windows), count: range.count)
    for row in windows.rows(from: range.from, to: range.to) {
      let index = range.index(of: row.start)
      if let entities {
        for entity in entities { if let cell = row.cell(of: entity) { sums[index].add(row, cell) } }
      } else {
        sums[index].add(row.sums)
      }
    }
    return sums
  }

  /// Numbers of events by class.
  func classes(_ sums: StepSums) -> [(name: String, line: FigureLine)] {
    let (now, before) = (sums.now, sums.before)
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
  func figure(_ figure: DashboardDefinition.Figure, _ range: FigureRange, _ sums: StepSums) -> FigureLine {
    if figure.kind == .anomalies {
      return counts(range, by: .all)[0] ?? FigureLine.zero(range.count)
    }
    let value = value(of: figure.kind)
    func all(_ sums: [WindowSums]) -> Double? {
      var whole = WindowSums(windows)
      for sum in sums { whole.add(sum) }
      return whole.windows > 0 ? value(whole) : nil
    }
    return FigureLine(
      values: sums.now.map { $0.windows > 0 ? value($0) : nil }, total: all(sums.now),
      previous: sums.before.map { $0.windows > 0 ? value($0) : nil }, previousTotal: all(sums.before))
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

  /// Which entities of anomalies a span is about, by their numbers; nil for all.
  private func chosen(_ range: FigureRange) -> [Bool]? {
    range.entities.map { names in
      var chosen = [Bool](repeating: false, count: anomalies.entities.names.count)
      for name in names { if let index = anomalies.entities.index(of: name) { chosen[index] = true } }
      return chosen
    }
  }

  /// Numbers of anomalies by what makes a line.
  func counts(_ range: FigureRange, by group: AnomalyGroup) -> [Int: FigureLine] {
    var counts = GroupedCounts(steps: range.count)
    let chosen = chosen(range)
    for (span, isNow) in [(range, true), (range.previous, false)] {
      anomalies.forEachTally(span) { step, tally in
        guard tally.shown > 0, chosen?[Int(tally.kind.entity)] ?? true else { return }
        counts.add(tally.shown, to: group.number(tally.kind), step, isNow: isNow)
      }
    }
    return counts.lines
  }

  /// What is known of every entity of a span.
  func entities(_ range: FigureRange) -> [EntityFigures] {
    var lines = GroupedCounts(steps: range.count)
    // Of each entity by detector, and the severe ones behind them.
    let detectors = anomalies.detectors.names
    var kinds = GroupedCounts(steps: detectors.count + 1)
    let chosen = chosen(range)
    for (span, isNow) in [(range, true), (range.previous, false)] {
      anomalies.forEachTally(span) { step, tally in
        let entity = Int(tally.kind.entity)
        guard tally.shown > 0, chosen?[entity] ?? true else { return }
        lines.add(tally.shown, to: entity, step, isNow: isNow)
        kinds.add(tally.shown, to: entity, Int(tally.kind.detector), isNow: isNow)
        if tally.kind.severity >= .high { kinds.add(tally.shown, to: entity, detectors.count, isNow: isNow) }
      }
    }
    let nothing = FigureLine.zero(range.count)
    var figures: [String: EntityFigures] = [:]
    for name in windows.entities.names where range.entities?.contains(name) ?? true {
      figures[name] = EntityFigures(name: name, line: nothing)
    }
    let byKind = kinds.lines
    for (entity, line) in lines.lines {
      var one = EntityFigures(name: anomalies.entities.names[entity], line: line)
      if let counts = byKind[entity] {
        for (index, detector) in detectors.enumerated() {
          let both = [Int(counts.values[index] ?? 0), Int(counts.previous[index] ?? 0)]
          if both != [0, 0] { one.detectors[detector] = both }
        }
        (one.severe, one.previousSevere) = (
          Int(counts.values[detectors.count] ?? 0), Int(counts.previous[detectors.count] ?? 0)
        )
      }
      figures[one.name] = one
    }
    return Array(figures.values)
  }

  /// How many anomalies of a detector meet each of its conditions, in their order.
  func matches(_ detector: String, _ range: FigureRange) -> [Int] {
    var matches = [Int](repeating: 0, count: conditions[detector]?.count ?? 0)
    guard let number = anomalies.detectors.index(of: detector), !matches.isEmpty else { return matches }
    let chosen = chosen(range)
    anomalies.forEachTally(range) { _, tally in
      guard Int(tally.kind.detector) == number, tally.shown > 0, chosen?[Int(tally.kind.entity)] ?? true else { return }
      for bit in matches.indices where tally.kind.matches >> UInt64(bit) & 1 == 1 { matches[bit] += tally.shown }
    }
    return matches
  }

  /// The events of a span that are of a class other than the last one, and all of them, by entity.
  func problems(_ range: FigureRange) -> [String: (events: Int64, problems: Int64)] {
    let count = windows.classes.count
    return byEntity(range) { row, cell in
      let all = row.classes[cell * count..<(cell + 1) * count]
      return (row.events[cell], all.dropLast().reduce(0, +))
    }.mapValues { ($0.0, $0.1) }
  }

  /// Events of a class by entity.
  func classCounts(_ name: String, _ range: FigureRange) -> [String: Int64] {
    guard let index = windows.classes.firstIndex(of: name) else { return [:] }
    let count = windows.classes.count
    return byEntity(range) { row, cell in (row.classes[cell * count + index], 0) }.mapValues { $0.0 }
  }

  /// Two numbers of each window of a span, added up by entity.
  private func byEntity(
    _ range: FigureRange, _ numbers: (WindowSeries.Row, Int) -> (Int64, Int64)
  ) -> [String: (Int64, Int64)] {
    var sums = [(Int64, Int64)?](repeating: nil, count: windows.entities.names.count)
    for row in windows.rows(from: range.from, to: range.to) {
      for (cell, entity) in row.entities.enumerated() {
        let (found, sum) = (numbers(row, cell), sums[Int(entity)] ?? (0, 0))
        sums[Int(entity)] = (sum.0 + found.0, sum.1 + found.1)
      }
    }
    var named: [String: (Int64, Int64)] = [:]
    for (name, sum) in zip(windows.entities.names, sums) where range.entities?.contains(name) ?? true {
      if let sum { named[name] = sum }
    }
    return named
  }
}

/// Counts by group and step, of a span and of the one before.
private struct GroupedCounts {
  let steps: Int
  private var places: [Int] = []
  private var groups: [Int] = []
  /// Of each group the steps of the span, then those of the one before.
  private var counts: [Int] = []

  init(steps: Int) { self.steps = steps }

  mutating func add(_ count: Int, to group: Int, _ step: Int, isNow: Bool) {
    if group >= places.count { places += [Int](repeating: -1, count: group + 1 - places.count) }
    if places[group] < 0 {
      places[group] = groups.count
      groups.append(group)
      counts += [Int](repeating: 0, count: 2 * steps)
    }
    counts[(2 * places[group] + (isNow ? 0 : 1)) * steps + step] += count
  }

  var lines: [Int: FigureLine] {
    var lines: [Int: FigureLine] = [:]
    for (place, group) in groups.enumerated() {
      let now = counts[2 * place * steps..<(2 * place + 1) * steps]
      let before = counts[(2 * place + 1) * steps..<(2 * place + 2) * steps]
      lines[group] = FigureLine(
        values: now.map { Double($0) }, total: Double(now.reduce(0, +)), previous: before.map { Double($0) },
        previousTotal: Double(before.reduce(0, +)))
    }
    return lines
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

  /// How many more anomalies than before.
  var change: Double { (line.total ?? 0) - (line.previousTotal ?? 0) }
}
