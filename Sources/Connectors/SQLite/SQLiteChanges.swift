// The numbers of changes and the retractions of one partition, within a transaction that writes under its claim.

import Detection
import Foundation
import GRDB
import Pipeline

/// A claim that stands, in a transaction: gives the partition's changes their numbers.
struct HeldClaim {
  let claim: Claim
  let database: Database
  /// Whether results that an earlier claim has committed behind its last checkpoint are still to be confirmed or
  /// retracted.
  private(set) var hasUnconfirmed: Bool
  /// Number of the last change.
  private var last: Int64
  private let stored: (last: Int64, hasUnconfirmed: Bool)

  /// - Returns: nil where another claim has superseded it.
  init?(_ claim: Claim, in database: Database) throws {
    let row = try Row.fetchOne(
      database.cachedStatement(
        sql: "SELECT epoch, changes, unconfirmed FROM claims WHERE use_case = ? AND source = ? AND partition = ?"),
      arguments: [claim.useCase, claim.partition.source, claim.partition.number])
    guard let row, (row[0] as Int64) == claim.epoch else { return nil }
    self.claim = claim
    self.database = database
    last = row[1]
    hasUnconfirmed = row[2]
    stored = (last, hasUnconfirmed)
  }

  /// Use case, source and partition: the beginning of every key.
  var identity: [(any DatabaseValueConvertible)?] {
    [claim.useCase, claim.partition.source, claim.partition.number]
  }

  /// The number of the next change.
  mutating func next() -> Int64 {
    last += 1
    return last
  }

  /// Puts on record what has changed; behind all changes of the transaction.
  func finish() throws {
    guard (last, hasUnconfirmed) != stored else { return }
    try database.execute(
      """
      UPDATE claims SET changes = ?4, unconfirmed = ?5 WHERE use_case = ?1 AND source = ?2 AND partition = ?3
      """, binding: identity + [last, hasUnconfirmed])
  }

  // MARK: Retractions

  /// Retracts the anomalies that meet a condition.
  /// - Parameter condition: with parameters from ?4 on; the partition is given.
  mutating func retractAnomalies(_ condition: String, _ values: [(any DatabaseValueConvertible)?]) throws {
    try retract(
      "anomaly", of: "anomalies", "segment, offset, row, detector, subject, event_time, NULL, NULL, key",
      order: "segment, offset, detector, subject", condition, values)
  }

  /// Retracts the dead letters that meet a condition.
  mutating func retractDeadLetters(_ condition: String, _ values: [(any DatabaseValueConvertible)?]) throws {
    try retract(
      "dead_letter", of: "dead_letters", "segment, offset, row, NULL, '', watermark, NULL, NULL, NULL",
      order: "segment, offset", condition, values)
  }

  /// Removes window parts that meet a condition; those that were closed are retracted.
  mutating func removeWindows(_ condition: String, _ values: [(any DatabaseValueConvertible)?]) throws {
    try retract(
      "window", of: "window_parts", "NULL, NULL, NULL, window, '', start, by_key, definition, NULL",
      order: "start, window, by_key", condition, values, exceptOpen: true)
  }

  private static let ofPartition = "use_case = ?1 AND source = ?2 AND partition = ?3"

  private mutating func retract(
    _ kind: String, of table: String, _ columns: String, order: String, _ condition: String,
    _ values: [(any DatabaseValueConvertible)?], exceptOpen: Bool = false
  ) throws {
    let condition = "\(Self.ofPartition) AND \(condition)"
    // The last parameter is the number of the last change.
    let number = "?\(values.count + 4)"
    try database.execute(
      """
      INSERT INTO retractions (use_case, source, partition, change, kind, segment, offset, row, name, subject, time,
        by_key, definition, key)
      SELECT use_case, source, partition, \(number) + row_number() OVER (ORDER BY \(order)), '\(kind)', \(columns)
      FROM \(table) WHERE \(condition)\(exceptOpen ? " AND closed = 1" : "")
      """, binding: identity + values + [last])
    let retracted = database.changesCount
    last += Int64(retracted)
    if retracted > 0 || exceptOpen {
      try database.execute("DELETE FROM \(table) WHERE \(condition)", binding: identity + values)
    }
    if retracted > 0 { try boundRetractions() }
  }

  /// Forgets the oldest retractions where there are too many. A reader that has not come that far begins anew.
  private func boundRetractions() throws {
    let bound = try Int64.fetchOne(
      database,
      sql: """
        SELECT change FROM retractions WHERE use_case = ? AND source = ? AND partition = ?
        ORDER BY change DESC LIMIT 1 OFFSET ?
        """, arguments: StatementArguments(identity + [Limits.maxRetractions]))
    guard let bound else { return }
    try database.execute(
      "DELETE FROM retractions WHERE \(Self.ofPartition) AND change <= ?4", binding: identity + [bound])
    try database.execute("UPDATE claims SET forgotten = ?4 WHERE \(Self.ofPartition)", binding: identity + [bound])
  }

  // MARK: Activations and confirmation

  /// Retracts results at or behind a position.
  mutating func retractResults(from position: Position) throws {
    let values: [(any DatabaseValueConvertible)?] = [position.segment, position.offset]
    try retractAnomalies("(segment, offset) >= (?4, ?5)", values)
    try retractDeadLetters("(segment, offset) >= (?4, ?5)", values)
  }

  /// Retracts what earlier claims have committed behind the last checkpoint and this one has not confirmed, before a
  /// checkpoint at `position` is written.
  /// - Parameter isLast: also what lies behind that position.
  mutating func retractUnconfirmed(before position: Position, isLast: Bool) throws {
    guard hasUnconfirmed else { return }
    let row = try Row.fetchOne(
      database, sql: "SELECT segment, offset FROM partitions WHERE use_case = ? AND source = ? AND partition = ?",
      arguments: StatementArguments(identity))
    let start = Position.start
    let from: [(any DatabaseValueConvertible)?] =
      row.map { [$0[0] as Int64, $0[1] as Int64] }
      ?? [start.segment, start.offset]
    var condition = "(segment, offset) >= (?4, ?5) AND epoch <> ?6"
    var values = from + [claim.epoch]
    if !isLast {
      condition += " AND (segment, offset) < (?7, ?8)"
      values += [position.segment, position.offset]
    }
    try retractAnomalies(condition, values)
    try retractDeadLetters(condition, values)
    hasUnconfirmed = try !isLast && Self.hasResults(claim, from: position, except: claim.epoch, in: database)
  }

  /// Whether there are results at or behind a position that another claim has written.
  static func hasResults(
    _ claim: Claim, from position: Position, except epoch: Int64, in database: Database
  ) throws -> Bool {
    let arguments: StatementArguments = [
      claim.useCase, claim.partition.source, claim.partition.number, position.segment, position.offset, epoch,
    ]
    func exists(_ table: String) throws -> Bool {
      try Bool.fetchOne(
        database,
        sql: """
          SELECT EXISTS (SELECT 1 FROM \(table) WHERE use_case = ? AND source = ? AND partition = ?
            AND (segment, offset) >= (?, ?) AND epoch <> ?)
          """, arguments: arguments) ?? false
    }
    return try exists("anomalies") || exists("dead_letters")
  }
}
