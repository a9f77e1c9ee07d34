// Every scenario of every use case, whole and cut into batches: scenario files are the specification, and no outcome may
// depend on where a batch ends.

import Configuration
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

/// One scenario with the plan it runs on.
struct ScenarioCase: CustomTestStringConvertible, Sendable {
  let useCase: String
  let plan: Plan
  let scenario: Scenario
  var testDescription: String { "\(useCase)/\(scenario.file): \(scenario.name)" }

  static let useCases =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/UseCases"

  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: useCases)) ?? []).sorted()

  static let all: [ScenarioCase] = names.flatMap { name -> [ScenarioCase] in
    guard let plan = UseCaseChecker.check(path: "\(useCases)/\(name)/pipeline.yaml").plan,
      let scenarios = try? Scenario.load(from: "\(useCases)/\(name)")
    else { return [] }
    return scenarios.map { ScenarioCase(useCase: name, plan: plan, scenario: $0) }
  }
}

@Suite("Scenarios")
struct ScenarioTests {
  @Test("every use case is right and has scenarios", arguments: ScenarioCase.names)
  func useCaseIsRight(_ name: String) throws {
    let check = UseCaseChecker.check(path: "\(ScenarioCase.useCases)/\(name)/pipeline.yaml")
    #expect(check.diagnostics.isEmpty, "\(check.rendered)")
    #expect(try Scenario.load(from: "\(ScenarioCase.useCases)/\(name)").count >= 5)
  }

  @Test("there are use cases")
  func useCasesAreFound() { #expect(ScenarioCase.names.count >= 2) }

  @Test("scenarios hold, whatever the batch size", arguments: ScenarioCase.all)
  func scenarioHolds(_ item: ScenarioCase) throws {
    for batchRows in [Limits.defaultBatchRows, 1, 7] {
      let differences = try ScenarioRunner(plan: item.plan, batchRows: batchRows).run(item.scenario).differences
      #expect(differences.isEmpty, "in batches of \(batchRows): \(differences.joined(separator: "\n"))")
    }
  }

  @Test("a scenario that does not hold is noticed")
  func canary() throws {
    let folder = try TestFolder()
    let text = """
      name: wrong on purpose
      given:
        events:
          - {at: "2024-01-01T00:00:00Z", n: 5}
          - {at: "2024-01-01T00:00:01Z", n: -5}
      expect:
        anomalies: []
        windows: [{window: all, start: "2024-01-01T00:00:00Z", aggregates: {count: 3}}]
        dead_letters: []
      """
    try folder.write("scenarios/wrong.yaml", text)
    let pipeline = """
      name: canary
      event:
        time: at
        fields: {at: {type: timestamp, required: true}, n: {type: int, min: 0}}
      rules: [{name: five, when: n = 5}]
      windows: [{name: all, type: tumbling, size: 1h, aggregates: {count: count(*)}}]
      """
    let plan = try #require(UseCaseChecker.check(text: pipeline).plan)
    let scenario = try #require(try Scenario.load(from: folder.path).first)
    let differences = try ScenarioRunner(plan: plan).run(scenario).differences
    #expect(differences.contains { $0.contains("found anomaly") && $0.contains("five") })
    #expect(differences.contains { $0.contains("found dead letter") && $0.contains("out_of_range") })
    #expect(differences.contains { $0.contains("expected window") })
  }

  @Test("lists are compared in their order and whole, what is in them by the members that are named")
  func lists() throws {
    let pipeline = """
      name: lists
      event: {time: at, fields: {at: {type: timestamp, required: true}, page: {type: string}}}
      windows: [{name: all, type: tumbling, size: 1h, aggregates: {top: 'top_k(page, 2)'}}]
      """
    let plan = try #require(UseCaseChecker.check(text: pipeline).plan)
    func differences(_ top: String) throws -> [String] {
      let text = """
        name: lists
        given:
          defaults: {at: "2024-01-01T00:00:00Z"}
          events: [{page: b}, {page: a}, {repeat: 2, event: {page: c}}]
        expect:
          windows: [{window: all, aggregates: {top: \(top)}}]
        """
      let folder = try TestFolder()
      try folder.write("scenarios/lists.yaml", text)
      let scenario = try #require(try Scenario.load(from: folder.path).first)
      return try ScenarioRunner(plan: plan).run(scenario).differences
    }
    #expect(try differences("[{value: c, count: 2}, {value: a, error: 0}]") == [])
    let expected = "expected window {aggregates: {top: [{value: a}, {value: c}]}, window: all}, not found"
    #expect(try differences("[{value: a}, {value: c}]").first == expected)
    for wrong in ["[{value: c}]", "[c, a]", "[]", "c", "[{value: c}, {value: a, count: 2}]"] {
      #expect(try !differences(wrong).isEmpty, "\(wrong)")
    }
  }
}
