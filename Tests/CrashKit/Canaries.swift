// Proves that the comparison of stored results can fail.

import Foundation
import GRDB

/// Changes of a copy of a store that a comparison must see.
public enum Tampering {
  static let anomaly = "(SELECT min(rowid) FROM anomalies)"

  /// One finding is lost.
  public static let missingAnomaly = "DELETE FROM anomalies WHERE rowid = \(anomaly)"

  /// One finding is there a second time, far behind: the next record may have one of its own.
  public static let doubledAnomaly = """
    INSERT INTO anomalies SELECT use_case, source, partition, segment, offset + 1000000000000, detector, subject,
      row, event_time, key, score, severity, reason, model, explanation, event, change, epoch FROM anomalies WHERE rowid = \(anomaly)
    """

  /// What a copy of a data directory holds after a statement; the copy is gone afterwards.
  /// - Throws: where the statement changes nothing.
  public static func results(of dataDirectory: String, after sql: String) throws -> StoredResults {
    let copy = dataDirectory + "-canary"
    try FileManager.default.copyItem(atPath: dataDirectory, toPath: copy)
    defer { try? FileManager.default.removeItem(atPath: copy) }
    try DatabaseQueue(path: copy + "/pulse.sqlite").write { database in
      try database.execute(sql: sql)
      guard database.changesCount > 0 else { throw CrashError("the canary changed nothing: \(sql)") }
    }
    return try StoredResults(dataDirectory: copy)
  }
}

/// Results that differ in little.
struct Canaries {
  let driver: CrashDriver
  /// The folder of the use case.
  let useCase: String

  /// Changes, removes and doubles one stored row each and checks that the comparison notices; likewise a run in which a
  /// model did not take over.
  /// - Returns: what it failed to notice.
  func run(
    reference: String, expected: StoredResults, trail: ModelTrail, variant: CrashDriver.Variant,
    report: (String) -> Void
  ) throws -> [String] {
    let tampering = [
      (
        "one changed row",
        "UPDATE anomalies SET score = score + 1e-12 * abs(score) + 1e-300 WHERE rowid = \(Tampering.anomaly)"
      ),
      ("one changed window", "UPDATE window_parts SET state = state || x'00' WHERE rowid_key = 0"),
      ("one missing row", "DELETE FROM dead_letters WHERE rowid = (SELECT max(rowid) FROM dead_letters)"),
      ("one changed day of drift", "UPDATE drift SET rows = rows + 1 WHERE rowid = (SELECT max(rowid) FROM drift)"),
      ("one doubled row", Tampering.doubledAnomaly),
    ]
    var unnoticed: [String] = []
    for (name, sql) in tampering {
      let sql = sql.replacingOccurrences(of: "WHERE rowid_key = 0", with: Self.firstWindow)
      if try Tampering.results(of: reference, after: sql).differences(from: expected).isEmpty {
        unnoticed.append("the canary failed: \(name) was not noticed")
      }
    }
    let shard = try tamperShard(of: reference, expected: expected)
    if !shard { unnoticed.append("the canary failed: a changed shard was not noticed") }
    if try !missesSwap(trail, variant, expected: expected) {
      unnoticed.append("the canary failed: a model that did not take over was not noticed")
    }
    report(
      "canary: a changed, a missing and a doubled row, a changed window, day of drift and shard, a missing swap were "
        + (unnoticed.isEmpty ? "noticed" : "NOT all noticed"))
    return unnoticed
  }

  private static let firstWindow = """
    WHERE (window, start, by_key) = (SELECT window, start, by_key FROM window_parts ORDER BY 1, 2, 3 LIMIT 1)
    """

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

  /// - Returns: whether a run whose last swap did not happen found something else, and not only logged something else.
  private func missesSwap(
    _ trail: ModelTrail, _ variant: CrashDriver.Variant, expected: StoredResults
  ) throws -> Bool {
    let data = driver.folder + "/missing-swap"
    defer { try? FileManager.default.removeItem(atPath: data) }
    try trail.withoutLastEntry().plant(in: data, driver.command, useCase: useCase)
    try driver.finish(variant, data: data)
    let found = try StoredResults(dataDirectory: data)
    return ["anomalies", "drift"].allSatisfy { table in
      !found.differences(from: expected, except: Set(expected.tables.keys).subtracting([table])).isEmpty
    }
  }
}
