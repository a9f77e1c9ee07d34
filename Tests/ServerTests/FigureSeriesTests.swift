// Numbers that are added up by bucket and by start are those of single anomalies and windows, and what is kept has a bound.

import Configuration
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Series behind figures")
struct FigureSeriesTests {
  private static let hour: Int64 = 3_600_000_000
  private static let partition = PartitionID(source: "s.t", number: 3)
  private static let detectors = ["slow", "large", "odd"]

  private static func anomaly(
    _ number: Int, at time: Int64, key: String = "1", detector: String = "slow", subject: String = "",
    severity: Severity = .medium
  ) -> StoredAnomaly {
    StoredAnomaly(
      useCase: "u", partition: partition, position: Position(segment: 0, offset: Int64(number), row: Int64(number)),
      detector: detector, subject: subject, eventTime: time, key: key, score: 1, severity: severity.rawValue,
      reason: "", model: nil, explanation: "{}", event: "{}")
  }

  private static func content(_ book: AnomalyBook, conditions: [String: [String]] = [:]) -> FigureCache.Content {
    FigureCache.Content(
      windows: WindowSeries(nil, DashboardDefinition(), mostBytes: 1 << 20), anomalies: book.series,
      conditions: conditions)
  }

  /// Spans with steps that cut buckets, and such that do not.
  private static let ranges: [FigureRange] = {
    let base = 100 * hour
    return [
      FigureRange(from: base, to: base + 24 * hour, step: hour / 2),
      FigureRange(from: base + 123_456_789, to: base + 7 * hour + 1, step: 7_000_000),
      FigureRange(from: base + 600_000_000, to: base + 5 * hour, step: 600_000_000, entities: ["1", "4", "none"]),
      FigureRange(from: base + 1, to: base + 30 * hour, step: 86_400_000_000, entities: ["2"]),
      FigureRange(from: -3 * hour, to: 2 * hour, step: 900_000_000),
    ]
  }()

  @Test("counts over buckets are those of their anomalies, wherever a span or a step cuts one", arguments: ranges)
  func buckets(_ range: FigureRange) throws {
    var random = SeededRandom(seed: 7)
    var book = AnomalyBook(of: "u", most: 100_000)
    var known: [String: (anomaly: StoredAnomaly, matches: UInt64)] = [:]
    let span = range.to - range.previous.from
    for number in 0..<6_000 {
      let time = range.previous.from - span / 10 + Int64.random(in: 0..<span + span / 5, using: &random)
      let one = Self.anomaly(
        // Some come again, and say something else.
        number % 5_500, at: time, key: "\(number % 6)", detector: Self.detectors[number % 3],
        subject: number.isMultiple(of: 4) ? "a b" : "", severity: Severity.allCases[number % 5])
      let matches = UInt64.random(in: 0..<8, using: &random)
      book.add(one, matches: matches)
      known[one.id] = (one, matches)
      if number.isMultiple(of: 1_000) { book.settle() }
    }
    let ids = known.keys.sorted()
    for id in ids.prefix(200) {
      guard let gone = known.removeValue(forKey: id) else { continue }
      book.remove(gone.anomaly.identity)
    }
    book.settle()
    let hidden = Set(ids.dropFirst(200).prefix(500))
    book.hide(hidden)
    #expect(book.count == known.count)

    let shown = known.values.filter { !hidden.contains($0.anomaly.id) }
    func isIn(_ span: FigureRange, _ one: StoredAnomaly) -> Bool {
      one.eventTime >= span.from && one.eventTime < span.to && span.entities?.contains(one.key) ?? true
    }
    let content = Self.content(book, conditions: ["slow": ["a", "b", "c"]])
    func expect(_ group: AnomalyGroup, _ number: @escaping (StoredAnomaly) -> Int?) {
      var expected: [Int: FigureLine] = [:]
      for one in shown.map(\.anomaly) {
        guard let group = number(one) else { continue }
        if isIn(range, one) {
          var line = expected[group] ?? .zero(range.count)
          line.values[range.index(of: one.eventTime)]? += 1
          line.total? += 1
          expected[group] = line
        } else if isIn(range.previous, one) {
          var line = expected[group] ?? .zero(range.count)
          line.previous[range.previous.index(of: one.eventTime)]? += 1
          line.previousTotal? += 1
          expected[group] = line
        }
      }
      let found = content.counts(range, by: group)
      #expect(Set(found.keys) == Set(expected.keys), "\(group)")
      for (key, line) in expected {
        #expect(found[key]?.values == line.values && found[key]?.previous == line.previous, "\(group) \(key)")
        #expect(found[key]?.total == line.total && found[key]?.previousTotal == line.previousTotal)
      }
    }
    expect(.all) { _ in 0 }
    expect(.detector) { content.anomalies.detectors.index(of: $0.detector) }
    expect(.severity) { one in Severity.allCases.firstIndex { $0.rawValue == one.severity } }
    expect(.entity) { content.anomalies.entities.index(of: $0.key) }
    for entity in content.entities(range) {
      let own = shown.map(\.anomaly).filter { $0.key == entity.name }
      func isSevere(_ one: StoredAnomaly) -> Bool { ["high", "critical"].contains(one.severity) }
      #expect(entity.severe == own.count { isSevere($0) && isIn(range, $0) })
      #expect(entity.previousSevere == own.count { isSevere($0) && isIn(range.previous, $0) })
      for detector in Self.detectors {
        let now = own.count { $0.detector == detector && isIn(range, $0) }
        let before = own.count { $0.detector == detector && isIn(range.previous, $0) }
        #expect(entity.detectors[detector] ?? [0, 0] == [now, before])
      }
    }
    let matches = (0..<3).map { bit in
      shown.count { $0.anomaly.detector == "slow" && isIn(range, $0.anomaly) && $0.matches >> UInt64(bit) & 1 == 1 }
    }
    #expect(content.matches("slow", range) == matches)

    // Of a list with what was said of some of them.
    var filter = ResultFilter()
    (filter.from, filter.to, filter.keys) = (range.from, range.to, range.entities)
    (filter.name, filter.severities) = ("large", [.low, .high, .critical])
    let said = Dictionary(
      uniqueKeysWithValues: ids.shuffled(using: &random).prefix(900).map { ($0, $0.count % 2 == 0) })
    let rows = book.rows(of: said.keys)
    for others in [true, false] {
      let expected = known.values.map(\.anomaly).count { one in
        isIn(range, one) && one.detector == "large" && ["low", "high", "critical"].contains(one.severity)
          && said[one.id] ?? others
      }
      let found = content.anomalies.count(filter, said: rows.map { ($0.value, said[$0.key] ?? others) }, others: others)
      #expect(found == expected)
    }
    // Nothing that a list has lies before the time that it need not go on behind.
    for severities in [Set<Severity>([.critical]), [.info, .low]] {
      filter.severities = severities
      let least = try #require(content.anomalies.firstTime(of: filter))
      let first = known.values.map(\.anomaly).filter {
        isIn(range, $0) && $0.detector == "large" && severities.contains(Severity(rawValue: $0.severity) ?? .medium)
      }.map(\.eventTime).min()
      #expect(first.map { least <= $0 && least > $0 - AnomalySeries.Bucket.length } ?? true)
    }
    filter.name = "none"
    #expect(content.anomalies.firstTime(of: filter) == content.anomalies.buckets.last?.end)
    // Where an activation begins, the first finding is the earliest from there on.
    for offset in [Int64(0), 2_500, 5_499, 9_999] {
      let position = Position(segment: 0, offset: offset, row: offset)
      let first = known.values.map(\.anomaly).filter { $0.position >= position }.map(\.eventTime).min()
      #expect(content.anomalies.firstTime(from: position, in: Self.partition) == first)
    }
  }

  @Test("of more anomalies than there is place for, the newest stay, and what is not known is not compared with")
  func boundOfAnomalies() {
    var book = AnomalyBook(of: "u", most: 1_000)
    for number in 0..<3_000 {
      book.add(Self.anomaly(number, at: Int64(number) * 10_000_000), matches: 0)
      if number.isMultiple(of: 500) { book.settle() }
    }
    book.settle()
    // A bucket of ten minutes has 60 of them.
    #expect(book.count <= 1_000 && book.count > 1_000 - 60)
    let content = Self.content(book)
    let last: Int64 = 3_000 * 10_000_000
    #expect(content.knownFrom == last - Int64(book.count) * 10_000_000)
    let near = FigureRange(from: last - Self.hour, to: last, step: Self.hour)
    #expect(content.counts(near, by: .all)[0]?.total == 360 && content.hasPrevious(near))
    let far = FigureRange(from: last - 2 * Self.hour, to: last, step: Self.hour)
    #expect(!content.hasPrevious(far))
    #expect(content.anomalies.count(ResultFilter(), said: [], others: true) == nil)
    #expect(content.anomalies.firstTime(of: ResultFilter()) == nil)
    // One that is older than what is known would be one of a few.
    book.add(Self.anomaly(9_999, at: 1), matches: 0)
    book.settle()
    #expect(book.series.firstTime.map { $0 >= content.knownFrom } ?? false)
    // All of them at once.
    var crowd = AnomalyBook(of: "u", most: 100)
    for number in 0..<250 { crowd.add(Self.anomaly(number, at: Int64(number)), matches: 0) }
    crowd.settle()
    #expect(crowd.count == 100 && crowd.series.firstTime == 150 && crowd.series.knownFrom == 150)
  }

  // MARK: Windows

  private static func plan() throws -> Plan {
    let location = try UseCaseLocator().locate("redset")
    return try #require(UseCaseChecker.check(path: location.pipelineFile).plan)
  }

  private static func series(mostBytes: Int) throws -> WindowSeries {
    let plan = try plan()
    let dashboard = try #require(plan.useCase.dashboard)
    return WindowSeries(
      plan.windows.first { $0.definition.name == dashboard.window }, dashboard, mostBytes: mostBytes)
  }

  /// Adds the windows of some entities that start at a time; a value may be NULL.
  private static func add(
    _ start: Int64, _ entities: Range<Int>, to series: inout WindowSeries, _ random: inout SeededRandom
  ) {
    for entity in entities.shuffled(using: &random) {
      let values = series.aggregates.map { name in
        "\"\(name)\":"
          + (Int.random(in: 0..<5, using: &random) == 0 ? "null" : "\(Int.random(in: 0..<1_000, using: &random))")
      }
      let classes = series.classes.map { "\"\($0)\":\(Int.random(in: 0..<50, using: &random))" }
      series.add(
        start: start, by: "{\"instance_id\":\(entity)}", events: Int64.random(in: 0..<500, using: &random),
        aggregates: "{\(values.joined(separator: ","))}", classes: "{\(classes.joined(separator: ","))}")
    }
  }

  @Test("sums of all entities are those of each of them, also where windows came again or went")
  func sumsOfStarts() throws {
    var random = SeededRandom(seed: 11)
    var series = try Self.series(mostBytes: 64 << 20)
    let ten: Int64 = 600_000_000
    for start in (0..<300).shuffled(using: &random) { Self.add(Int64(start) * ten, 0..<40, to: &series, &random) }
    series.settle()
    for start in [7, 100, 299] { Self.add(Int64(start) * ten, 10..<20, to: &series, &random) }
    series.remove(50 * ten)
    Self.add(50 * ten, 0..<3, to: &series, &random)
    series.settle()
    #expect(series.count == 299 * 40 + 3)
    let content = FigureCache.Content(
      windows: series, anomalies: AnomalyBook(of: "u", most: 1).series, conditions: [:])
    let names = Set(series.entities.names)
    for step in [ten, 3 * ten, 144 * ten] {
      let all = content.sums(FigureRange(from: 150 * ten, to: 300 * ten, step: step))
      let each = content.sums(FigureRange(from: 150 * ten, to: 300 * ten, step: step, entities: names))
      for (a, b) in zip(all.now + all.before, each.now + each.before) {
        #expect(a.windows == b.windows && a.events == b.events && a.classes == b.classes && a.counts == b.counts)
        // Whole numbers: their sums are exact in any order.
        #expect(a.sums == b.sums)
      }
      #expect(all.now.reduce(0) { $0 + $1.windows } == 150 * 40)
    }
  }

  @Test("of more windows than there is place for, whole starts stay, the newest ones")
  func boundOfWindows() throws {
    var random = SeededRandom(seed: 13)
    let room = try Self.series(mostBytes: 1).bytesOfOne * 1_000
    var series = try Self.series(mostBytes: room)
    #expect(series.most == 1_000)
    for start in 0..<100 {
      Self.add(Int64(start) * 600_000_000, 0..<30, to: &series, &random)
      series.settle()
      #expect(series.count <= 1_000)
    }
    // 33 starts of 30 entities.
    #expect(series.count == 990 && series.firstStart == 67 * 600_000_000 && series.knownFrom == 67 * 600_000_000)
    Self.add(0, 0..<30, to: &series, &random)
    series.settle()
    #expect(series.count == 990)
  }

  @Test("what is said of the memory of figures is so: 200 entities over 15 days fit, whatever the use case")
  func room() throws {
    let bounds = FigureBounds()
    let windows = 200 * 144 * Int(bounds.reach / Timestamp.microsecondsPerDay)
    #expect(try Self.series(mostBytes: bounds.windowBytes).most >= windows)
  }
}
