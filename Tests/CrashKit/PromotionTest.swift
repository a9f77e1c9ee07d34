// Kills runs while another process promotes models and goes back to earlier ones. What such a run finds depends on when
// the promotions came; but it leaves a log of them, and a run that replays the log finds the same.

import Foundation
import TestKit

/// Runs that are killed and restarted while their champions change.
struct PromotionTest {
  let command: CrashCommand
  /// The folder of the use case.
  let useCase: String
  let inputs: [String]
  let folder: String
  /// The versions that are promoted.
  let models: ModelTrail

  private static let killsOfOneDirectory = 5
  /// A run looks for another champion twice a second. A kill comes at most so long behind the last promotion, in
  /// microseconds: before it was noticed, while its model is read, when it takes over, and behind that.
  private static let longestWait: UInt32 = 900_000

  private struct Outcome {
    var kills = 0
    /// Activations at a checkpoint that a run continued from, and others.
    var between = 0
    var during = 0
    var differences: [String] = []
  }

  /// - Returns: what differed, or that too little happened.
  func run(
    kills: Int, variants: [CrashDriver.Variant], randomness: inout SeededRandom, report: (String) -> Void
  ) throws -> [String] {
    let template = folder + "/promotions"
    try models.withoutEntries().plant(
      in: template, command, useCase: useCase, champions: models.versions.compactMapValues(\.first))
    let driver = CrashDriver(command: command, useCase: useCase, inputs: inputs, folder: folder, template: template)
    var total = Outcome()
    for (index, variant) in variants.enumerated() {
      let share = kills * (index + 1) / variants.count - kills * index / variants.count
      var outcome = Outcome()
      while outcome.kills < share {
        try runOnce(driver, variant, kills: min(share - outcome.kills, Self.killsOfOneDirectory), &outcome, &randomness)
      }
      report(
        "\(variant), models promoted meanwhile: killed \(outcome.kills) times, \(outcome.between) models took over at a "
          + "restart, \(outcome.during) in a run: " + (outcome.differences.isEmpty ? "equal" : "DIFFERENT"))
      total.between += outcome.between
      total.during += outcome.during
      total.differences += outcome.differences.map { "\(variant), models promoted: \($0)" }
    }
    if total.between == 0 { total.differences.append("no model took over at a restart") }
    if total.during == 0 { total.differences.append("no model took over while a run went on") }
    return total.differences
  }

  /// Kills the runs of one data directory, lets the last one end, and compares with a replay.
  private func runOnce(
    _ driver: CrashDriver, _ variant: CrashDriver.Variant, kills: Int, _ outcome: inout Outcome,
    _ randomness: inout SeededRandom
  ) throws {
    let data = try driver.makeData("promoted")
    defer { try? FileManager.default.removeItem(atPath: data) }
    var resumes: Set<StoredPosition> = [StoredPosition(segment: 0, offset: 0, row: 0)]
    for _ in 0..<kills {
      let process = try driver.start(variant, data: data)
      defer { _ = process.killed() }
      // Before anything is on record, while a version takes over, and twice in quick succession.
      for _ in 0..<Int.random(in: 0...2, using: &randomness) {
        usleep(UInt32.random(in: 0...Self.longestWait / 2, using: &randomness))
        try promote(in: data, &randomness)
      }
      usleep(UInt32.random(in: 0...Self.longestWait, using: &randomness))
      guard process.killed() else {
        try driver.check(process, variant)
        break
      }
      outcome.kills += 1
      if let position = StoredPosition(dataDirectory: data) { resumes.insert(position) }
      if Bool.random(using: &randomness) { try promote(in: data, &randomness) }
    }
    let last = try driver.start(variant, data: data)
    defer { _ = last.killed() }
    while last.isRunning {
      try promote(in: data, &randomness)
      usleep(UInt32.random(in: 0...Self.longestWait, using: &randomness))
    }
    try driver.check(last, variant)
    let trail = try ModelTrail(useCase: models.useCase, dataDirectory: data)
    let between = trail.entries.count { resumes.contains($0.from) }
    outcome.between += between
    outcome.during += trail.entries.count - between
    outcome.differences += try differences(of: data, from: trail, resumes)
  }

  /// Promotes another version of a detector, or goes back to the one before.
  private func promote(in data: String, _ randomness: inout SeededRandom) throws {
    let promotions = CrashCommand(path: command.path, errors: folder + "/promotions.log")
    for (detector, versions) in models.versions.sorted(by: { $0.key < $1.key }) {
      switch Int.random(in: 0..<4, using: &randomness) {
      case 0: break
      case 1:
        // There may be none to go back to.
        _ = try promotions.succeeds(["models", "rollback", useCase, detector, "--data", data])
      default:
        let version = versions.randomElement(using: &randomness) ?? ""
        try promotions.run(["models", "promote", useCase, detector, version, "--data", data])
      }
    }
  }

  /// Replays the log that is left in a new data directory, with other batches.
  private func differences(
    of data: String, from trail: ModelTrail, _ resumes: Set<StoredPosition>
  ) throws -> [String] {
    let template = folder + "/replay-template"
    try trail.plant(in: template, command, useCase: useCase)
    defer { try? FileManager.default.removeItem(atPath: template) }
    let driver = CrashDriver(command: command, useCase: useCase, inputs: inputs, folder: folder, template: template)
    let replay = try driver.runThrough(CrashDriver.Variant(batchSize: 4096, workers: 2), name: "replay").data
    defer { try? FileManager.default.removeItem(atPath: replay) }
    let found = try StoredResults(dataDirectory: data).differences(
      from: try StoredResults(dataDirectory: replay))
    if found.isEmpty { return [] }
    let log = trail.entries.map { entry in
      "\(entry.detector) \(entry.version) from \(entry.from)" + (resumes.contains(entry.from) ? " (a restart)" : "")
    }
    return found + ["the log: " + log.joined(separator: "; ")]
  }
}
