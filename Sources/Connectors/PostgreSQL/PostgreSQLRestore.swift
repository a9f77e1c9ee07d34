// Reading back what a restart needs. Rows come one after another: what a restart holds is what the run needs, and one row of
// the store.

import Detection
import Pipeline

enum PostgreSQLRestore {
  private static let ofPartition = PostgreSQLClaim.ofPartition

  /// What is stored of a partition; nil where nothing is.
  static func restore(
    useCase: String, _ partition: PartitionID, on connection: PostgreSQLConnection
  ) throws -> PartitionSnapshot? {
    let identity: [PostgreSQLValue] = [.text(useCase), .text(partition.source), .int(partition.number)]
    let row = try connection.rows(
      "SELECT segment, record_offset, record_row, source_state, totals FROM partitions WHERE \(ofPartition)",
      all: identity
    ).first
    guard let row else { return nil }
    var snapshot = PartitionSnapshot(
      position: row.position(0), sourceState: row.bytes(3), totals: try Totals(storedText: row.text(4)),
      openWindows: try windows(identity, on: connection), closedWindows: try closed(identity, on: connection),
      states: try states(identity, on: connection), tails: try tails(identity, on: connection),
      nextShard: try nextShards(identity, on: connection), drift: try drift(identity, on: connection))
    snapshot.configurations = try PostgreSQLView(connection).configurations(of: useCase)
    return snapshot
  }

  private static func nextShards(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> [String: Int] {
    var next: [String: Int] = [:]
    let rows = try connection.rows(
      "SELECT day, max(number) + 1 FROM history_shards WHERE \(ofPartition) GROUP BY day", all: identity)
    for row in rows { next[row.text(0)] = row.count(1) }
    return next
  }

  private static func windows(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> StoredWindows {
    // The long texts of definitions are read once, not with every row.
    var definitions: [Int64: String] = [:]
    for row in try connection.rows("SELECT id, text FROM window_definitions") { definitions[row.int(0)] = row.text(1) }
    var windows = StoredWindows()
    try connection.forEach(
      """
      SELECT window_name, start_time, end_time, by_key, closed, state, events, definition FROM window_parts
      WHERE \(ofPartition) AND NOT closed ORDER BY window_name, start_time, by_key
      """, all: identity
    ) { row in
      // One without a definition is of none that applies.
      windows.append(try row.windowPart(0), definition: definitions[row.int(7)] ?? "")
    }
    return windows
  }

  /// Windows close in the order of their starts, so the latest closed one tells which ones are.
  private static func closed(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> [PartitionSnapshot.ClosedWindows] {
    try connection.rows(
      """
      SELECT p.window_name, d.text, p.through FROM (
        SELECT window_name, definition, max(start_time) AS through FROM window_parts
        WHERE \(ofPartition) AND closed GROUP BY window_name, definition) p
      JOIN window_definitions d ON d.id = p.definition ORDER BY p.window_name, p.definition
      """, all: identity
    ).map { PartitionSnapshot.ClosedWindows(window: $0.text(0), definition: $0.text(1), through: $0.int(2)) }
  }

  /// The state spaces of a partition with the definitions they belong to.
  static func spaces(_ identity: [PostgreSQLValue], on connection: PostgreSQLConnection) throws -> [String: String] {
    var spaces: [String: String] = [:]
    let rows = try connection.rows("SELECT space, definition FROM state_spaces WHERE \(ofPartition)", all: identity)
    for row in rows { spaces[row.text(0)] = row.text(1) }
    return spaces
  }

  private static func states(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> [String: PartitionSnapshot.StoredState] {
    var states: [String: PartitionSnapshot.StoredState] = [:]
    for (space, definition) in try spaces(identity, on: connection) {
      states[space] = PartitionSnapshot.StoredState(fingerprint: definition)
    }
    try connection.forEach(
      "SELECT space, key, value FROM state WHERE \(ofPartition) ORDER BY space, key", all: identity
    ) { row in
      states[row.text(0)]?.entries.append(StateEntry(key: row.bytes(1), value: row.bytes(2)))
    }
    return states
  }

  /// Single entries of a state space, in the order of their keys.
  static func state(
    of claim: Claim, in space: String, under keys: [[UInt8]], on connection: PostgreSQLConnection
  ) throws -> [StateEntry] {
    try connection.rows(
      "SELECT key, value FROM state WHERE \(ofPartition) AND space = $4 AND key = ANY($5) ORDER BY key",
      .text(claim.useCase), .text(claim.partition.source), .int(claim.partition.number), .text(space),
      .byteLists(keys)
    ).map { StateEntry(key: $0.bytes(0), value: $0.bytes(1)) }
  }

  private static func drift(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> [DriftCounts] {
    try connection.rows(
      """
      SELECT detector, version, day, rows, counts FROM drift WHERE \(ofPartition) ORDER BY detector, version, day
      """, all: identity
    ).map { try $0.driftCounts(0) }
  }

  private static func tails(
    _ identity: [PostgreSQLValue], on connection: PostgreSQLConnection
  ) throws -> [HistoryTail] {
    var tails: [HistoryTail] = []
    try connection.forEach(
      "SELECT number, days, bytes FROM history_tails WHERE \(ofPartition) ORDER BY number", all: identity
    ) { tails.append(try $0.historyTail(0)) }
    return tails
  }

  /// All shards that the store lists for a use case, whatever their source: temporary and final path.
  static func shardPaths(
    useCase: String, on connection: PostgreSQLConnection
  ) throws -> [(temporary: String, final: String)] {
    try connection.rows("SELECT temporary_path, path FROM history_shards WHERE use_case = $1", .text(useCase))
      .map { ($0.text(0), $0.text(1)) }
  }
}

extension PostgreSQLRow {
  /// A part of a window whose name, start, end, key, whether it is closed, state and events begin at a column.
  func windowPart(_ column: Int32) throws -> WindowPart {
    WindowPart(
      window: text(column), start: int(column + 1), end: int(column + 2),
      by: try WindowRowKeys.values(in: bytes(column + 3)), closed: bool(column + 4), state: bytes(column + 5),
      events: int(column + 6))
  }

  /// Counts whose detector, version, day, rows and bins begin at a column.
  func driftCounts(_ column: Int32) throws -> DriftCounts {
    try DriftCounts(
      detector: text(column), version: text(column + 1), day: int(column + 2), rows: count(column + 3),
      counts: text(column + 4))
  }

  /// A tail whose number, days and bytes begin at a column.
  func historyTail(_ column: Int32) throws -> HistoryTail {
    HistoryTail(number: count(column), days: try TailDays.parse(text(column + 1)), bytes: bytes(column + 2))
  }
}
