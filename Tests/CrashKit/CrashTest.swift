// The whole crash test: one input, one uninterrupted run, then every combination of batch size and workers, without and
// with kills, and a canary that proves that the comparison can fail.

import Foundation
import GRDB
import TestKit

/// A crash test over a simulated input.
public struct CrashTest: Sendable {
  private let driver: CrashDriver
  private let pulse: String
  private let simulated: String
  private let folder: String
  private let kills: Int
  private let events: Int
  private let seed: UInt64
  private let minimumAnomalies: Int
  private let variants: [CrashDriver.Variant]

  /// - Parameters:
  ///   - useCase: folder of the use case to run.
  ///   - simulated: the use case whose generator makes the input.
  ///   - kills: how many runs are killed, spread over the variants.
  ///   - minimumAnomalies: of each rule in the uninterrupted run; with fewer the test proves too little and fails.
  public init(
    pulse: String, useCase: String, simulated: String, folder: String, kills: Int, events: Int, seed: UInt64,
    minimumAnomalies: Int, variants: [CrashDriver.Variant] = Self.allVariants
  ) {
    driver = CrashDriver(pulse: pulse, useCase: useCase, inputs: Self.inputs(in: folder), folder: folder)
    self.folder = folder
    self.pulse = pulse
    self.simulated = simulated
    self.kills = kills
    self.events = events
    self.seed = seed
    self.minimumAnomalies = minimumAnomalies
    self.variants = variants
  }

  /// Batch sizes 1, 7, 4096 and 65536, each with 1, 2 and 4 workers.
  public static let allVariants = [1, 7, 4096, 65_536].flatMap { size in
    [1, 2, 4].map { CrashDriver.Variant(batchSize: size, workers: $0) }
  }

  /// - Parameter report: is given a line on every step.
  /// - Returns: whether anything differed, or the test could not have shown it.
  public func run(report: (String) -> Void) throws -> Bool {
    try simulate()
    let reference = try driver.runThrough(CrashDriver.Variant(batchSize: 4096, workers: 2), name: "reference").data
    let expected = try StoredResults(dataDirectory: reference)
    for (table, rows) in expected.tables.sorted(by: { $0.key < $1.key }) { report("\(table): \(rows.count) rows") }
    var differences = try canary(reference: reference, expected: expected, report: report)
    for (detector, count) in try StoredResults.anomalyCounts(dataDirectory: reference).sorted(by: { $0.key < $1.key }) {
      report("anomalies of \(detector): \(count)")
      if count < minimumAnomalies { differences.append("\(detector) has fewer than \(minimumAnomalies) anomalies") }
    }
    for table in ["dead_letters", "window_parts", "history_shards"] where expected.tables[table]?.isEmpty ?? true {
      differences.append("the input yields no \(table)")
    }
    if expected.tables["history_tails"]?.isEmpty == false { differences.append("a run that has ended left tails") }
    var randomness = SeededRandom(seed: seed)
    var total = 0
    var resumes = 0
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
      resumes += outcome.resumes
      report(
        "\(variant): uninterrupted, and killed \(outcome.kills) times (\(outcome.resumes) with a checkpoint behind them): "
          + (differences.isEmpty ? "equal" : "DIFFERENT"))
    }
    if resumes < max(1, total / 3) {
      differences.append("only \(resumes) of \(total) kills came behind a checkpoint: the input is too small")
    }
    for difference in differences { report(difference) }
    report("\(total) kills, \(differences.count) differences")
    return !differences.isEmpty
  }

  private static func inputs(in folder: String) -> [String] { (1...3).map { "\(folder)/events-\($0).ndjson" } }

  /// Makes the input, as three files of unequal length: the last record of a file and the first of the next are where
  /// positions change their segment.
  private func simulate() throws {
    let input = folder + "/events.ndjson"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: pulse)
    process.arguments = [
      "simulate", simulated, "--events", String(events), "--seed", "11", "--to", input,
    ]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CrashError("simulate ended with \(process.terminationStatus)") }
    let whole = try Data(contentsOf: URL(fileURLWithPath: input))
    var start = 0
    for (path, share) in zip(Self.inputs(in: folder), [0.3, 0.37, 1]) {
      let cut = Int(Double(whole.count) * share)
      let end = share == 1 ? whole.count : (whole[cut...].firstIndex(of: 0x0A) ?? whole.count - 1) + 1
      try whole[start..<end].write(to: URL(fileURLWithPath: path))
      start = end
    }
    try FileManager.default.removeItem(atPath: input)
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
