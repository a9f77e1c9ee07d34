// What events looked like to the models, as the embedded store has it.

import Detection
import GRDB
import Pipeline

extension DriftCounts {
  /// - Throws: `DecodingError` where the counts are not the JSON that was written, `NewerVersion`.
  init(_ row: Row) throws {
    try self.init(
      detector: row["detector"], version: row["version"], day: row["day"], rows: row["rows"], counts: row["counts"])
  }
}

extension StoreView {
  func drift(of useCase: String, detector: String? = nil) throws -> [DriftCounts] {
    // A store of before version 4 that nothing has written to since.
    guard try database.tableExists("drift") else { return [] }
    let rows = try Row.fetchAll(
      database,
      sql: """
        SELECT * FROM drift WHERE use_case = ? AND detector = coalesce(?, detector)
        ORDER BY detector, version, day, source, partition
        """, arguments: [useCase, detector]
    ).map { try DriftCounts($0) }
    return rows.addedUp()
  }
}
