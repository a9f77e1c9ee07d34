// Where each partition stands.

import Detection
import Pipeline

extension PostgreSQLView {
  func status(of useCase: String?, counting isCounting: Bool) throws -> [PartitionStatus] {
    try connection.rows(
      """
      SELECT use_case, source, partition, segment, record_offset, record_row, watermark, totals FROM partitions
      WHERE use_case = coalesce($1, use_case) ORDER BY use_case, source, partition
      """, .text(useCase)
    ).map { row in
      let (name, partition) = (row.text(0), row.partition(1))
      let identity: [PostgreSQLValue] = [.text(name), .text(partition.source), .int(partition.number)]
      var status = PartitionStatus(
        useCase: name, partition: partition, position: row.position(3), watermark: row.optionalInt(6),
        totals: try Totals(storedText: row.text(7)))
      if isCounting { try count(name, partition, identity, in: &status) }
      for activation in try activations(of: name, in: partition) {
        switch activation.kind {
        case .configuration: status.version = activation.version
        case .gap: status.gaps.append(activation.version)
        case .model: if let detector = activation.detector { status.models[detector] = activation.version }
        case .close: break
        }
      }
      status.models = status.models.filter { !$0.value.isEmpty }
      return status
    }
  }

  /// Counts what is stored of a partition.
  private func count(
    _ useCase: String, _ partition: PartitionID, _ identity: [PostgreSQLValue], in status: inout PartitionStatus
  ) throws {
    let ofPartition = PostgreSQLClaim.ofPartition
    let detectors = try connection.rows(
      "SELECT detector, count(*) FROM anomalies WHERE \(ofPartition) GROUP BY 1", all: identity)
    for row in detectors { status.storedAnomalies[row.text(0)] = row.count(1) }
    let counts = try connection.rows(
      """
      SELECT
        (SELECT count(*) FROM dead_letters WHERE \(ofPartition)),
        (SELECT count(*) FROM window_parts WHERE \(ofPartition) AND NOT closed),
        (SELECT count(*) FROM window_parts WHERE \(ofPartition)),
        s.shards, s.rows, s.bytes, (SELECT coalesce(sum(rows), 0)::bigint FROM history_tails WHERE \(ofPartition))
      FROM (SELECT count(*) AS shards, coalesce(sum(rows), 0)::bigint AS rows, coalesce(sum(bytes), 0)::bigint AS bytes
        FROM history_shards WHERE \(ofPartition)) s
      """, all: identity)
    guard let row = counts.first else { return }
    let open = try openWindowCount(useCase, partition)
    status.storedDeadLetters = row.count(0)
    status.openWindows = open + row.count(1)
    status.windows = open + row.count(2)
    (status.shards, status.shardRows, status.shardBytes) = (row.count(3), row.count(4), row.int(5))
    status.waitingRows = row.count(6)
  }
}
