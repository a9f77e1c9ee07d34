// What advice says is what SQL counts over all anomalies of the span, and its text is parsed when it has changed.

import Configuration
import Connectors
import Detection
import Foundation
import GRDB
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Advice", .timeLimit(.minutes(15)))
struct AdviceTests {
  private static let base = "/api/v1/use-cases/redset/recommendations"

  private static func plan() throws -> Plan {
    let location = try UseCaseLocator().locate("redset")
    return try #require(UseCaseChecker.check(path: location.pipelineFile).plan)
  }

  @Test("advice counts what meets its conditions, of all entities and of one")
  func counts() async throws {
    let served = try await ServedFixture(events: 60_000)
    for entity in [nil, "3"] {
      let more = entity.map { "&entities=\($0)" } ?? ""
      let answer = try await served.get(
        "\(Self.base)/large_spill?from=2024-01-01T00:00:00Z&to=2024-12-31T00:00:00Z&step=86400\(more)")
      #expect(answer.status == 200, "\(answer.text)")
      let markdown = try #require(try answer.json["markdown"]?.string)
      func count(_ condition: String) throws -> Int {
        let key = entity.map { " AND key = '\($0)'" } ?? ""
        return try DatabaseQueue(path: served.directory.databasePath).read {
          try Int.fetchOne(
            $0, sql: "SELECT count(*) FROM anomalies WHERE detector = 'large_spill'\(key) AND (\(condition))")
        } ?? 0
      }
      let total = try count("true")
      #expect(try answer.json["total"]?.integer == Int64(total))
      let joins = try count("json_extract(event, '$.num_joins') > 1")
      let huge = try count("json_extract(event, '$.mbytes_spilled') >= 1000000")
      if entity == nil { try #require(total > 10 && joins > 0) }
      #expect(markdown.contains("\(joins) have several joins") == (joins > 0), "\(markdown)")
      #expect(markdown.contains("; \(huge) of them a terabyte and more") == (huge > 0), "\(markdown)")
    }
  }

  @Test("a text is kept as it was parsed until its file changes; conditions follow the files")
  func changes() throws {
    let folder = try TestFolder()
    let book = AdviceBook(folder: folder.path, try Self.plan())
    #expect(try book.advice(on: "large_spill") == nil && book.conditions == nil)
    try folder.write("advice/large_spill.md", "{count(num_joins > 1)} and {percent(num_joins > 1)} of {total}.")
    #expect(try book.advice(on: "large_spill")?.conditions == ["num_joins > 1"])
    #expect(book.conditions?.texts == ["large_spill": ["num_joins > 1"]])
    try folder.write("advice/large_spill.md", "{count(num_joins > 2)}, {count(mbytes_spilled >= 5)}.")
    #expect(book.conditions?.texts == ["large_spill": ["num_joins > 2", "mbytes_spilled >= 5"]])
    try folder.write("advice/large_spill.md", "{count(num_jons > 2)} are wrong.")
    #expect(throws: OperatingError.self) { try book.advice(on: "large_spill") }
    #expect(book.conditions == nil)
    let many = (0...AnomalyConditions.most).map { "{count(num_joins > \($0))}" }.joined(separator: " ")
    try folder.write("advice/large_spill.md", many)
    #expect(throws: OperatingError.self) { try book.advice(on: "large_spill") }
    try FileManager.default.removeItem(atPath: folder / "advice/large_spill.md")
    #expect(try book.advice(on: "large_spill") == nil)
  }

  @Test("an item that says nothing is left out, and the others are numbered anew")
  func filling() throws {
    let text = "{total}.\n\n1. {count(num_joins > 1)} joins.\n2. {worst} is worst.\n3. {percent(num_joins > 2)} more.\n"
    let advice = try Advice(text, scope: try Self.plan().scope, path: "a.md")
    let figures = Advice.Figures(
      total: 2_000, previous: nil, events: 10, span: "24 h", before: "the day before",
      worst: (name: "3", count: 1, previous: nil, path: "/p"))
    #expect(advice.filled(figures, counts: [0, 500]) == "2,000.\n\n1. 3 is worst.\n2. 25\u{202F}% more.\n")
  }

  @Test("conditions are asked of the events of their detector, whatever cannot be read among them")
  func conditions() throws {
    let conditions = try AnomalyConditions(
      ["large_spill": ["num_joins > 1", "mbytes_spilled >= 5"]], of: try Self.plan())
    func anomaly(_ detector: String, _ event: String) -> StoredAnomaly {
      StoredAnomaly(
        useCase: "redset", partition: PartitionID(source: "s", number: 0), position: .start, detector: detector,
        subject: "", eventTime: 0, key: "1", score: 1, severity: "high", reason: "", model: nil, explanation: "{}",
        event: event)
    }
    let time = "\"arrival_timestamp\":\"2024-03-01T00:00:00Z\""
    let found = conditions.matches([
      anomaly("large_spill", "{\(time),\"num_joins\":2,\"mbytes_spilled\":1}"),
      anomaly("large_spill", "no JSON"),
      anomaly("queue_storm", "{\(time),\"num_joins\":2,\"mbytes_spilled\":9}"),
      anomaly("large_spill", "{\(time),\"num_joins\":2,\"mbytes_spilled\":9}"),
      anomaly("large_spill", "{\(time)}"),
    ])
    #expect(found == [1, 0, 0, 3, 0])
  }
}
