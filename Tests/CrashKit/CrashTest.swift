// The whole crash test: one input and the models trained in its middle, one uninterrupted run, then every combination of
// batch size and workers, without and with kills, and canaries that prove that the comparison can fail.

import Foundation
import GRDB
import TestKit

/// A crash test over a simulated input.
public struct CrashTest: Sendable {
  private let command: CrashCommand
  private let useCase: String
  private let simulated: String
  private let folder: String
  private let kills: Int
  private let promotionKills: Int
  private let partitionKills: Int
  private let events: Int
  private let seed: UInt64
  private let minimumAnomalies: Int
  private let variants: [CrashDriver.Variant]
  private let promotionVariants: [CrashDriver.Variant]
  private let partitions: [Int]

  /// - Parameters:
  ///   - useCase: folder of the use case to run.
  ///   - simulated: the use case whose generator makes the input.
  ///   - folder: an empty one.
  ///   - kills: how many runs are killed, spread over the variants.
  ///   - promotionKills: how many are killed while models are promoted, spread over `promotionVariants`.
  ///   - partitionKills: how many are killed that read several partitions, spread over `partitions`.
  ///   - minimumAnomalies: of each rule and detector in the uninterrupted run; with fewer the test proves too little and
  ///     fails.
  public init(
    pulse: String, useCase: String, simulated: String, folder: String, kills: Int, promotionKills: Int = 0,
    partitionKills: Int = 0, events: Int, seed: UInt64, minimumAnomalies: Int, variants: [CrashDriver.Variant],
    promotionVariants: [CrashDriver.Variant] = [], partitions: [Int] = []
  ) {
    command = CrashCommand(path: pulse, errors: folder + "/errors.log")
    self.useCase = useCase
    self.folder = folder
    self.simulated = simulated
    self.kills = kills
    self.promotionKills = promotionKills
    self.partitionKills = partitionKills
    self.events = events
    self.seed = seed
    self.minimumAnomalies = minimumAnomalies
    self.variants = variants
    self.promotionVariants = promotionVariants
    self.partitions = partitions
  }

  /// Batch sizes with 1, 2 and 4 workers each.
  public static func variants(batchSizes: [Int]) -> [CrashDriver.Variant] {
    batchSizes.flatMap { size in [1, 2, 4].map { CrashDriver.Variant(batchSize: size, workers: $0) } }
  }

  /// - Parameter report: is given a line on every step.
  /// - Returns: whether anything differed, or the test could not have shown it.
  public func run(report: (String) -> Void) throws -> Bool {
    var randomness = SeededRandom(seed: seed)
    var input = try CrashInput(command, simulated: simulated, events: events, folder: folder)
    let history = ModelHistory(command: command, useCase: useCase, folder: folder)
    let made = try history.make(&input, report: report)
    let trail = try ModelTrail(useCase: ModelHistory.useCaseName, dataDirectory: made)
    report("models take over at " + trail.swaps.map(\.description).joined(separator: ", "))
    var differences = trail.swaps.filter { swap in variants.contains { $0.batchSize > 1 && !swap.isInside($0) } }
      .map { "\($0) is where a batch begins" }

    let template = folder + "/template"
    try trail.plant(in: template, command, useCase: useCase)
    let driver = CrashDriver(
      command: command, useCase: useCase, inputs: input.paths, folder: folder, template: template)
    let plain = CrashDriver.Variant(batchSize: 4096, workers: 2)
    let reference = try driver.runThrough(plain, name: "reference").data
    let expected = try StoredResults(dataDirectory: reference)
    // Where a run ends it cuts a shard, and the reference was never interrupted.
    differences += try StoredResults(dataDirectory: made)
      .differences(from: expected, except: ["history", "history_shards"]).map { "where models were trained: \($0)" }
    differences += try check(reference, expected, report: report)
    differences += try Canaries(driver: driver, useCase: useCase).run(
      reference: reference, expected: expected, trail: trail, variant: plain, report: report)
    differences += try kill(driver, expecting: expected, swaps: trail.swaps, &randomness, report: report)
    if promotionKills > 0 {
      let promotions = PromotionTest(
        command: command, useCase: useCase, inputs: input.paths, folder: folder, models: trail)
      differences += try promotions.run(
        kills: promotionKills, variants: promotionVariants, randomness: &randomness, report: report)
    }
    let several = PartitionTest(
      command: command, useCase: useCase, inputs: input.paths, folder: folder, models: trail)
    differences += try several.run(
      partitions: partitions, kills: partitionKills, randomness: &randomness, report: report)
    for difference in differences { report(difference) }
    report("\(kills + promotionKills + partitionKills) kills, \(differences.count) differences")
    return !differences.isEmpty
  }

  /// - Returns: what the input proves too little of.
  private func check(
    _ reference: String, _ expected: StoredResults, report: (String) -> Void
  ) throws -> [String] {
    var differences: [String] = []
    for (table, rows) in expected.tables.sorted(by: { $0.key < $1.key }) { report("\(table): \(rows.count) rows") }
    for (detector, count) in try StoredResults.anomalyCounts(dataDirectory: reference).sorted(by: { $0.key < $1.key }) {
      report("anomalies of \(detector): \(count)")
      if count < minimumAnomalies { differences.append("\(detector) has fewer than \(minimumAnomalies) anomalies") }
    }
    for table in ["dead_letters", "window_parts", "open_windows", "history_shards", "drift"]
    where expected.tables[table]?.isEmpty ?? true {
      differences.append("the input yields no \(table)")
    }
    if expected.tables["history_tails"]?.isEmpty == false { differences.append("a run that has ended left tails") }
    return differences
  }

  /// Runs every variant, without and with kills.
  private func kill(
    _ driver: CrashDriver, expecting expected: StoredResults, swaps: [StoredPosition],
    _ randomness: inout SeededRandom, report: (String) -> Void
  ) throws -> [String] {
    var differences: [String] = []
    var total = 0
    var resumes: [StoredPosition] = []
    for (index, variant) in variants.enumerated() {
      let share = kills * (index + 1) / variants.count - kills * index / variants.count
      let (whole, duration) = try driver.runThrough(variant, name: "whole-\(variant.batchSize)-\(variant.workers)")
      var found = try StoredResults(dataDirectory: whole).differences(from: expected).map { "\(variant): \($0)" }
      try FileManager.default.removeItem(atPath: whole)
      let outcome = try driver.runWithKills(
        variant, kills: share, duration: duration, expecting: expected, randomness: &randomness)
      found += outcome.differences.map { "\(variant), killed: \($0)" }
      differences += found
      total += outcome.kills
      resumes += outcome.resumes
      report(
        "\(variant): uninterrupted, and killed \(outcome.kills) times (\(outcome.resumes.count) with a checkpoint "
          + "behind them): " + (found.isEmpty ? "equal" : "DIFFERENT"))
    }
    let ahead = resumes.count { position in swaps.contains { $0 > position } }
    report("\(resumes.count) of \(total) restarts continued from a checkpoint, \(ahead) of them with a swap ahead")
    if resumes.count < max(1, total / 3) {
      differences.append("only \(resumes.count) of \(total) kills came behind a checkpoint: the input is too small")
    }
    if total >= 50, ahead < total / 10 { differences.append("only \(ahead) of \(total) restarts had a swap ahead") }
    return differences
  }
}

extension StoredPosition {
  /// Whether an uninterrupted run has it inside a batch: batches are counted from the beginning of each file.
  fileprivate func isInside(_ variant: CrashDriver.Variant) -> Bool { row % Int64(variant.batchSize) != 0 }
}
