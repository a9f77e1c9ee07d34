// Figures are what SQL over the store says.

import Connectors
import Detection
import Foundation
import GRDB
import Pipeline
import Testing

@testable import Server

@Suite("Figures", .timeLimit(.minutes(15)))
struct FigureTests {
  private static let base = "/api/v1/use-cases/redset"

  private static func number(_ served: ServedFixture, _ sql: String) throws -> Double {
    try DatabaseQueue(path: served.directory.databasePath).read { try Double.fetchOne($0, sql: sql) } ?? 0
  }

  /// A span in the middle of what is stored: its bounds as text and in microseconds.
  private static func span(_ served: ServedFixture) throws -> (query: String, from: Int64, to: Int64) {
    let first = Int64(try number(served, "SELECT min(start) FROM windows WHERE window = 'instance_stats'"))
    let last = Int64(try number(served, "SELECT max(start) FROM windows WHERE window = 'instance_stats'"))
    let ten: Int64 = 600_000_000
    let middle = (first + (last - first) / 2) / ten * ten
    let to = (last / ten + 1) * ten
    return ("from=\(Timestamp.format(middle))&to=\(Timestamp.format(to))&step=1800", middle, to)
  }

  private static func total(_ answer: Answer, _ name: String, _ member: String = "total") throws -> Double? {
    try answer.json["series"]?.array?.first { $0["name"]?.string == name }?[member]?.double
  }

  @Test("sums, shares and counts over a span, for all entities and for some")
  func summary() async throws {
    let served = try await ServedFixture(events: 60_000)
    let (query, from, to) = try Self.span(served)
    for entities in ["", "3,10"] {
      let chosen = entities.isEmpty ? "" : " AND json_extract(by_values, '$.instance_id') IN (\(entities))"
      let of = "FROM windows WHERE window = 'instance_stats' AND start >= \(from) AND start < \(to)\(chosen)"
      let keys = entities.isEmpty ? "" : " AND CAST(key AS INTEGER) IN (\(entities))"
      let found = "FROM anomalies WHERE event_time >= \(from) AND event_time < \(to)\(keys)"
      let more = entities.isEmpty ? "" : "&entities=\(entities)"
      let summary = try await served.get("\(Self.base)/metrics/summary?\(query)\(more)")
      #expect(summary.status == 200, "\(summary.text)")
      func expect(_ name: String, _ sql: String) throws {
        let expected = try Self.number(served, "SELECT \(sql)")
        let value = try #require(try Self.total(summary, name), "\(name)")
        #expect(abs(value - expected) <= 1e-9 * abs(expected), "\(name) of \(entities): \(value), SQL says \(expected)")
      }
      try expect("queue_time", "sum(json_extract(aggregates, '$.queue_ms')) \(of)")
      try expect("spill", "sum(json_extract(aggregates, '$.spilled_mb')) \(of)")
      try expect("score", "sum(json_extract(classes, '$.normal')) * 1.0 / sum(events) \(of)")
      try expect("cluster_size", "avg(json_extract(aggregates, '$.cluster_size')) \(of)")
      try expect("anomalies", "count(*) \(found)")
      let classes = try await served.get("\(Self.base)/classification/series?\(query)\(more)")
      for name in ["network_bound", "cpu_bound", "normal"] {
        #expect(
          try Self.total(classes, name)
            == Self.number(served, "SELECT sum(json_extract(classes, '$.\(name)')) \(of)"), "\(name)")
      }
      let detectors = try await served.get("\(Self.base)/anomalies/series?\(query)\(more)")
      for name in ["large_spill", "queue_storm", "repeated_aborts"] {
        #expect(
          try Self.total(detectors, name) == Self.number(served, "SELECT count(*) \(found) AND detector = '\(name)'"))
      }
    }
  }

  @Test("the span before is the one of the same length before, and steps add up to the total")
  func previous() async throws {
    let served = try await ServedFixture(events: 60_000)
    let (query, from, to) = try Self.span(served)
    let length = to - from
    let answer = try await served.get("\(Self.base)/metrics/summary?\(query)")
    let line = try #require(try answer.json["series"]?.array?.first { $0["name"]?.string == "queue_time" })
    let steps = try #require(line["values"]?.array).compactMap(\.double)
    #expect(abs(steps.reduce(0, +) - (line["total"]?.double ?? 0)) < 1e-6 * abs(line["total"]?.double ?? 1))
    let short = from + length / 2 / 600_000_000 * 600_000_000
    let near = try await served.get(
      "\(Self.base)/metrics/summary?from=\(Timestamp.format(short))&to=\(Timestamp.format(to))&step=600")
    let before = try Self.number(
      served,
      """
      SELECT sum(json_extract(aggregates, '$.queue_ms')) FROM windows WHERE window = 'instance_stats'
        AND start >= \(short - (to - short)) AND start < \(short)
      """)
    let said = try #require(try Self.total(near, "queue_time", "previous_total"))
    #expect(abs(said - before) <= 1e-9 * before)
    // Without events in the span before nothing is compared.
    let far = try await served.get(
      "\(Self.base)/metrics/summary?from=\(Timestamp.format(from - length * 9 / 10))&to=\(Timestamp.format(to))&step=3600"
    )
    #expect(try far.json["previous_from"] == .null)
    #expect(try Self.total(far, "queue_time", "previous_total") == nil)
  }

  @Test("figures follow what a run adds, as if they had been read at the end")
  func following() async throws {
    let served = try await ServedFixture(events: 20_000)
    let query = "from=2024-03-01T00:00:00Z&to=2024-03-02T00:00:00Z&step=1800"
    let addresses = ["metrics/summary", "classification/series", "anomalies/series", "entities"].map {
      "\(Self.base)/\($0)?\(query)"
    }
    let before = try await served.get(addresses[0]).text
    for events in [30_000, 45_000] {
      try await ServedFixture.run(events, in: served.directory)
      try await served.look()
    }
    var followed: [String] = []
    for address in addresses { followed.append(try await served.get(address).text) }
    #expect(followed[0] != before)
    try served.served.figures.forget()
    try await served.look()
    for (address, text) in zip(addresses, followed) {
      #expect(try await served.get(address).text == text, "\(address)")
    }
  }

  @Test("entities in trouble come first, by the rule of the use case")
  func critical() async throws {
    let served = try await ServedFixture(events: 60_000)
    let (query, _, _) = try Self.span(served)
    let all = try await served.get("\(Self.base)/entities?\(query)").json
    let rows = try #require(all["series"]?.array)
    let flags = rows.compactMap { $0["critical"]?.bool }
    #expect(flags == flags.sorted { $0 && !$1 } && rows.count > 10)
    let factor = try #require(all["rule"]?["factor"]?.double)
    let least = try #require(all["rule"]?["least_severe"]?.integer)
    for row in rows {
      let (now, before) = (row["severe"]?.integer ?? 0, row["previous_severe"]?.integer)
      let isCritical = before.map { now >= least && Double(now) >= factor * Double($0) } ?? false
      #expect(row["critical"]?.bool == isCritical)
    }
    let critical = try await served.get("\(Self.base)/entities/critical?\(query)").json["series"]?.array
    #expect(critical?.count == flags.count { $0 })
  }

  @Test("without closed windows figures reach as far as events were read")
  func withoutWindows() async throws {
    let served = try await ServedFixture(events: 60_000)
    let reader = try served.served.store.reader
    let cache = FigureCache(useCase: "redset", window: nil, DashboardDefinition())
    #expect(cache.dataUntil == nil)
    #expect(try await cache.follow(reader).hasChanged)
    let until = try #require(cache.dataUntil)
    let watermark = Int64(try Self.number(served, "SELECT max(watermark) FROM partitions"))
    let latest = Int64(try Self.number(served, "SELECT max(event_time) FROM anomalies"))
    #expect(until > max(watermark, latest) && until <= max(watermark, latest) + 60_000_000 && until % 60_000_000 == 0)
    let range = FigureRange(from: until - 30 * Timestamp.microsecondsPerDay, to: until, step: 86_400_000_000)
    let count = try Self.number(served, "SELECT count(*) FROM anomalies")
    #expect(try cache.now.counts(range, by: .all)[0]?.total == count && count > 0)
    // As long as nothing comes, nothing has changed.
    #expect(try await !cache.follow(reader).hasChanged)
    try await ServedFixture.run(90_000, in: served.directory)
    #expect(try await cache.follow(reader).hasChanged)
    #expect(try #require(cache.dataUntil) > until)
  }

  @Test("the headline of a span is in its summary, for all entities and for some")
  func headline() async throws {
    let served = try await ServedFixture(events: 60_000)
    let (query, from, to) = try Self.span(served)
    for entities in [[], ["3", "10"]] {
      let more = entities.isEmpty ? "" : "&entities=\(entities.joined(separator: ","))"
      let said = try await served.get("\(Self.base)/metrics/summary?\(query)\(more)").json["headline"]
      let range = FigureRange(
        from: from, to: to, step: 1_800_000_000, entities: entities.isEmpty ? nil : Set(entities))
      let useCase = try served.served
      let expected = try Headline(useCase.figures.now, range, useCase.dashboard)
      #expect(said?["title"]?.string == expected.title && said?["context"]?.string == expected.context)
      #expect(said?["state"]?.string == expected.state && !expected.title.isEmpty)
    }
  }
}
