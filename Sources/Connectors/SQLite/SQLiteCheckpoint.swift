// Writing a checkpoint into the store and reading back what a restart needs. Everything here runs inside one
// transaction of the caller.

import Detection
import Foundation
import GRDB
import Pipeline

/// One checkpoint on its way into the database.
struct SQLiteCheckpoint {
  /// Tables that hold rows of a use case.
  static let tables = [
    "partitions", "anomalies", "dead_letters", "window_parts", "state_spaces", "state", "history_shards",
    "history_tails", "activations", "configurations", "drift",
  ]

  private let checkpoint: Checkpoint
  private let database: Database
  /// Use case, source and partition: the beginning of every key.
  private let identity: [any DatabaseValueConvertible]

  init(_ checkpoint: Checkpoint, in database: Database) {
    self.checkpoint = checkpoint
    self.database = database
    identity = [checkpoint.useCase, checkpoint.partition.source, checkpoint.partition.number]
  }

  /// - Returns: paths of history files that no longer belong to the store.
  func write() throws -> [String] {
    try writePosition()
    try writeWindows()
    try writeStates()
    let removed = try writeHistory()
    try writeDrift()
    try removeExpired()
    return removed
  }

  private func execute(_ sql: String, _ values: [(any DatabaseValueConvertible)?]) throws {
    try database.cachedStatement(sql: sql).execute(arguments: StatementArguments(identity + values))
  }

  private func writePosition() throws {
    let totals = String(decoding: try Self.encoder.encode(checkpoint.totals), as: UTF8.self)
    try execute(
      """
      INSERT INTO partitions (use_case, source, partition, segment, offset, row, watermark, source_state, totals)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET segment = excluded.segment, offset = excluded.offset, row = excluded.row,
        watermark = excluded.watermark, source_state = excluded.source_state, totals = excluded.totals
      """,
      [
        checkpoint.position.segment, checkpoint.position.offset, checkpoint.position.row,
        checkpoint.watermark == .min ? nil : checkpoint.watermark, Data(checkpoint.sourceState), totals,
      ])
  }

  private func writeWindows() throws {
    for (window, definition) in checkpoint.leftWindows {
      try execute(
        """
        UPDATE window_parts SET closed = 1
        WHERE use_case = ? AND source = ? AND partition = ? AND window = ? AND closed = 0 AND definition = ?
        """, [window, try self.definition(definition)])
    }
    for (window, startsAfter) in checkpoint.windowsBeyond {
      try execute(
        """
        DELETE FROM window_parts
        WHERE use_case = ? AND source = ? AND partition = ? AND window = ? AND closed = 0 AND start > ?
        """, [window, startsAfter])
    }
    var insert = try RowStatement(
      """
      INSERT INTO window_parts (use_case, source, partition, window, start, by_key, end, closed, events, by_values,
        aggregates, classes, definition, state)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET end = excluded.end, closed = excluded.closed, events = excluded.events,
        by_values = excluded.by_values, aggregates = excluded.aggregates, classes = excluded.classes,
        state = excluded.state
      """, in: database)
    var current: WindowRowKeys?
    for row in checkpoint.windows {
      // Rows of one definition follow each other.
      let keys: WindowRowKeys
      if let current, current.definition == row.definition {
        keys = current
      } else {
        keys = WindowRowKeys(row, number: try definition(row.definition))
        current = keys
      }
      let part = row.part
      var key = ByteWriter()
      for value in part.by { key.write(scalar: value) }
      insert.bind(checkpoint.useCase, at: 1)
      insert.bind(checkpoint.partition.source, at: 2)
      insert.bind(Int64(checkpoint.partition.number), at: 3)
      insert.bind(part.window, at: 4)
      insert.bind(part.start, at: 5)
      insert.bind(blob: key.bytes, at: 6)
      insert.bind(part.end, at: 7)
      insert.bind(part.closed ? 1 : 0, at: 8)
      insert.bind(part.events, at: 9)
      insert.bindText(at: 10) { $0.appendJSONObject(keys.by, part.by) { $0.appendJSON($1) } }
      insert.bindText(at: 11) { $0.appendJSONObject(keys.aggregates, row.result.values) { $0.appendJSON($1) } }
      insert.bindText(at: 12) { $0.appendJSONObject(keys.classes, row.result.counts) { $0.appendJSON(.int($1)) } }
      insert.bind(keys.number, at: 13)
      insert.bind(blob: part.state, at: 14)
      try insert.execute()
    }
  }

  /// The number of a definition, which keeps its long text out of every row.
  private func definition(_ text: String) throws -> Int64 {
    try database.execute(sql: "INSERT OR IGNORE INTO window_definitions (text) VALUES (?)", arguments: [text])
    return try Int64.fetchOne(database, sql: "SELECT id FROM window_definitions WHERE text = ?", arguments: [text]) ?? 0
  }

  private func writeStates() throws {
    let stored = try Row.fetchAll(
      database,
      sql: "SELECT space, definition FROM state_spaces WHERE use_case = ? AND source = ? AND partition = ?",
      arguments: [checkpoint.useCase, checkpoint.partition.source, checkpoint.partition.number]
    ).reduce(into: [String: String]()) { $0[$1[0]] = $1[1] }
    let current = Set(checkpoint.states.map(\.name))
    for space in stored.keys where !current.contains(space) { try removeSpace(space) }
    for space in checkpoint.states {
      if stored[space.name] != space.fingerprint {
        try removeSpace(space.name)
        try execute(
          "INSERT INTO state_spaces (use_case, source, partition, space, definition) VALUES (?, ?, ?, ?, ?)",
          [space.name, space.fingerprint])
      }
      for key in space.changes.deletes {
        try execute(
          "DELETE FROM state WHERE use_case = ? AND source = ? AND partition = ? AND space = ? AND key = ?",
          [space.name, Data(key)])
      }
      for (key, value) in space.changes.puts {
        try execute(
          """
          INSERT INTO state (use_case, source, partition, space, key, value) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET value = excluded.value
          """, [space.name, Data(key), Data(value)])
      }
    }
  }

  private func removeSpace(_ space: String) throws {
    for table in ["state", "state_spaces"] {
      try execute("DELETE FROM \(table) WHERE use_case = ? AND source = ? AND partition = ? AND space = ?", [space])
    }
  }

  private func writeHistory() throws -> [String] {
    let changes = checkpoint.history
    if let below = changes.dropTailsBelow {
      try execute(
        "DELETE FROM history_tails WHERE use_case = ? AND source = ? AND partition = ? AND number < ?", [below])
    }
    if let tail = changes.addedTail {
      let days = JSONText.array(
        tail.days.map { JSONText.array([JSONText.string($0.day), String($0.rows)]) })
      try execute(
        "INSERT INTO history_tails (use_case, source, partition, number, rows, days, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [tail.number, tail.rows, days, Data(tail.bytes)])
    }
    for shard in changes.sealed {
      try execute(
        """
        INSERT INTO history_shards (use_case, source, partition, day, number, path, temporary_path, rows, bytes,
          first_time, last_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
          shard.day, shard.number, shard.path, shard.temporaryPath, shard.rows, shard.bytes, shard.firstTime,
          shard.lastTime,
        ])
    }
    guard let keepFrom = changes.keepFrom else { return [] }
    let expired = "FROM history_shards WHERE \(Self.ofThisOrPassed) AND day < ?5"
    let values: [(any DatabaseValueConvertible)?] = identity + [checkpoint.watermark, keepFrom]
    let arguments = StatementArguments(values)
    let paths = try String.fetchAll(database, sql: "SELECT path " + expired, arguments: arguments)
    if !paths.isEmpty { try database.execute(sql: "DELETE " + expired, arguments: arguments) }
    return paths
  }

  private func writeDrift() throws {
    for day in checkpoint.drift {
      try execute(
        """
        INSERT INTO drift (use_case, source, partition, detector, version, day, rows, counts)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET rows = excluded.rows, counts = excluded.counts
        """, [day.detector, day.version, day.day, day.rows, day.json])
    }
    guard let keepFrom = checkpoint.driftKeepFrom else { return }
    try execute("DELETE FROM drift WHERE \(Self.ofThisOrPassed) AND day < ?5", [checkpoint.watermark, keepFrom])
  }

  /// Rows of the partition, and of other sources whose watermark this one has passed: a source that is read no more
  /// (an earlier run's standard input) would otherwise keep what it has for ever. Parameters: identity and watermark.
  private static let ofThisOrPassed = """
    use_case = ?1 AND (source = ?2 AND partition = ?3 OR source <> ?2 AND source IN
      (SELECT source FROM partitions WHERE use_case = ?1 GROUP BY source HAVING max(coalesce(watermark, ?4)) <= ?4))
    """

  private func removeExpired() throws {
    for (window, startsBefore) in checkpoint.windowRetention {
      try execute(
        "DELETE FROM window_parts WHERE \(Self.ofThisOrPassed) AND window = ?5 AND start < ?6",
        [checkpoint.watermark, window, startsBefore])
    }
    guard let keepFrom = checkpoint.resultsKeepFrom else { return }
    for (table, time) in [("anomalies", "event_time"), ("dead_letters", "watermark")] {
      try execute(
        "DELETE FROM \(table) WHERE \(Self.ofThisOrPassed) AND \(time) < ?5", [checkpoint.watermark, keepFrom])
    }
  }

  private static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return encoder
  }
}

/// What the rows of one window definition have in common.
private struct WindowRowKeys {
  let definition: String
  /// Number of the definition in the store.
  let number: Int64
  /// Names as the members of JSON objects begin: quoted, with a colon.
  let by: [[UInt8]]
  let aggregates: [[UInt8]]
  let classes: [[UInt8]]

  init(_ row: Checkpoint.WindowRow, number: Int64) {
    definition = row.definition
    self.number = number
    by = row.byNames.map(JSONText.key)
    aggregates = row.result.names.aggregates.map(JSONText.key)
    classes = row.result.names.classes.map(JSONText.key)
  }
}

// MARK: - Restoring

extension SQLiteCheckpoint {
  /// What is stored of every partition of a source, and all shards the store lists for the use case.
  static func restore(
    useCase: String, source: String, from database: Database
  ) throws -> ([PartitionID: PartitionSnapshot], [HistoryShard]) {
    var snapshots: [PartitionID: PartitionSnapshot] = [:]
    let rows = try Row.fetchAll(
      database, sql: "SELECT * FROM partitions WHERE use_case = ? AND source = ?", arguments: [useCase, source])
    let shards = try Row.fetchAll(
      database, sql: "SELECT * FROM history_shards WHERE use_case = ?", arguments: [useCase]
    ).map { shard($0) }
    for row in rows {
      let partition = PartitionID(source: source, number: row["partition"])
      let identity: StatementArguments = [useCase, source, partition.number]
      let listed = try restoreShards(identity, from: database)
      var nextShard: [String: Int] = [:]
      for shard in listed { nextShard[shard.day] = max(nextShard[shard.day] ?? 0, shard.number + 1) }
      snapshots[partition] = PartitionSnapshot(
        position: Position(segment: row["segment"], offset: row["offset"], row: row["row"]),
        sourceState: [UInt8](row["source_state"] as Data),
        totals: try JSONDecoder().decode(Totals.self, from: Data((row["totals"] as String).utf8)),
        openWindows: try restoreWindows(identity, from: database),
        closedWindows: try restoreClosed(identity, from: database),
        states: try restoreStates(identity, from: database), tails: try restoreTails(identity, from: database),
        nextShard: nextShard, drift: try restoreDrift(identity, from: database))
    }
    return (snapshots, shards)
  }

  private static let ofPartition = "WHERE use_case = ? AND source = ? AND partition = ?"

  private static func restoreShards(_ identity: StatementArguments, from database: Database) throws -> [HistoryShard] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM history_shards \(ofPartition) ORDER BY day, number", arguments: identity
    ).map { shard($0) }
  }

  private static func shard(_ row: Row) -> HistoryShard {
    HistoryShard(
      day: row["day"], number: row["number"], rows: row["rows"], bytes: row["bytes"], firstTime: row["first_time"],
      lastTime: row["last_time"], temporaryPath: row["temporary_path"], path: row["path"])
  }

  private static func restoreWindows(
    _ identity: StatementArguments, from database: Database
  ) throws -> [(definition: String, part: WindowPart)] {
    try Row.fetchAll(
      database,
      sql: """
        SELECT p.*, d.text AS definition_text FROM window_parts p JOIN window_definitions d ON d.id = p.definition
        \(ofPartition) AND closed = 0 ORDER BY window, start, by_key
        """, arguments: identity
    ).map { row in (row["definition_text"], try windowPart(row)) }
  }

  /// Windows close in the order of their starts, so the latest closed one tells which ones are.
  private static func restoreClosed(
    _ identity: StatementArguments, from database: Database
  ) throws -> [(window: String, definition: String, through: Int64)] {
    try Row.fetchAll(
      database,
      sql: """
        SELECT p.window, d.text, max(p.start) FROM window_parts p JOIN window_definitions d ON d.id = p.definition
        \(ofPartition) AND closed = 1 GROUP BY p.window, p.definition
        """, arguments: identity
    ).map { ($0[0], $0[1], $0[2]) }
  }

  /// The part a row of `window_parts` holds.
  static func windowPart(_ row: Row) throws -> WindowPart {
    var by: [Scalar] = []
    var reader = ByteReader([UInt8](row["by_key"] as Data))
    while !reader.isAtEnd { by.append(try reader.readScalar()) }
    return WindowPart(
      window: row["window"], start: row["start"], end: row["end"], by: by, closed: row["closed"],
      state: [UInt8](row["state"] as Data), events: row["events"])
  }

  private static func restoreStates(
    _ identity: StatementArguments, from database: Database
  ) throws -> [String: (fingerprint: String, entries: [(key: [UInt8], value: [UInt8])])] {
    var states: [String: (fingerprint: String, entries: [(key: [UInt8], value: [UInt8])])] = [:]
    for row in try Row.fetchAll(
      database, sql: "SELECT space, definition FROM state_spaces \(ofPartition)", arguments: identity)
    { states[row[0]] = (row[1], []) }
    for row in try Row.fetchAll(
      database, sql: "SELECT space, key, value FROM state \(ofPartition) ORDER BY space, key", arguments: identity)
    { states[row[0]]?.entries.append(([UInt8](row[1] as Data), [UInt8](row[2] as Data))) }
    return states
  }

  private static func restoreDrift(_ identity: StatementArguments, from database: Database) throws -> [DriftCounts] {
    try Row.fetchAll(
      database, sql: "SELECT * FROM drift \(ofPartition) ORDER BY detector, version, day", arguments: identity
    ).map { try DriftCounts($0) }
  }

  private static func restoreTails(_ identity: StatementArguments, from database: Database) throws -> [HistoryTail] {
    let select = """
      SELECT t.number, d.value ->> 0 AS day, d.value ->> 1 AS rows, t.bytes FROM history_tails t, json_each(t.days) d
      \(ofPartition) ORDER BY t.number, d.key
      """
    var tails: [HistoryTail] = []
    for row in try Row.fetchAll(database, sql: select, arguments: identity) {
      let number: Int = row[0]
      if tails.last?.number != number {
        tails.append(HistoryTail(number: number, days: [], bytes: [UInt8](row[3] as Data)))
      }
      tails[tails.count - 1].days.append(HistoryTail.DayRows(day: row[1], rows: row[2]))
    }
    return tails
  }
}
