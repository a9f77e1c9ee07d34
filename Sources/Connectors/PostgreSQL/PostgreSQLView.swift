// What a snapshot of the store says, read by SQL. Everything here runs in one transaction of the caller, on a thread that may
// block.

import Configuration
import Detection
import Pipeline

/// The tables of a store in a transaction.
struct PostgreSQLView {
  let connection: PostgreSQLConnection

  init(_ connection: PostgreSQLConnection) { self.connection = connection }

  func texts(_ sql: String, _ values: PostgreSQLValue...) throws -> [String] {
    try connection.rows(sql, all: values).map { $0.text(0) }
  }

  func useCases() throws -> [String] {
    try texts("SELECT use_case FROM partitions UNION SELECT use_case FROM activations ORDER BY 1")
  }

  func names(of useCase: String?) throws -> ResultNames {
    func fetch(_ column: String, _ table: String) throws -> [String] {
      guard let useCase else { return try texts("SELECT DISTINCT \(column) FROM \(table)") }
      return try texts("SELECT DISTINCT \(column) FROM \(table) WHERE use_case = $1", .text(useCase))
    }
    var detectors = try Set(fetch("detector", "anomalies"))
    var windows = try Set(fetch("window_name", "window_parts")).union(openWindowNames(of: useCase))
    for text in try fetch("text", "configurations") {
      guard case .success(let useCase) = UseCaseReader.read(text, isStored: true) else { continue }
      detectors.formUnion(useCase.rules.map(\.name) + useCase.detectors.map(\.name))
      windows.formUnion(useCase.windows.map(\.name))
    }
    return ResultNames(detectors: detectors.sorted(), windows: windows.sorted())
  }

  // MARK: History and drift

  func listing(of useCase: String) throws -> HistoryListing {
    let shards = try connection.rows(
      """
      SELECT source, partition, day, number, rows, first_time, last_time, path, bytes FROM history_shards
      WHERE use_case = $1 ORDER BY day, source, partition, number
      """, .text(useCase)
    ).map { row in
      ArchivedShard(
        partition: row.partition(0), day: row.text(2), number: row.count(3), rows: row.count(4), firstTime: row.int(5),
        lastTime: row.int(6), path: row.text(7), bytes: row.int(8))
    }
    let latest = try connection.rows("SELECT max(watermark) FROM partitions WHERE use_case = $1", .text(useCase))
    return HistoryListing(shards: shards, latestTime: latest.first?.optionalInt(0))
  }

  func tails(of useCase: String) throws -> [PartitionID: [HistoryTail]] {
    var tails: [PartitionID: [HistoryTail]] = [:]
    try connection.forEach(
      """
      SELECT source, partition, number, days, bytes FROM history_tails WHERE use_case = $1
      ORDER BY source, partition, number
      """, all: [.text(useCase)]
    ) { tails[$0.partition(0), default: []].append(try $0.historyTail(2)) }
    return tails
  }

  func drift(of useCase: String, detector: String?) throws -> [DriftCounts] {
    try connection.rows(
      """
      SELECT detector, version, day, rows, counts FROM drift WHERE use_case = $1 AND detector = coalesce($2, detector)
      ORDER BY detector, version, day, source, partition
      """, .text(useCase), .text(detector)
    ).map { try $0.driftCounts(0) }.addedUp()
  }

  // MARK: Activations and models

  private static let activation = "source, partition, segment, record_offset, record_row, kind, detector, version"

  private func activation(_ row: PostgreSQLRow) -> Activation {
    Activation(
      partition: row.partition(0), from: row.position(2),
      kind: Activation.Kind(rawValue: row.text(5)) ?? .configuration,
      detector: row.optionalText(6), version: row.text(7))
  }

  func activations(of useCase: String) throws -> [Activation] {
    try connection.rows(
      "SELECT \(Self.activation) FROM activations WHERE use_case = $1 ORDER BY sequence", .text(useCase)
    ).map(activation)
  }

  func activations(of useCase: String, in partition: PartitionID) throws -> [Activation] {
    try connection.rows(
      "SELECT \(Self.activation) FROM activations WHERE \(PostgreSQLClaim.ofPartition) ORDER BY sequence",
      .text(useCase), .text(partition.source), .int(partition.number)
    ).map(activation)
  }

  func modelUses(of useCase: String) throws -> Set<ModelUse> {
    let named = try connection.rows(
      "SELECT DISTINCT detector, model FROM anomalies WHERE use_case = $1 AND model IS NOT NULL", .text(useCase)
    ).map { ModelUse(detector: $0.text(0), version: $0.text(1)) }
    var checkpoints: [PartitionID: Position] = [:]
    let rows = try connection.rows(
      "SELECT source, partition, segment, record_offset, record_row FROM partitions WHERE use_case = $1",
      .text(useCase))
    for row in rows { checkpoints[row.partition(0)] = row.position(2) }
    return ModelUse.inForce(try activations(of: useCase), checkpoints: checkpoints).union(named)
  }

  func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) throws -> [Position] {
    try connection.rows(
      """
      SELECT segment, record_offset, record_row FROM anomalies WHERE \(PostgreSQLClaim.ofPartition) AND detector = $4
      ORDER BY segment, record_offset
      """, .text(useCase), .text(partition.source), .int(partition.number), .text(detector)
    ).map { $0.position(0) }
  }

  // MARK: One anomaly

  func anomaly(id: String) throws -> (anomaly: StoredAnomaly, configuration: String)? {
    guard let parts = AnomalyID.parts(of: id) else { return nil }
    let owners = try connection.rows("SELECT DISTINCT use_case, source FROM partitions")
      .map { (useCase: $0.text(0), source: $0.text(1)) }.filter { "\($0.useCase).\($0.source)" == parts.place }
    for owner in owners {
      let rows = try connection.rows(
        """
        SELECT \(Self.anomaly) FROM anomalies WHERE \(PostgreSQLClaim.ofPartition)
          AND segment = $4 AND record_offset = $5 AND detector = $6 AND subject = $7
        """, .text(owner.useCase), .text(owner.source), .int(parts.partition), .int(parts.segment), .int(parts.offset),
        .text(parts.detector), .text(parts.subject))
      guard let found = rows.first.map(Self.anomaly) else { continue }
      if let text = try configuration(of: found) { return (found, text) }
    }
    return nil
  }

  /// The configuration of a use case that was applied last.
  func configuration(of useCase: String) throws -> String? { try configurations(of: useCase).first }

  /// The configuration in force at the position of an anomaly.
  private func configuration(of anomaly: StoredAnomaly) throws -> String? {
    try texts(
      """
      SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
      WHERE a.use_case = $1 AND a.source = $2 AND a.partition = $3 AND a.kind = 'configuration'
        AND (a.segment, a.record_offset) <= ($4, $5)
      ORDER BY a.sequence DESC LIMIT 1
      """, .text(anomaly.useCase), .text(anomaly.partition.source), .int(anomaly.partition.number),
      .int(anomaly.position.segment), .int(anomaly.position.offset)
    ).first
  }
}

extension PostgreSQLView: DefinitionTexts {
  func configurations(of useCase: String) throws -> [String] {
    try texts(
      """
      SELECT c.text FROM (
        SELECT version, max(sequence) AS sequence FROM activations WHERE use_case = $1 AND kind = 'configuration'
        GROUP BY version) a
      JOIN configurations c ON c.use_case = $1 AND c.version = a.version ORDER BY a.sequence DESC
      """, .text(useCase))
  }

  func fingerprint(_ definition: Int64) throws -> String? {
    try texts("SELECT text FROM window_definitions WHERE id = $1", .int(definition)).first
  }
}
