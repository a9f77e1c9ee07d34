// The whole crash test: one input, one uninterrupted run, then every combination of batch size and workers, without and
// with kills, and a canary that proves that the comparison can fail.

import Foundation
import GRDB

/// A crash test over a simulated input.
public struct CrashTest: Sendable {
  private let driver: CrashDriver
  private let pulse: String
  private let simulated: String
  private let input: String
  private let kills: Int
  private let events: Int
  private let seed: UInt64
  private let variants: [CrashDriver.Variant]

  /// - Parameters:
  ///   - useCase: folder of the use case to run.
  ///   - simulated: the use case whose generator makes the input.
  ///   - kills: how many runs are killed, spread over the variants.
  public init(
    pulse: String, useCase: String, simulated: String, folder: String, kills: Int, events: Int, seed: UInt64,
    variants: [CrashDriver.Variant] = Self.allVariants
  ) {
    input = folder + "/events.ndjson"
    driver = CrashDriver(pulse: pulse, useCase: useCase, input: input, folder: folder)
    self.pulse = pulse
    self.simulated = simulated
    self.kills = kills
    self.events = events
    self.seed = seed
    self.variants = variants
  }

  /// Batch sizes 1, 7, 4096 and 65536, each with 1, 2 and 4 workers.
  public static let allVariants = [1, 7, 4096, 65_536].flatMap { size in
    [1, 2, 4].map { CrashDriver.Variant(batchSize: size, workers: $0) }
  }

  /// - Parameter report: is given a line on every step.
  /// - Returns: whether anything differed.
  public func run(report: (String) -> Void) throws -> Bool {
    try simulate()
    let reference = try driver.runThrough(CrashDriver.Variant(batchSize: 4096, workers: 2), name: "reference").data
    let expected = try StoredResults(dataDirectory: reference)
    for (table, rows) in expected.tables.sorted(by: { $0.key < $1.key }) { report("\(table): \(rows.count) rows") }
    for (detector, count) in try StoredResults.anomalyCounts(dataDirectory: reference).sorted(by: { $0.key < $1.key }) {
      report("anomalies of \(detector): \(count)")
    }
    var differences = try canary(reference: reference, expected: expected, report: report)
    var randomness = SeededRandom(seed: seed)
    var total = 0
    for (index, variant) in variants.enumerated() {
      let share = kills * (index + 1) / variants.count - kills * index / variants.count
      let name = "whole-\(variant.batchSize)-\(variant.workers)"
      let (whole, duration) = try driver.runThrough(variant, name: name)
      differences += try StoredResults(dataDirectory: whole).differences(from: expected).map { "\(variant): \($0)" }
      try FileManager.default.removeItem(atPath: whole)
      let outcome = try driver.runWithKills(
        variant, kills: share, duration: duration, expecting: expected, randomness: &randomness)
      differences += outcome.differences.map { "\(variant), killed: \($0)" }
      total += outcome.kills
      report(
        "\(variant): uninterrupted, and killed \(outcome.kills) times (\(outcome.resumes) with a checkpoint behind them): "
          + (differences.isEmpty ? "equal" : "DIFFERENT"))
    }
    for difference in differences { report(difference) }
    report("\(total) kills, \(differences.count) differences")
    return !differences.isEmpty
  }

  private func simulate() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: pulse)
    process.arguments = [
      "simulate", simulated, "--events", String(events), "--seed", "11", "--to", input,
    ]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CrashError("simulate ended with \(process.terminationStatus)") }
  }

  /// Changes, removes and doubles one stored row each and checks that the comparison notices.
  /// - Returns: what it failed to notice.
  private func canary(reference: String, expected: StoredResults, report: (String) -> Void) throws -> [String] {
    let anomaly = "(SELECT min(rowid) FROM anomalies)"
    let tampering = [
      ("one changed row", "UPDATE anomalies SET score = score + 1e-12 * abs(score) + 1e-300 WHERE rowid = \(anomaly)"),
      ("one changed window", "UPDATE window_parts SET state = state || x'00' WHERE rowid_key = 0"),
      ("one missing row", "DELETE FROM dead_letters WHERE rowid = (SELECT max(rowid) FROM dead_letters)"),
      (
        "one doubled row",
        """
        INSERT INTO anomalies SELECT use_case, source, partition, segment, offset + 1, detector, row, event_time, key,
          score, severity, reason, model, explanation, event FROM anomalies WHERE rowid = \(anomaly)
        """
      ),
    ]
    var unnoticed: [String] = []
    for (name, sql) in tampering {
      let copy = reference + "-canary"
      try FileManager.default.copyItem(atPath: reference, toPath: copy)
      defer { try? FileManager.default.removeItem(atPath: copy) }
      try Self.tamper(copy, sql.replacingOccurrences(of: "WHERE rowid_key = 0", with: Self.firstWindow))
      if try StoredResults(dataDirectory: copy).differences(from: expected).isEmpty {
        unnoticed.append("the canary failed: \(name) was not noticed")
      }
    }
    let shard = try tamperShard(of: reference, expected: expected)
    if !shard { unnoticed.append("the canary failed: a changed shard was not noticed") }
    report(
      "canary: a changed, a missing and a doubled row, a changed window and a changed shard were "
        + (unnoticed.isEmpty ? "noticed" : "NOT all noticed"))
    return unnoticed
  }

  private static let firstWindow = """
    WHERE (window, start, by_key) = (SELECT window, start, by_key FROM window_parts ORDER BY 1, 2, 3 LIMIT 1)
    """

  private static func tamper(_ data: String, _ sql: String) throws {
    try DatabaseQueue(path: data + "/pulse.sqlite").write { database in
      try database.execute(sql: sql)
      guard database.changesCount > 0 else { throw CrashError("the canary changed nothing: \(sql)") }
    }
  }

  /// - Returns: whether a flipped bit in a shard was noticed.
  private func tamperShard(of reference: String, expected: StoredResults) throws -> Bool {
    let copy = reference + "-canary"
    try FileManager.default.copyItem(atPath: reference, toPath: copy)
    defer { try? FileManager.default.removeItem(atPath: copy) }
    let paths = FileManager.default.enumerator(atPath: copy + "/history")?.allObjects as? [String] ?? []
    guard let path = paths.first(where: { $0.hasSuffix(".arrow") }) else { throw CrashError("there is no shard") }
    let url = URL(fileURLWithPath: copy + "/history/" + path)
    var data = try Data(contentsOf: url)
    data[data.count / 2] ^= 1
    try data.write(to: url)
    return try !StoredResults(dataDirectory: copy).differences(from: expected).isEmpty
  }
}
