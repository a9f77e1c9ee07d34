// `pulse models`: the fitted versions of a use case's detectors, which of them scores, and how to change that.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, compare, promote and remove the models of a use case.",
    discussion: """
      A model is a fitted version of one detector; the champion is the version that scores. A run on the same data \
      directory goes on with a new champion, without a pause.

        pulse models list redset --data data
        pulse models diff redset outlier VERSION --data data
        pulse models rollback redset outlier --data data
      """,
    subcommands: [
      ModelsList.self, ModelsShow.self, ModelsDiff.self, ModelsPromote.self, ModelsRollback.self, ModelsPrune.self,
    ])
}

/// What the commands of `pulse models` share.
struct ModelsOptions: ParsableArguments {
  @Argument(help: "The use case: a directory, or the name of one under UseCases/ or in the data directory.")
  var useCase: String

  @OptionGroup var place: PlaceOptions

  @Flag(help: "Print JSON.")
  var json = false

  /// The models of the use case.
  func open() throws -> ModelOperations {
    let path =
      try place.config == nil ? place.data ?? place.configuration().store.path : place.configuration().store.path
    return try ModelOperations(of: useCase, in: DataDirectory(path: try PlaceOptions.required(path)))
  }
}

/// JSON as `pulse models` prints it: numbers that are none as words.
enum ModelsJSON {
  static func text(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder.sayingNonFinite()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

extension JSONEncoder {
  /// An encoder that writes numbers that are not finite as the words of `Double.json`.
  static func sayingNonFinite() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }
}

extension ModelFact.Value {
  /// As a person reads it.
  var shown: String {
    switch self {
    case .text(let text): text
    case .number(let number):
      if let whole = Int(exactly: number), whole.magnitude < 1 << 53 { whole.grouped } else { "\(number)" }
    }
  }
}

struct ModelsList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the versions of each detector, oldest first.",
    discussion: "Example: pulse models list redset --data data")

  @OptionGroup var options: ModelsOptions

  @Option(help: "Only this detector.")
  var detector: String?

  /// A version as `--json` prints it.
  struct Listed: Encodable {
    var detector: String
    /// Nil where it is not known which one is champion.
    var version: String?
    var champion: Bool
    var manifest: ModelManifest?
    var error: String?
  }

  private static func listed(_ detector: String, in registry: ModelRegistry) throws -> [Listed] {
    var rows: [Listed] = []
    var champion: String?
    do { champion = try registry.champion(of: detector) } catch let error as OperatingError {
      rows.append(Listed(detector: detector, champion: true, error: error.description))
    }
    let entries = try registry.entries(of: detector)
    if let champion, !entries.contains(where: { $0.version == champion }) {
      let error = "its folder is gone: restore it, or promote another version"
      rows.append(Listed(detector: detector, version: champion, champion: true, error: error))
    }
    for entry in entries {
      var row = Listed(detector: detector, version: entry.version, champion: entry.version == champion)
      switch entry.manifest {
      case .success(let manifest):
        row.manifest = manifest
        row.error = registry.trouble(with: entry.version, of: detector)?.description
      case .failure(let error): row.error = error.description
      }
      rows.append(row)
    }
    return rows
  }

  func run() throws {
    let models = try options.open()
    let registry = models.registry
    if let detector { try models.check(detector: detector) }
    let detectors = try detector.map { [$0] } ?? registry.detectors()
    let listed = try detectors.flatMap { try Self.listed($0, in: registry) }
    if options.json { return Terminal.print(json: try ModelsJSON.text(listed)) }
    if listed.isEmpty { return Terminal.print("\(registry.useCase) has no models yet: `pulse train` makes them.") }
    var table = TextTable([
      ("detector", .left), ("version", .whole), ("champion", .left), ("created", .whole), ("rows", .right),
      ("gate", .left),
    ])
    for row in listed {
      let gate = row.manifest?.gate.map { $0.passed ? "passed" : Self.failures($0) }
      table.add([
        row.detector, row.version ?? "?", row.champion ? "yes" : "",
        row.manifest.map { Timestamp.formatWithinRange($0.created) } ?? "", row.manifest?.rows.train.grouped ?? "",
        row.error ?? gate ?? row.manifest?.importedFrom.map { "imported from \($0)" } ?? "",
      ])
    }
    Terminal.print(table)
  }

  private static func failures(_ gate: GateReport) -> String {
    "not passed: " + gate.checks.filter { !$0.passed }.map(\.message).joined(separator: "; ")
  }
}

struct ModelsShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show what is on record about a version, the champion unless named.",
    discussion: "Example: pulse models show redset outlier --data data")

  @OptionGroup var options: ModelsOptions

  @Argument(help: "The detector.")
  var detector: String

  @Argument(help: "The version (default: the champion).")
  var version: String?

  private struct Shown: Encodable {
    var champion: Bool
    var manifest: ModelManifest
    var facts: [String: ModelFact.Value]
    var history: [ChampionRecord.Change]
  }

  func run() throws {
    let models = try options.open()
    let registry = models.registry
    let version = try models.versionOrChampion(version, of: detector)
    let facts = try registry.facts(of: version, of: detector)
    let record = try? registry.championRecord(of: detector)
    if options.json {
      let shown = Shown(
        champion: record?.version == version, manifest: try registry.manifest(of: version, of: detector),
        facts: facts.byName, history: record?.history ?? [])
      return Terminal.print(json: try ModelsJSON.text(shown))
    }
    Terminal.print("\(registry.useCase)  \(detector)  \(version)" + (record?.version == version ? "  (champion)" : ""))
    var table = TextTable([("what", .left), ("value", .left)])
    for fact in facts { table.add([fact.name, fact.value.shown]) }
    Terminal.print(table)
    guard let history = record?.history, !history.isEmpty else { return }
    var changes = TextTable([("champion since", .whole), ("version", .whole), ("reason", .left)])
    for change in history.suffix(10).reversed() {
      changes.add([Timestamp.formatWithinRange(change.at), change.version, change.reason])
    }
    Terminal.print(changes)
  }
}

struct ModelsDiff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Show what differs between two versions, the champion being the second unless named.",
    discussion: "Example: pulse models diff redset outlier VERSION --data data")

  @OptionGroup var options: ModelsOptions

  @Argument(help: "The detector.")
  var detector: String

  @Argument(help: "The one version.")
  var first: String

  @Argument(help: "The other one (default: the champion).")
  var second: String?

  private struct Difference: Encodable {
    var what: String
    var first: ModelFact.Value?
    var second: ModelFact.Value?
  }

  private struct Differences: Encodable {
    var first: String
    var second: String
    var differences: [Difference]
  }

  func run() throws {
    let models = try options.open()
    let registry = models.registry
    try models.check(version: first, of: detector)
    let second = try models.versionOrChampion(second, of: detector)
    let (one, other) = (
      try registry.facts(of: first, of: detector), try registry.facts(of: second, of: detector)
    )
    let values = other.byName
    let names = Set(one.map(\.name))
    var differences = one.filter { values[$0.name] != $0.value }.map {
      Difference(what: $0.name, first: $0.value, second: values[$0.name])
    }
    differences += other.filter { !names.contains($0.name) }.map {
      Difference(what: $0.name, first: nil, second: $0.value)
    }
    if options.json {
      let whole = Differences(first: first, second: second, differences: differences)
      return Terminal.print(json: try ModelsJSON.text(whole))
    }
    if differences.isEmpty { return Terminal.print("\(first) and \(second) do not differ.") }
    var table = TextTable([("what", .left), (first, .left), (second, .left)])
    for difference in differences {
      table.add([difference.what, difference.first?.shown ?? "none", difference.second?.shown ?? "none"])
    }
    Terminal.print(table)
  }
}
