// `pulse test`: does the use case do what its scenarios say?

import ArgumentParser
import Configuration
import Detection
import Foundation
import Operations
import Pipeline

struct Test: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the scenario files of a use case.",
    discussion: "Example: pulse test redset")

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @Flag(help: "Print one JSON array.")
  var json = false

  func run() throws {
    let useCase = try LoadedUseCase(useCase)
    let scenarios = try Scenario.load(from: useCase.location.directory)
    guard !scenarios.isEmpty else {
      throw OperatingError(
        .configuration,
        "\(useCase.location.directory)/scenarios has no *.yaml files (docs/use-cases.md says how to write one)")
    }
    let runner = ScenarioRunner(plan: useCase.plan)
    let outcomes = try scenarios.map { try runner.run($0) }
    let failed = outcomes.filter { !$0.differences.isEmpty }
    if json {
      let rows = outcomes.map { outcome -> [String: Any] in
        [
          "file": outcome.scenario.file, "scenario": outcome.scenario.name, "passed": outcome.differences.isEmpty,
          "differences": outcome.differences,
        ]
      }
      let data = try JSONSerialization.data(withJSONObject: rows, options: [.sortedKeys, .prettyPrinted])
      Terminal.print(json: String(decoding: data, as: UTF8.self))
    } else {
      for outcome in outcomes {
        Terminal.print(
          "\(outcome.differences.isEmpty ? "pass" : "FAIL")  \(outcome.scenario.file): \(outcome.scenario.name)")
        for difference in outcome.differences { Terminal.print("      \(difference)") }
      }
      Terminal.print("\(outcomes.count - failed.count) of \(outcomes.count) scenarios hold.")
    }
    if !failed.isEmpty { Foundation.exit(1) }
  }
}
