// `pulse models promote|rollback|prune`: what changes the registry.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Learning
import Pipeline

/// What a change of the champion prints with `--json`.
private struct ChampionChange: Encodable {
  var useCase: String
  var detector: String
  var champion: String
  var before: String?

  private enum CodingKeys: String, CodingKey {
    case detector, champion, before
    case useCase = "use_case"
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
    let (registry, _) = try options.open()
    try ModelNames.check(version: version, of: detector, in: registry)
    let before = try? registry.champion(of: detector)
    try registry.promote(
      version, of: detector, fitting: try options.detector(detector), reason: reason, at: Date())
    try ChampionChange(useCase: registry.useCase, detector: detector, champion: version, before: before)
      .show(json: options.json)
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
    let (registry, _) = try options.open()
    try ModelNames.check(detector: detector, in: registry)
    let before = try registry.champion(of: detector)
    let champion = try registry.rollback(
      detector, fitting: try options.detector(detector), at: Date(), reason: reason)
    try ChampionChange(useCase: registry.useCase, detector: detector, champion: champion, before: before)
      .show(json: options.json)
  }
}

struct ModelsPrune: ParsableCommand {
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
  }

  func run() async throws {
    let (registry, directory) = try options.open()
    if let detector { try ModelNames.check(detector: detector, in: registry) }
    let uses =
      directory.exists
      ? try await SQLiteReader(directory).read { try await $0.modelUses(of: registry.useCase) } : []
    var verdicts: [Verdict] = []
    for detector in try detector.map({ [$0] }) ?? registry.detectors() {
      verdicts += try self.verdicts(on: detector, in: registry, uses: uses)
    }
    if !dryRun {
      for verdict in verdicts where verdict.removed { try registry.remove(verdict.version, of: verdict.detector) }
    }
    if options.json { return Terminal.print(json: try ModelsJSON.text(verdicts)) }
    let removed = verdicts.filter(\.removed)
    for verdict in removed {
      Terminal.print("\(dryRun ? "would remove" : "removed") \(verdict.detector) \(verdict.version)")
    }
    let rest = verdicts.count - removed.count
    Terminal.print("\(removed.count.grouped) \(dryRun ? "to remove" : "removed"), \(rest.grouped) kept.")
    for verdict in verdicts where !verdict.removed && verdict.reason.hasPrefix("unreadable") {
      Terminal.print("\(verdict.detector) \(verdict.version): \(verdict.reason)")
    }
  }

  private func verdicts(
    on detector: String, in registry: ModelRegistry, uses: Set<ModelUse>
  ) throws -> [Verdict] {
    let entries = try registry.entries(of: detector)
    let newest = Set(entries.suffix(keep).map(\.version))
    let champion: String?
    do { champion = try registry.champion(of: detector) } catch let error as OperatingError {
      // Any of them may be it.
      return entries.map {
        Verdict(detector: detector, version: $0.version, removed: false, reason: "unreadable champion: \(error)")
      }
    }
    return entries.map { entry in
      let version = entry.version
      let isUsed = uses.contains { $0.version == version && ($0.detector == nil || $0.detector == detector) }
      let reason = reason(entry, champion: champion, newest: newest, isUsed: isUsed)
      return Verdict(
        detector: detector, version: version, removed: reason == nil, reason: reason ?? "nothing needs it")
    }
  }

  /// Why a version stays; nil where nothing needs it.
  private func reason(
    _ entry: ModelRegistry.Entry, champion: String?, newest: Set<String>, isUsed: Bool
  ) -> String? {
    if entry.version == champion { return "the champion" }
    if newest.contains(entry.version) { return "one of the newest" }
    if isUsed { return "the store names it" }
    if case .failure(let error) = entry.manifest { return "unreadable: \(error)" }
    return nil
  }
}
