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

    init(_ model: ListedModel) {
      (detector, version, champion) = (model.detector, model.version, model.isChampion)
      (manifest, error) = (model.manifest, model.error?.description)
    }
  }

  func run() throws {
    let models = try options.open()
    let listed = try models.versions(of: detector)
    if options.json { return Terminal.print(json: try ModelsJSON.text(listed.map(Listed.init))) }
    if listed.isEmpty {
      return Terminal.print("\(models.registry.useCase) has no models yet: `pulse train` makes them.")
    }
    var table = TextTable([
      ("detector", .left), ("version", .whole), ("champion", .left), ("created", .whole), ("rows", .right),
      ("gate", .left),
    ])
    for row in listed {
      let gate = row.manifest?.gate.map { $0.passed ? "passed" : Self.failures($0) }
      table.add([
        row.detector, row.version ?? "?", row.isChampion ? "yes" : "",
        row.manifest.map { Timestamp.formatWithinRange($0.created) } ?? "", row.manifest?.rows.train.grouped ?? "",
        row.error?.description ?? gate ?? row.manifest?.importedFrom.map { "imported from \($0)" } ?? "",
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
    let record = try models.record(of: version, of: detector)
    if options.json {
      let shown = Shown(
        champion: record.isChampion, manifest: record.manifest, facts: record.facts.byName, history: record.history)
      return Terminal.print(json: try ModelsJSON.text(shown))
    }
    let mark = record.isChampion ? "  (champion)" : ""
    Terminal.print("\(models.registry.useCase)  \(detector)  \(record.version)\(mark)")
    var table = TextTable([("what", .left), ("value", .left)])
    for fact in record.facts { table.add([fact.name, fact.value.shown]) }
    Terminal.print(table)
    guard !record.history.isEmpty else { return }
    var changes = TextTable([("champion since", .whole), ("version", .whole), ("reason", .left)])
    for change in record.history.suffix(10).reversed() {
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

    init(_ difference: ModelDifference) {
      (what, first, second) = (difference.fact, difference.first, difference.second)
    }
  }

  private struct Differences: Encodable {
    var first: String
    var second: String
    var differences: [Difference]
  }

  func run() throws {
    let compared = try options.open().compare(first, with: second, of: detector)
    let (second, differences) = (compared.second, compared.differences)
    if options.json {
      let whole = Differences(first: first, second: second, differences: differences.map(Difference.init))
      return Terminal.print(json: try ModelsJSON.text(whole))
    }
    if differences.isEmpty { return Terminal.print("\(first) and \(second) do not differ.") }
    var table = TextTable([("what", .left), (first, .left), (second, .left)])
    for difference in differences {
      table.add([difference.fact, difference.first?.shown ?? "none", difference.second?.shown ?? "none"])
    }
    Terminal.print(table)
  }
}
