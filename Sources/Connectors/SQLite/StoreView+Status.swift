// Where each partition stands.

import Detection
import Foundation
import GRDB
import Pipeline

extension StoreView {
  func status(of useCase: String?, counting isCounting: Bool) throws -> [PartitionStatus] {
    try Row.fetchAll(
      database,
      sql:
        "SELECT * FROM partitions \(useCase == nil ? "" : "WHERE use_case = ?") ORDER BY use_case, source, partition",
      arguments: useCase.map { [$0] } ?? []
    ).map { row in
      let partition = PartitionID(source: row["source"], number: row["partition"])
      let name: String = row["use_case"]
      let identity: StatementArguments = [name, partition.source, partition.number]
      var status = PartitionStatus(
        useCase: name, partition: partition, position: Self.position(row), watermark: row["watermark"],
        totals: try Totals(storedText: row["totals"]))
      if isCounting { try count(name, partition, in: &status) }
      status.version = try String.fetchOne(
        database,
        sql: """
          SELECT version FROM activations WHERE use_case = ? AND source = ? AND partition = ?
            AND kind = 'configuration' ORDER BY sequence DESC LIMIT 1
          """, arguments: identity)
      status.models = try models(identity)
      status.gaps = try String.fetchAll(
        database,
        sql: """
          SELECT version FROM activations WHERE use_case = ? AND source = ? AND partition = ? AND kind = 'gap'
          ORDER BY sequence
          """, arguments: identity)
      return status
    }
  }

  /// Counts what is stored of a partition.
  private func count(_ useCase: String, _ partition: PartitionID, in status: inout PartitionStatus) throws {
    let identity: StatementArguments = [useCase, partition.source, partition.number]
    func one<Value: DatabaseValueConvertible>(_ expression: String, _ table: String) throws -> Value? {
      try Value.fetchOne(
        database, sql: "SELECT \(expression) FROM \(table) WHERE use_case = ? AND source = ? AND partition = ?",
        arguments: identity)
    }
    status.storedAnomalies = try Dictionary(
      Row.fetchAll(
        database,
        sql: """
          SELECT detector, count(*) FROM anomalies WHERE use_case = ? AND source = ? AND partition = ? GROUP BY 1
          """, arguments: identity
      ).map { row -> (String, Int) in (row[0], row[1]) }, uniquingKeysWith: +)
    status.storedDeadLetters = try one("count(*)", "dead_letters") ?? 0
    let open = try openWindowCount(useCase, partition)
    status.openWindows = try open + (one("count(*)", "(SELECT * FROM window_parts WHERE closed = 0)") ?? 0)
    status.windows = try open + (one("count(*)", "window_parts") ?? 0)
    status.shards = try one("count(*)", "history_shards") ?? 0
    status.shardRows = try one("sum(rows)", "history_shards") ?? 0
    status.shardBytes = try one("sum(bytes)", "history_shards") ?? 0
    status.waitingRows = try one("sum(rows)", "history_tails") ?? 0
  }

  /// The models that score a partition now.
  private func models(_ identity: StatementArguments) throws -> [String: String] {
    // A store of before version 4 that nothing has written to since.
    guard try has("detector", in: "activations") else { return [:] }
    return try Row.fetchAll(
      database,
      sql: """
        SELECT detector, version FROM activations WHERE use_case = ? AND source = ? AND partition = ?
          AND kind = 'model' ORDER BY sequence
        """, arguments: identity
    ).reduce(into: [String: String]()) { $0[$1[0]] = $1[1] }.filter { !$0.value.isEmpty }
  }
}
