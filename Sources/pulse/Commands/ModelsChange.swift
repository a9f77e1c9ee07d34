// `pulse models promote|rollback|prune`: what changes the registry.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

/// What a change of the champion prints.
private struct ChampionReport: Encodable {
  var useCase: String
  var detector: String
  var champion: String
  var before: String?

  private enum CodingKeys: String, CodingKey {
    case detector, champion, before
    case useCase = "use_case"
  }

  init(_ change: ChampionChange) {
    (useCase, detector, champion, before) = (change.useCase, change.detector, change.champion, change.before)
  }

  func show(json: Bool) throws {
    if json { return Terminal.print(json: try ModelsJSON.text(self)) }
    let from = before == champion ? " already" : before.map { "; before it was \($0)" } ?? ""
    Terminal.print("\(champion) is the champion of \(detector)\(from).")
  }
}

struct ModelsPromote: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "promote", abstract: "Make a version the champion, whatever its gate said.",
    discussion: "Example: pulse models promote redset outlier VERSION --data data")

  @OptionGroup var options: ModelsOptions

  @Argument(help: "The detector.")
  var detector: String

  @Argument(help: "The version.")
  var version: String

  @Option(help: "Why, for the record.")
  var reason = "promoted by hand"

  func run() throws {
    let change = try options.open().promote(version, of: detector, reason: reason, at: Date())
    try ChampionReport(change).show(json: options.json)
  }
}

struct ModelsRollback: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback", abstract: "Make the champion before the present one champion again.",
    discussion: "Repeated, it goes further back. Example: pulse models rollback redset outlier --data data")

  @OptionGroup var options: ModelsOptions

  @Argument(help: "The detector.")
  var detector: String

  @Option(help: "Why, for the record.")
  var reason = "rolled back by hand"

  func run() throws {
    let change = try options.open().rollback(detector, reason: reason, at: Date())
    try ChampionReport(change).show(json: options.json)
  }
}

struct ModelsPrune: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Remove versions that nothing needs any more.",
    discussion: """
      Kept are the champion, the newest versions, those that stored anomalies name and those that a run may still need \
      when it is started again.

      Example: pulse models prune redset --keep 3 --dry-run --data data
      """)

  @OptionGroup var options: ModelsOptions

  @Option(help: "Only this detector.")
  var detector: String?

  @Option(parsing: .unconditional, help: "How many of the newest versions stay (default: 5).")
  var keep = 5

  @Flag(help: "Only say what would be removed.")
  var dryRun = false

  func validate() throws {
    guard keep >= 0 else { throw ValidationError("--keep must be 0 or more, found \(keep)") }
  }

  /// What became of a version.
  private struct Verdict: Encodable {
    var detector: String
    var version: String
    var removed: Bool
    /// Why it stays; with `--dry-run`, why it would.
    var reason: String

    init(_ verdict: PruneVerdict) {
      (detector, version) = (verdict.detector, verdict.version)
      (removed, reason) = (verdict.isRemoved, verdict.reason)
    }
  }

  func run() async throws {
    let models = try options.open()
    let place = try options.place.place()
    let uses =
      place.mayExist ? try await place.reader().read { try await $0.modelUses(of: models.registry.useCase) } : []
    let verdicts = try models.prune(
      detector: detector, keep: keep,
      named: Set(uses.map { NamedModel(detector: $0.detector, version: $0.version) }), isTried: dryRun)
    if options.json { return Terminal.print(json: try ModelsJSON.text(verdicts.map(Verdict.init))) }
    let removed = verdicts.filter(\.isRemoved)
    for verdict in removed {
      Terminal.print("\(dryRun ? "would remove" : "removed") \(verdict.detector) \(verdict.version)")
    }
    let rest = verdicts.count - removed.count
    Terminal.print("\(removed.count.grouped) \(dryRun ? "to remove" : "removed"), \(rest.grouped) kept.")
    for verdict in verdicts where !verdict.isRemoved && verdict.reason.hasPrefix("unreadable") {
      Terminal.print("\(verdict.detector) \(verdict.version): \(verdict.reason)")
    }
  }
}
