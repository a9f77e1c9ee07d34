// Activations, and which fitted models a store still speaks of.

import Detection
import GRDB
import Pipeline

extension StoreView {
  func activations(of useCase: String) throws -> [Activation] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM activations WHERE use_case = ? ORDER BY sequence", arguments: [useCase]
    ).map { row in
      Activation(
        partition: Self.partition(row), from: Self.position(row),
        kind: Activation.Kind(rawValue: row["kind"]) ?? .configuration,
        // A store of before version 4 that nothing has written to since.
        detector: row.hasColumn("detector") ? row["detector"] : nil, version: row["version"])
    }
  }

  func modelUses(of useCase: String) throws -> Set<ModelUse> {
    let named = try Row.fetchAll(
      database, sql: "SELECT DISTINCT detector, model FROM anomalies WHERE use_case = ? AND model IS NOT NULL",
      arguments: [useCase]
    ).map { ModelUse(detector: $0["detector"], version: $0["model"]) }
    var checkpoints: [PartitionID: Position] = [:]
    for row in try Row.fetchAll(database, sql: "SELECT * FROM partitions WHERE use_case = ?", arguments: [useCase]) {
      checkpoints[Self.partition(row)] = Self.position(row)
    }
    return ModelUse.inForce(try activations(of: useCase), checkpoints: checkpoints).union(named)
  }

  func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) throws -> [Position] {
    try Row.fetchAll(
      database,
      sql: """
        SELECT segment, offset, row FROM anomalies
        WHERE use_case = ? AND source = ? AND partition = ? AND detector = ? ORDER BY segment, offset
        """, arguments: [useCase, partition.source, partition.number, detector]
    ).map(Self.position)
  }
}
