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
    "history_tails", "activations", "configurations", "drift", "retractions",
  ]

  private let checkpoint: Checkpoint
  private let database: Database
  private var held: HeldClaim
  /// Use case, source and partition: the beginning of every key.
  private let identity: [(any DatabaseValueConvertible)?]

  init(_ checkpoint: Checkpoint, under held: HeldClaim) {
    self.checkpoint = checkpoint
    self.held = held
    database = held.database
    identity = held.identity
  }

  /// - Returns: paths of history files that no longer belong to the store.
  mutating func write() throws -> [String] {
    try held.retractUnconfirmed(before: checkpoint.position, isLast: checkpoint.isLast)
    try writePosition()
    try writeWindows()
    try writeStates()
    let removed = try writeHistory()
    try writeDrift()
    try removeExpired()
    try held.finish()
    return removed
  }

  private func execute(_ sql: String, _ values: [(any DatabaseValueConvertible)?]) throws {
    try database.execute(sql, binding: identity + values)
  }

  private func writePosition() throws {
    let totals = try checkpoint.totals.storedText
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

  private mutating func writeWindows() throws {
    for left in checkpoint.leftWindows {
      try close(left.window, try definition(left.definition))
    }
    for space in checkpoint.states where space.name.hasPrefix(WindowSpace.prefix) {
      // What earlier versions had there is in the space now, and not there where it was discarded.
      try execute(
        """
        DELETE FROM window_parts
        WHERE use_case = ? AND source = ? AND partition = ? AND closed = 0 AND window = ?
          AND definition IN (SELECT id FROM window_definitions WHERE text = CAST(? AS TEXT))
        """, [String(space.name.dropFirst(WindowSpace.prefix.count)), WholeText(space.fingerprint)])
    }
    for key in checkpoint.removedWindows {
      try held.removeWindows(
        "window = ?4 AND start = ?5 AND by_key = ?6 AND definition = ?7",
        [key.window, key.start, Data(WindowRowKeys.bytes(of: key.by)), try definition(key.definition)])
    }
    var insert = try RowStatement(
      """
      INSERT INTO window_parts (use_case, source, partition, window, start, by_key, end, closed, events, by_values,
        aggregates, classes, definition, state, change)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET change = CASE WHEN closed = 1 AND (end, closed, events, aggregates, classes, state)
          IS (excluded.end, excluded.closed, excluded.events, excluded.aggregates, excluded.classes, excluded.state)
          THEN change ELSE excluded.change END,
        end = excluded.end, closed = excluded.closed, events = excluded.events,
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
      insert.bind(checkpoint.useCase, at: 1)
      insert.bind(checkpoint.partition.source, at: 2)
      insert.bind(Int64(checkpoint.partition.number), at: 3)
      insert.bind(part.window, at: 4)
      insert.bind(part.start, at: 5)
      insert.bind(blob: WindowRowKeys.bytes(of: part.by), at: 6)
      insert.bind(part.end, at: 7)
      insert.bind(part.closed ? 1 : 0, at: 8)
      insert.bind(part.events, at: 9)
      insert.bindText(at: 10) { $0.appendJSONObject(keys.by, part.by) }
      insert.bindText(at: 11) { $0.appendJSONObject(keys.aggregates, row.result.values) }
      insert.bindText(at: 12) { $0.appendJSONObject(keys.classes, counts: row.result.counts) }
      insert.bind(keys.number, at: 13)
      insert.bind(blob: part.state, at: 14)
      // An open window is no result yet.
      insert.bind(part.closed ? held.next() : 0, at: 15)
      try insert.execute()
    }
  }

  /// Closes the open parts of a definition that no longer applies: they become results as they are.
  private mutating func close(_ window: String, _ definition: Int64) throws {
    let rows = try Int64.fetchAll(
      database,
      sql: """
        SELECT rowid FROM window_parts
        WHERE use_case = ? AND source = ? AND partition = ? AND window = ? AND closed = 0 AND definition = ?
        ORDER BY start, by_key
        """, arguments: StatementArguments(identity + [window, definition]))
    for row in rows {
      try database.execute(
        "UPDATE window_parts SET closed = 1, change = ? WHERE rowid = ?", binding: [held.next(), row])
    }
  }

  /// The number of a definition, which keeps its long text out of every row.
  private func definition(_ text: String) throws -> Int64 {
    try database.execute("INSERT OR IGNORE INTO window_definitions (text) VALUES (?)", binding: [text])
    return try Int64.fetchOne(
      database, sql: "SELECT id FROM window_definitions WHERE text = CAST(? AS TEXT)", arguments: [WholeText(text)])
      ?? 0
  }

  private func writeStates() throws {
    let stored = try Self.spaces(
      [checkpoint.useCase, checkpoint.partition.source, checkpoint.partition.number], from: database)
    let current = Set(checkpoint.states.map(\.name))
    for space in stored.keys where !current.contains(space) { try removeSpace(space) }
    for space in checkpoint.states {
      if stored[space.name] != space.fingerprint {
        try removeSpace(space.name)
        try execute(
          "INSERT INTO state_spaces (use_case, source, partition, space, definition) VALUES (?, ?, ?, ?, ?)",
          [space.name, space.fingerprint])
        // Readers order windows by it.
        if space.name.hasPrefix(WindowSpace.prefix) { _ = try definition(space.fingerprint) }
      }
      for key in space.changes.deletes {
        try execute(
          "DELETE FROM state WHERE use_case = ? AND source = ? AND partition = ? AND space = ? AND key = ?",
          [space.name, Data(key)])
      }
      for entry in space.puts {
        try execute(
          """
          INSERT INTO state (use_case, source, partition, space, key, value) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET value = excluded.value
          """, [space.name, Data(entry.key), Data(entry.value)])
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
    for number in changes.droppedTails {
      try execute(
        "DELETE FROM history_tails WHERE use_case = ? AND source = ? AND partition = ? AND number = ?", [number])
    }
    for tail in changes.tails {
      try execute(
        """
        INSERT INTO history_tails (use_case, source, partition, number, rows, days, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET rows = excluded.rows, days = excluded.days, bytes = excluded.bytes
        """, [tail.number, tail.rows, TailDays.json(tail.days), Data(tail.bytes)])
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
    let paths = try String.fetchAll(database, sql: "SELECT path " + expired, arguments: StatementArguments(values))
    if !paths.isEmpty { try database.execute("DELETE " + expired, binding: values) }
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
    for retention in checkpoint.windowRetention {
      try removeOpenWindows(of: retention.window, startingBefore: retention.startsBefore)
      try execute(
        "DELETE FROM window_parts WHERE \(Self.ofThisOrPassed) AND window = ?5 AND start < ?6",
        [checkpoint.watermark, retention.window, retention.startsBefore])
      try execute(
        "DELETE FROM retractions WHERE \(Self.ofThisOrPassed) AND kind = 'window' AND name = ?5 AND time < ?6",
        [checkpoint.watermark, retention.window, retention.startsBefore])
    }
    guard let keepFrom = checkpoint.resultsKeepFrom else { return }
    for (table, time) in [("anomalies", "event_time"), ("dead_letters", "watermark")] {
      try execute(
        "DELETE FROM \(table) WHERE \(Self.ofThisOrPassed) AND \(time) < ?5", [checkpoint.watermark, keepFrom])
    }
    // Who has not seen one by now, has never heard of the result, or has been told of it when it was new.
    try execute(
      "DELETE FROM retractions WHERE \(Self.ofThisOrPassed) AND kind IN ('anomaly', 'dead_letter') AND time < ?5",
      [checkpoint.watermark, keepFrom])
  }

  /// Removes the open windows of sources that are read no more, once all of a partition start before a time.
  private func removeOpenWindows(of window: String, startingBefore bound: Int64) throws {
    let space = WindowSpace.prefix + window
    let spaces = try Row.fetchAll(
      database,
      sql: """
        SELECT source, partition FROM state_spaces
        WHERE \(Self.ofThisOrPassed) AND (source, partition) <> (?2, ?3) AND space = ?5
        """, arguments: StatementArguments(identity + [checkpoint.watermark, space]))
    for row in spaces {
      let other: [(any DatabaseValueConvertible)?] = [
        checkpoint.useCase, row[0] as String, row[1] as Int64, space,
      ]
      let isOfSpace = "use_case = ? AND source = ? AND partition = ? AND space = ?"
      let head = try Data.fetchOne(
        database, sql: "SELECT value FROM state WHERE \(isOfSpace) AND key = ?",
        arguments: StatementArguments(other + [Data(WindowSpace.headKey)]))
      guard let head, try WindowSpaceHead(from: [UInt8](head)).latestStart < bound else { continue }
      for table in ["state", "state_spaces"] {
        try database.execute("DELETE FROM \(table) WHERE \(isOfSpace)", binding: other)
      }
    }
  }
}
