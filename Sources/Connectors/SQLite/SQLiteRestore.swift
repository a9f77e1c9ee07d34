// Reading back what a restart needs. Rows come from cursors, one after another: what a restart holds is what the run needs,
// and one row of the store.

import Detection
import Foundation
import GRDB
import Pipeline

extension SQLiteCheckpoint {
  /// What is stored of a partition; nil where nothing is.
  static func restore(
    useCase: String, _ partition: PartitionID, from database: Database
  ) throws -> PartitionSnapshot? {
    let identity: StatementArguments = [useCase, partition.source, partition.number]
    guard let row = try Row.fetchOne(database, sql: "SELECT * FROM partitions \(ofPartition)", arguments: identity)
    else { return nil }
    var snapshot = PartitionSnapshot(
      position: Position(segment: row["segment"], offset: row["offset"], row: row["row"]),
      sourceState: [UInt8](row["source_state"] as Data),
      totals: try Totals(storedText: row["totals"]),
      openWindows: try restoreWindows(identity, from: database),
      closedWindows: try restoreClosed(identity, from: database),
      states: try restoreStates(identity, from: database), tails: try restoreTails(identity, from: database),
      nextShard: try restoreNextShards(identity, from: database),
      drift: try restoreDrift(identity, from: database))
    snapshot.configurations = try StoreView(database).configurations(of: useCase)
    return snapshot
  }

  private static let ofPartition = "WHERE use_case = ? AND source = ? AND partition = ?"

  /// Calls `body` with the rows of a query, one after another.
  private static func forEach(
    _ sql: String, _ arguments: StatementArguments, from database: Database, _ body: (Row) throws -> Void
  ) throws {
    let rows = try Row.fetchCursor(database, sql: sql, arguments: arguments)
    while let row = try rows.next() { try body(row) }
  }

  private static func restoreNextShards(
    _ identity: StatementArguments, from database: Database
  ) throws -> [String: Int] {
    var next: [String: Int] = [:]
    try forEach(
      "SELECT day, max(number) + 1 FROM history_shards \(ofPartition) GROUP BY day", identity, from: database
    ) { next[$0[0]] = $0[1] }
    return next
  }

  private static func restoreWindows(
    _ identity: StatementArguments, from database: Database
  ) throws -> StoredWindows {
    // The long texts of definitions are read once, not with every row.
    var definitions: [Int64: String] = [:]
    try forEach("SELECT id, text FROM window_definitions", [], from: database) {
      definitions[$0[0]] = ($0[1] as WholeText).text
    }
    var windows = StoredWindows()
    try forEach(
      "SELECT * FROM window_parts \(ofPartition) AND closed = 0 ORDER BY window, start, by_key", identity,
      from: database
    ) { row in
      // One without a definition is of none that applies.
      windows.append(try windowPart(row), definition: definitions[row["definition"]] ?? "")
    }
    return windows
  }

  /// Windows close in the order of their starts, so the latest closed one tells which ones are.
  private static func restoreClosed(
    _ identity: StatementArguments, from database: Database
  ) throws -> [PartitionSnapshot.ClosedWindows] {
    var closed: [PartitionSnapshot.ClosedWindows] = []
    try forEach(
      """
      SELECT p.window, d.text, max(p.start) FROM window_parts p JOIN window_definitions d ON d.id = p.definition
      \(ofPartition) AND closed = 1 GROUP BY p.window, p.definition
      """, identity, from: database
    ) { row in
      closed.append(
        PartitionSnapshot.ClosedWindows(
          window: row[0], definition: (row[1] as WholeText).text, through: row[2]))
    }
    return closed
  }

  /// The part a row of `window_parts` holds.
  static func windowPart(_ row: Row) throws -> WindowPart {
    WindowPart(
      window: row["window"], start: row["start"], end: row["end"],
      by: try WindowRowKeys.values(in: [UInt8](row["by_key"] as Data)), closed: row["closed"],
      state: [UInt8](row["state"] as Data), events: row["events"])
  }

  /// The state spaces of a partition with the definitions they belong to.
  static func spaces(_ identity: StatementArguments, from database: Database) throws -> [String: String] {
    var spaces: [String: String] = [:]
    try forEach("SELECT space, definition FROM state_spaces \(ofPartition)", identity, from: database) {
      spaces[$0[0]] = ($0[1] as WholeText).text
    }
    return spaces
  }

  private static func restoreStates(
    _ identity: StatementArguments, from database: Database
  ) throws -> [String: PartitionSnapshot.StoredState] {
    var states: [String: PartitionSnapshot.StoredState] = [:]
    for (space, definition) in try spaces(identity, from: database) {
      states[space] = PartitionSnapshot.StoredState(fingerprint: definition)
    }
    try forEach("SELECT space, key, value FROM state \(ofPartition) ORDER BY space, key", identity, from: database) {
      states[$0[0]]?.entries.append(StateEntry(key: [UInt8]($0[1] as Data), value: [UInt8]($0[2] as Data)))
    }
    return states
  }

  /// Single entries of a state space, in the order of their keys.
  static func state(
    of claim: Claim, in space: String, under keys: [[UInt8]], from database: Database
  ) throws -> [StateEntry] {
    let statement = try database.cachedStatement(
      sql: "SELECT value FROM state WHERE use_case = ? AND source = ? AND partition = ? AND space = ? AND key = ?")
    var entries: [StateEntry] = []
    for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      let identity: StatementArguments = [
        claim.useCase, claim.partition.source, claim.partition.number, space, Data(key),
      ]
      if let value = try Data.fetchOne(statement, arguments: identity) {
        entries.append(StateEntry(key: key, value: [UInt8](value)))
      }
    }
    return entries
  }

  private static func restoreDrift(_ identity: StatementArguments, from database: Database) throws -> [DriftCounts] {
    var drift: [DriftCounts] = []
    try forEach("SELECT * FROM drift \(ofPartition) ORDER BY detector, version, day", identity, from: database) {
      drift.append(try DriftCounts($0))
    }
    return drift
  }

  private static func restoreTails(_ identity: StatementArguments, from database: Database) throws -> [HistoryTail] {
    var tails: [HistoryTail] = []
    try forEach(
      "SELECT number, days, bytes FROM history_tails \(ofPartition) ORDER BY number", identity, from: database
    ) { row in
      tails.append(
        HistoryTail(number: row[0], days: try TailDays.parse(row[1]), bytes: [UInt8](row[2] as Data)))
    }
    return tails
  }

  /// All shards that the store lists for a use case, whatever their source: temporary and final path.
  static func shardPaths(useCase: String, from database: Database) throws -> [(temporary: String, final: String)] {
    var paths: [(temporary: String, final: String)] = []
    try forEach("SELECT temporary_path, path FROM history_shards WHERE use_case = ?", [useCase], from: database) {
      paths.append(($0[0], $0[1]))
    }
    return paths
  }
}
