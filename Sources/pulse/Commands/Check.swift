// `pulse check`: is the use case right, or what a data directory holds whole, and if not, everything that is wrong with it.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Learning
import Pipeline

struct Check: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Validate a use case and report every error with its place, or look for damage in a data directory.",
    discussion: """
        pulse check redset              the use case
        pulse check redset --entities 1000000    and what its state takes in memory
        pulse check --data data         what is stored: the database, the state in it, history files and models

      The last reads everything that is stored, and may run beside a `pulse run`.
      """)

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String?

  @Option(help: ArgumentHelp("Look for damage in this data directory.", valueName: "directory"))
  var data: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Say what the use case takes in memory when so many entities are active.", valueName: "number"))
  var entities: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The memory to compare that with (default: what the configuration says).", valueName: "amount"),
    transform: MemoryOption.bytes)
  var memory: Int?

  @Flag(help: "Print what was checked of the data directory as one JSON array.")
  var json = false

  func validate() throws {
    guard (useCase == nil) != (data == nil) else {
      throw ValidationError(
        "expected a use case, or --data with a data directory, found \(data == nil ? "none" : "both")")
    }
    if data?.isEmpty == true { throw ValidationError("--data is empty: expected a directory") }
    if let entities, !(1...1_000_000_000).contains(entities) {
      throw ValidationError("--entities must be 1 to 1000000000, found \(entities)")
    }
    if entities != nil, data != nil { throw ValidationError("--entities is for a use case") }
    if memory != nil, entities == nil { throw ValidationError("--memory is compared with what --entities take") }
    if json, data == nil { throw ValidationError("--json is for --data") }
  }

  func run() async throws {
    if let data { return try await checkStored(DataDirectory(path: data)) }
    let location = try UseCaseLocator().locate(useCase ?? "")
    let check = UseCaseChecker.check(path: location.pipelineFile)
    guard let plan = check.plan else {
      Terminal.printError(check.rendered)
      let count = check.diagnostics.count
      throw OperatingError(.configuration, "\(count) error\(count == 1 ? "" : "s") in \(location.pipelineFile)")
    }
    try checkModels(plan, in: location.directory)
    let useCase = plan.useCase
    Terminal.print(
      "\(location.pipelineFile): ok. \(plan.schema.fields.count) fields, "
        + "\(useCase.features.count + useCase.encoders.count) features, "
        + "\(useCase.classification?.classes.count ?? 0) classes, \(useCase.rules.count) rules, "
        + "\(useCase.detectors.count) detectors, \(useCase.windows.count) windows.")
    if let entities { try printMemory(plan, entities: entities) }
  }

  /// What the state takes, and whether that fits.
  private func printMemory(_ plan: Plan, entities: Int) throws {
    let estimates = plan.memory(forEntities: entities)
    var table = TextTable([("state", .left), ("holds", .right), ("memory", .right), ("an event more", .right)])
    for estimate in estimates {
      table.add([
        estimate.name, estimate.count.grouped, ByteSizeText.format(estimate.bytes),
        estimate.bytesPerEvent > 0 ? ByteSizeText.format(estimate.bytesPerEvent) : "",
      ])
    }
    let needed = estimates.reduce(0) { $0 + $1.bytes }
    let bytes = try memory ?? PlaceOptions.parse([]).configuration().memory
    let room = MemoryBudget.mostState(of: bytes)
    Terminal.print(
      """
      \(entities.grouped) active entities, one event of each within the time of a rule:
      \(table.text(width: Terminal.width(of: STDOUT_FILENO)))
      \(ByteSizeText.format(needed)) together, beside what sketches, strings and keys of text hold. `memory` of \
      \(ByteSizeText.format(bytes)) leaves \(ByteSizeText.format(room)) for state: \
      \(needed <= room ? "that fits." : "that needs \(ByteSizeText.format(MemoryBudget.bytes(forState: needed))).")
      """)
  }

  /// Loads the models that users bring, as a run would.
  private func checkModels(_ plan: Plan, in directory: String) throws {
    try ModelRegistry.checkModels(of: plan, from: directory) { detector, error in
      Terminal.printError("pulse: the model of the detector \(detector) was not checked: \(error)")
    }
  }
}

// MARK: - A data directory

extension Check {
  /// - Throws: `OperatingError` of kind `store` where anything is damaged, after all of it was printed.
  private func checkStored(_ directory: DataDirectory) async throws {
    var findings = try await SQLiteReader.check(directory)
    findings.append(try checkModels(directory))
    if json {
      var writer = JSONArrayWriter()
      for finding in findings { writer.add(finding.json) }
      writer.finish()
    } else {
      Terminal.print(Self.table(findings).text(width: Terminal.width(of: STDOUT_FILENO)))
    }
    let count = findings.reduce(0) { $0 + $1.problems.count }
    if count > 0 {
      throw OperatingError(
        .store, "\(count) problem\(count == 1 ? "" : "s") in \(directory.path). \(Self.remedy(findings, directory))")
    }
  }

  /// What a person can do, by what is damaged.
  private static func remedy(_ findings: [StoreFinding], _ directory: DataDirectory) -> String {
    let damaged = Set(findings.filter { !$0.problems.isEmpty }.map(\.what))
    if damaged == ["models"] {
      return "Restore those models from a backup, or train anew: pulse train USE_CASE --data \(directory.path)"
    }
    // What cannot be opened cannot be emptied either.
    let again = damaged.contains("database") ? "another --data" : "another --data or --reset"
    return "Stop what runs on it and copy the directory. Then restore what is damaged from a backup; without one, run "
      + "over the input again with \(again)"
  }

  private static func table(_ findings: [StoreFinding]) -> TextTable {
    var table = TextTable([("what", .left), ("checked", .right), ("result", .left)])
    let units = ["database": "pages", "state": "partitions", "history": "files", "models": "versions"]
    for finding in findings {
      let checked = "\(finding.checked.grouped) \(units[finding.what] ?? "")"
      table.add([finding.what, checked, finding.problems.first ?? "ok"])
      for problem in finding.problems.dropFirst() { table.add(["", "", problem]) }
    }
    return table
  }

  /// The seals of all versions of models, and the files that say which are champions.
  private func checkModels(_ directory: DataDirectory) throws -> StoreFinding {
    var finding = StoreFinding(what: "models", checked: 0)
    let useCases = (try? FileManager.default.contentsOfDirectory(atPath: directory.modelsPath)) ?? []
    for useCase in useCases.sorted() where !useCase.hasPrefix(".") {
      let registry = ModelRegistry(folder: directory.modelsPath, useCase: useCase)
      for detector in try registry.detectors() {
        for entry in try registry.entries(of: detector) {
          finding.checked += 1
          if let trouble = registry.trouble(with: entry.version, of: detector) {
            finding.problems.append("\(useCase)/\(detector)/\(entry.version): \(trouble)")
          }
        }
        do { _ = try registry.champion(of: detector) } catch {
          finding.problems.append("\(useCase)/\(detector), its champion: \(error)")
        }
      }
    }
    return finding
  }
}
