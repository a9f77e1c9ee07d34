// A claim that stands, within a transaction that writes: its row is locked, so that whoever supersedes it waits for the end of
// the transaction, and whoever was superseded sees that. It gives the changes of the partition their numbers.

import Detection
import Pipeline

/// What a transaction may write under one claim.
struct PostgreSQLClaim {
  let claim: Claim
  let connection: PostgreSQLConnection
  /// Whether results that an earlier claim has committed behind its last checkpoint are still to be confirmed or retracted.
  private(set) var hasUnconfirmed: Bool
  /// Number of the last change.
  private(set) var last: Int64
  private let stored: (last: Int64, hasUnconfirmed: Bool)

  /// Locks the rows of claims, always in the same order, so that no two transactions wait for each other.
  /// - Returns: those that stand; the others were superseded.
  static func hold(_ claims: some Sequence<Claim>, on connection: PostgreSQLConnection) throws -> [Claim: Self] {
    let claims = Set(claims).sorted { ($0.useCase, $0.partition, $0.epoch) < ($1.useCase, $1.partition, $1.epoch) }
    let rows = try connection.rows(
      """
      SELECT use_case, source, partition, epoch, changes, unconfirmed FROM claims
      WHERE (use_case, source, partition) IN (SELECT * FROM unnest($1, $2, $3))
      ORDER BY use_case, source, partition FOR NO KEY UPDATE
      """, .texts(claims.map(\.useCase)), .texts(claims.map(\.partition.source)),
      .ints(claims.map { Int64($0.partition.number) }))
    var held: [Claim: Self] = [:]
    for row in rows {
      let claim = Claim(
        useCase: row.text(0), partition: PartitionID(source: row.text(1), number: Int32(row.int(2))), epoch: row.int(3))
      guard claims.contains(claim) else { continue }
      held[claim] = Self(claim, connection, last: row.int(4), hasUnconfirmed: row.bool(5))
    }
    return held
  }

  private init(_ claim: Claim, _ connection: PostgreSQLConnection, last: Int64, hasUnconfirmed: Bool) {
    (self.claim, self.connection, self.last, self.hasUnconfirmed) = (claim, connection, last, hasUnconfirmed)
    stored = (last, hasUnconfirmed)
  }

  /// Use case, source and partition: the beginning of every key.
  var identity: [PostgreSQLValue] {
    [.text(claim.useCase), .text(claim.partition.source), .int(claim.partition.number)]
  }

  /// The number of the next change.
  mutating func next() -> Int64 {
    last += 1
    return last
  }

  /// Puts on record what has changed, and announces it; behind all changes of the transaction.
  func finish() throws {
    guard (last, hasUnconfirmed) != stored else { return }
    try connection.execute(
      """
      UPDATE claims SET changes = $4, unconfirmed = $5 WHERE use_case = $1 AND source = $2 AND partition = $3
      """, all: identity + [.int(last), .bool(hasUnconfirmed)])
    if last != stored.last { try PostgreSQLChannel.announce(on: connection) }
  }

  // MARK: Retractions

  /// Retracts the anomalies that meet a condition.
  /// - Parameter condition: with parameters from $4 on; the partition is given.
  mutating func retractAnomalies(_ condition: String, _ values: [PostgreSQLValue]) throws {
    try retract(
      "anomaly", of: "anomalies",
      "segment, record_offset, record_row, detector, subject, event_time, NULL::bytea, NULL::bigint, key",
      order: "segment, record_offset, detector, subject", condition, values)
  }

  /// Retracts the dead letters that meet a condition.
  mutating func retractDeadLetters(_ condition: String, _ values: [PostgreSQLValue]) throws {
    try retract(
      "dead_letter", of: "dead_letters",
      "segment, record_offset, record_row, NULL::text, '', watermark, NULL::bytea, NULL::bigint, NULL::text",
      order: "segment, record_offset", condition, values)
  }

  /// Removes window parts that meet a condition; those that were closed are retracted.
  mutating func removeWindows(_ condition: String, _ values: [PostgreSQLValue]) throws {
    try retract(
      "window", of: "window_parts",
      """
      NULL::bigint, NULL::bigint, NULL::bigint, window_name, '', start_time, by_key, definition, NULL::text
      """, order: "start_time, window_name, by_key", condition, values, exceptOpen: true)
  }

  static let ofPartition = "use_case = $1 AND source = $2 AND partition = $3"

  private mutating func retract(
    _ kind: String, of table: String, _ columns: String, order: String, _ condition: String,
    _ values: [PostgreSQLValue], exceptOpen: Bool = false
  ) throws {
    // The last parameter is the number of the last change.
    let retracted = try connection.execute(
      """
      WITH gone AS (DELETE FROM \(table) WHERE \(Self.ofPartition) AND \(condition) RETURNING *)
      INSERT INTO retractions (use_case, source, partition, change, kind, segment, record_offset, record_row, name,
        subject, time, by_key, definition, key)
      SELECT use_case, source, partition, $\(values.count + 4) + row_number() OVER (ORDER BY \(order)), '\(kind)',
        \(columns)
      FROM gone\(exceptOpen ? " WHERE closed" : "")
      """, all: identity + values + [.int(last)])
    last += Int64(retracted)
    if retracted > 0 { try boundRetractions() }
  }

  /// Forgets the oldest retractions where there are too many. A reader that has not come that far begins anew.
  private func boundRetractions() throws {
    try connection.execute(
      """
      WITH bound AS (
        SELECT change FROM retractions WHERE \(Self.ofPartition) ORDER BY change DESC LIMIT 1 OFFSET $4
      ), gone AS (DELETE FROM retractions WHERE \(Self.ofPartition) AND change <= (SELECT change FROM bound))
      UPDATE claims SET forgotten = (SELECT change FROM bound)
      WHERE \(Self.ofPartition) AND EXISTS (SELECT 1 FROM bound)
      """, all: identity + [.int(Limits.maxRetractions)])
  }

  // MARK: Activations and confirmation

  /// Retracts results at or behind a position.
  mutating func retractResults(from position: Position) throws {
    let values: [PostgreSQLValue] = [.int(position.segment), .int(position.offset)]
    try retractAnomalies("(segment, record_offset) >= ($4, $5)", values)
    try retractDeadLetters("(segment, record_offset) >= ($4, $5)", values)
  }

  /// Retracts what earlier claims have committed behind the last checkpoint and this one has not confirmed, before a
  /// checkpoint at `position` is written.
  /// - Parameter isLast: also what lies behind that position.
  mutating func retractUnconfirmed(before position: Position, isLast: Bool) throws {
    guard hasUnconfirmed else { return }
    let from = try Self.position(of: identity, on: connection)
    var condition = "(segment, record_offset) >= ($4, $5) AND epoch <> $6"
    var values: [PostgreSQLValue] = [.int(from.segment), .int(from.offset), .int(claim.epoch)]
    if !isLast {
      condition += " AND (segment, record_offset) < ($7, $8)"
      values += [.int(position.segment), .int(position.offset)]
    }
    try retractAnomalies(condition, values)
    try retractDeadLetters(condition, values)
    hasUnconfirmed = try !isLast && Self.hasResults(identity, from: position, except: claim.epoch, on: connection)
  }

  /// Where the last checkpoint of a partition is; its start where there is none.
  private static func position(of identity: [PostgreSQLValue], on connection: PostgreSQLConnection) throws -> Position {
    let row = try connection.rows(
      "SELECT segment, record_offset, record_row FROM partitions WHERE \(ofPartition)", all: identity
    ).first
    return row?.position(0) ?? .start
  }

  /// Whether there are results at or behind a position that another claim has written.
  private static func hasResults(
    _ identity: [PostgreSQLValue], from position: Position, except epoch: Int64, on connection: PostgreSQLConnection
  ) throws -> Bool {
    let condition = "\(ofPartition) AND (segment, record_offset) >= ($4, $5) AND epoch <> $6"
    return try connection.rows(
      """
      SELECT EXISTS (SELECT 1 FROM anomalies WHERE \(condition)) OR EXISTS (SELECT 1 FROM dead_letters WHERE \(condition))
      """, all: identity + [.int(position.segment), .int(position.offset), .int(epoch)]
    ).first?.bool(0) ?? false
  }

  // MARK: Claiming

  /// Counts up the epoch of a partition.
  static func take(
    _ useCase: String, _ partition: PartitionID, on connection: PostgreSQLConnection
  ) throws -> Claim {
    let identity: [PostgreSQLValue] = [.text(useCase), .text(partition.source), .int(partition.number)]
    let epoch =
      try connection.rows(
        """
        INSERT INTO claims (use_case, source, partition, epoch) VALUES ($1, $2, $3, 1)
        ON CONFLICT (use_case, source, partition) DO UPDATE SET epoch = claims.epoch + 1 RETURNING epoch
        """, all: identity
      ).first?.int(0) ?? 0
    let position = try position(of: identity, on: connection)
    let hasUnconfirmed = try hasResults(identity, from: position, except: epoch, on: connection)
    try connection.execute(
      "UPDATE claims SET unconfirmed = $4 WHERE \(ofPartition)", all: identity + [.bool(hasUnconfirmed)])
    return Claim(useCase: useCase, partition: partition, epoch: epoch)
  }
}

extension PostgreSQLRow {
  /// A position whose segment, offset and row begin at a column.
  func position(_ column: Int32) -> Position {
    Position(segment: UInt32(int(column)), offset: int(column + 1), row: int(column + 2))
  }

  /// A partition whose source and number begin at a column.
  func partition(_ column: Int32) -> PartitionID {
    PartitionID(source: text(column), number: Int32(int(column + 1)))
  }
}
