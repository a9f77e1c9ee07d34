// What events looked like to the models, in the store: a row for each partition, detector, version and day, with the
// counts by bin as `{"inputs":[[…],…],"score":[…]}`, in the order of the model's bins.

import Detection
import Foundation
import GRDB
import Pipeline

/// The counts of a row.
private struct BinCounts: Decodable {
  var inputs: [[Int]]
  var score: [Int]

  private enum CodingKeys: String, CodingKey { case version, inputs, score }

  init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let version = try values.decodeIfPresent(Int.self, forKey: .version) ?? 1
    guard version <= 1 else { throw NewerVersion("the drift counts", found: version, known: 1) }
    inputs = try values.decode([[Int]].self, forKey: .inputs)
    score = try values.decode([Int].self, forKey: .score)
  }
}

extension DriftCounts {
  /// The counts by bin as they are stored.
  var json: String {
    func array(_ counts: [Int]) -> String { JSONText.array(counts.map { String($0) }) }
    return JSONText.object([("inputs", JSONText.array(inputs.map(array))), ("score", array(score))])
  }

  /// - Throws: `DecodingError` where the counts are not the JSON that was written, `NewerVersion`.
  init(_ row: Row) throws {
    let counts = try JSONDecoder().decode(BinCounts.self, from: Data((row["counts"] as String).utf8))
    self.init(
      detector: row["detector"], version: row["version"], day: row["day"], rows: row["rows"], inputs: counts.inputs,
      score: counts.score)
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
