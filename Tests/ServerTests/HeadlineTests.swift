// What the server says of a span in one sentence and one of context.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Server

@Suite("Headline")
struct HeadlineTests {
  private static let hour: Int64 = 3_600_000_000
  private static let day = 24 * hour
  private static let range = FigureRange(from: 10 * day, to: 11 * day, step: hour)

  private static let dashboard: DashboardDefinition = {
    var dashboard = DashboardDefinition()
    dashboard.entity = DashboardDefinition.Noun(one: "instance", many: "instances")
    dashboard.detectors["slow"] = DashboardDefinition.DetectorText(label: "slow queries")
    return dashboard
  }()

  /// So many anomalies of an entity in the span, and in the one before.
  private struct Found {
    var key: String
    var now: Int
    var before: Int
    var detector = "slow"
    var severity = Severity.high
  }

  /// - Parameter history: whether something lies before the span before, so that there is something to compare with.
  private static func headline(
    _ found: [Found], history: Bool = true, _ range: FigureRange = HeadlineTests.range
  ) -> Headline {
    var book = AnomalyBook(of: "u", most: 1_000_000)
    var number = 0
    func add(_ one: Found, _ time: Int64) {
      number += 1
      book.add(
        StoredAnomaly(
          useCase: "u", partition: PartitionID(source: "s", number: 0),
          position: Position(segment: 0, offset: Int64(number), row: 0), detector: one.detector, subject: "",
          eventTime: time, key: one.key, score: 1, severity: one.severity.rawValue, reason: "", model: nil,
          explanation: "{}", event: "{}"), matches: 0)
    }
    if history { add(Found(key: "1", now: 0, before: 0, severity: .info), range.previous.from - 1) }
    for one in found {
      for _ in 0..<one.now { add(one, range.from + 1) }
      for _ in 0..<one.before { add(one, range.previous.from + 1) }
    }
    book.settle()
    let content = FigureCache.Content(
      windows: WindowSeries(nil, dashboard, mostBytes: 1 << 20), anomalies: book.series, conditions: [:])
    return Headline(content, range, dashboard)
  }

  @Test("nothing was found, or there is nothing to compare with")
  func quiet() {
    let nothing = Self.headline([Found(key: "1", now: 0, before: 3)])
    #expect(nothing.state == "ok" && nothing.title == "Nothing out of the ordinary in 24\u{202F}h.")
    #expect(nothing.context == "1 instance was heard of.")
    let first = Self.headline(
      [Found(key: "1", now: 1, before: 0, severity: .medium), Found(key: "2", now: 1_233, before: 0, severity: .low)],
      history: false)
    #expect(first.state == "medium" && first.title == "1,234 anomalies in 24\u{202F}h.")
    #expect(first.context == "There is no earlier window to compare with.")
  }

  @Test("no entity is worse, and those that were asked for are named")
  func asBefore() {
    let found = [Found(key: "3", now: 30, before: 29), Found(key: "10", now: 1, before: 7)]
    let all = Self.headline(found)
    #expect(all.state == "ok" && all.title == "No instance is worse than the day before: 31 anomalies, 36 then.")
    #expect(all.context.isEmpty)
    let week = FigureRange(from: 20 * Self.day, to: 27 * Self.day, step: Self.hour, entities: ["10", "3"])
    let some = Self.headline(found, week)
    #expect(some.title == "Instances 3 and 10 are not worse than the week before: 31 anomalies, 36 then.")
    let live = FigureRange(from: 3 * Self.hour, to: 6 * Self.hour, step: Self.hour, entities: ["10"])
    #expect(
      Self.headline(found, live).title == "Instance 10 is not worse than the 3\u{202F}h before: 1 anomaly, 7 then.")
  }

  @Test("who is worse, by how much, how the others are, and what rose most")
  func worse() {
    let found = [
      Found(key: "3", now: 40, before: 10), Found(key: "3", now: 9, before: 0, detector: "queue_storm"),
      Found(key: "16", now: 15, before: 0, severity: .critical),
      Found(key: "4", now: 20, before: 20), Found(key: "5", now: 5, before: 90, severity: .low),
    ]
    let said = Self.headline(found)
    #expect(said.state == "critical")
    #expect(
      said.title == "Instances 3 and 16 are worse than the day before: 64 high-severity anomalies, 10 then.")
    #expect(
      said.context == "The other 2 are as they were: 20, 20 the day before. Slow queries on 3 rose from 10 to 40; "
        + "queue storm on 3 came 9 times, not once the day before.")
    let alone = Self.headline(
      [Found(key: "3", now: 40, before: 10)],
      FigureRange(
        from: Self.range.from, to: Self.range.to, step: Self.hour, entities: ["3"]))
    #expect(alone.title == "Instance 3 is worse than the day before: 40 high-severity anomalies, 10 then.")
    #expect(alone.context == "Slow queries on 3 rose from 10 to 40.")
    let many = Self.headline((1...6).map { Found(key: "\($0)", now: 10 + $0, before: 0) })
    #expect(many.title.hasPrefix("Instances 6, 5, 4, 3 and 2 more are worse"))
    let others = Self.headline([
      Found(key: "2", now: 20, before: 1), Found(key: "1", now: 9, before: 2), Found(key: "7", now: 9, before: 9),
    ])
    #expect(others.context.hasPrefix("The other 2 have more as well: 18, 11 the day before."))
  }

  @Test(
    "lengths as people say them",
    arguments: [
      (30, "30\u{202F}min"), (90, "90\u{202F}min"), (180, "3\u{202F}h"), (1_440, "24\u{202F}h"), (2_880, "2\u{202F}d"),
      (2_940, "49\u{202F}h"), (10_080, "7\u{202F}d"),
    ])
  func lengths(_ minutes: Int, _ text: String) {
    #expect(FigureRange(from: 0, to: Int64(minutes) * 60_000_000, step: 1_000_000).lengthText == text)
  }
}
