// Writing a checkpoint into the store. Everything here runs inside one transaction of the caller, and may run again where
// nobody knows whether that was committed: what is there already is written over.

import Crypto
import Detection
import Pipeline

extension PostgreSQLTable {
  private static let ofWindow = "end_time, closed, events, aggregates, classes, state"

  static let windowParts = PostgreSQLTable(
    "window_parts",
    [
      Column("use_case", .text), Column("source", .text), Column("partition", .int), Column("window_name", .text),
      Column("start_time", .int), Column("by_key", .bytes), Column("end_time", .int), Column("closed", .bool),
      Column("events", .int), Column("by_values", .text), Column("aggregates", .text), Column("classes", .text),
      Column("definition", .int), Column("state", .bytes), Column("change", .int),
    ], key: ["use_case", "window_name", "start_time", "by_key", "definition", "source", "partition"],
    update: """
      change = CASE WHEN window_parts.closed AND \(isSame("window_parts", ofWindow)) THEN window_parts.change
        ELSE excluded.change END,
      \(take(ofWindow + ", by_values"))
      """)

  static let state = PostgreSQLTable(
    "state",
    [
      Column("use_case", .text), Column("source", .text), Column("partition", .int), Column("space", .text),
      Column("key", .bytes), Column("value", .bytes),
    ], key: ["use_case", "source", "partition", "space", "key"], update: take("value"))
}

/// One checkpoint on its way into the database.
struct PostgreSQLCheckpoint {
  /// Tables that hold rows of a use case.
  static let tables = [
    "partitions", "anomalies", "dead_letters", "window_parts", "state_spaces", "state", "history_shards",
    "history_tails", "activations", "configurations", "drift", "retractions",
  ]

  private let checkpoint: Checkpoint
  private let connection: PostgreSQLConnection
  private var held: PostgreSQLClaim
  /// Use case, source and partition: the beginning of every key.
  private let identity: [PostgreSQLValue]
  /// Numbers of definitions that were looked up.
  private var definitions: [String: Int64] = [:]

  init(_ checkpoint: Checkpoint, under held: PostgreSQLClaim) {
    self.checkpoint = checkpoint
    self.held = held
    connection = held.connection
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

  @discardableResult
  private func execute(_ sql: String, _ values: PostgreSQLValue...) throws -> Int {
    try connection.execute(sql, all: identity + values)
  }

  private func writePosition() throws {
    try execute(
      """
      INSERT INTO partitions (use_case, source, partition, segment, record_offset, record_row, watermark, source_state,
        totals)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
      ON CONFLICT (use_case, source, partition) DO UPDATE SET
        \(PostgreSQLTable.take("segment, record_offset, record_row, watermark, source_state, totals"))
      """, .int(checkpoint.position.segment), .int(checkpoint.position.offset), .int(checkpoint.position.row),
      .int(checkpoint.watermark == .min ? nil : checkpoint.watermark), .bytes(checkpoint.sourceState),
      .text(try checkpoint.totals.storedText))
  }

  private static let ofPartition = PostgreSQLClaim.ofPartition

  // MARK: Windows

  private mutating func writeWindows() throws {
    for left in checkpoint.leftWindows { try close(left.window, try definition(left.definition)) }
    for space in checkpoint.states where space.name.hasPrefix(WindowSpace.prefix) {
      // What an earlier version had there is in the space now, and not there where it was discarded.
      try execute(
        """
        DELETE FROM window_parts WHERE \(Self.ofPartition) AND NOT closed AND window_name = $4
          AND definition IN (SELECT id FROM window_definitions WHERE hash = $5)
        """, .text(String(space.name.dropFirst(WindowSpace.prefix.count))), .bytes(Self.hash(space.fingerprint)))
    }
    for key in checkpoint.removedWindows {
      try held.removeWindows(
        "window_name = $4 AND start_time = $5 AND by_key = $6 AND definition = $7",
        [
          .text(key.window), .int(key.start), .bytes(WindowRowKeys.bytes(of: key.by)),
          .int(try definition(key.definition)),
        ])
    }
    let table = PostgreSQLTable.windowParts
    var rows = PostgreSQLRowBuffer()
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
      append(row, keys, to: &rows)
      if PostgreSQLTable.isFull(rows) { try table.write(&rows, on: connection) }
    }
    try table.write(&rows, on: connection)
  }

  private mutating func append(
    _ row: Checkpoint.WindowRow, _ keys: WindowRowKeys, to rows: inout PostgreSQLRowBuffer
  ) {
    let part = row.part
    rows.beginRow(PostgreSQLTable.windowParts.columns.count)
    rows.append(checkpoint.useCase)
    rows.append(checkpoint.partition.source)
    rows.append(Int64(checkpoint.partition.number))
    rows.append(part.window)
    rows.append(part.start)
    rows.append(bytes: WindowRowKeys.bytes(of: part.by))
    rows.append(part.end)
    rows.append(part.closed)
    rows.append(part.events)
    rows.appendText { $0.appendJSONObject(keys.by, part.by) }
    rows.appendText { $0.appendJSONObject(keys.aggregates, row.result.values) }
    rows.appendText { $0.appendJSONObject(keys.classes, counts: row.result.counts) }
    rows.append(keys.number)
    rows.append(bytes: part.state)
    // An open window is no result yet.
    rows.append(part.closed ? held.next() : 0)
  }

  /// Closes the open parts of a definition that no longer applies: they become results as they are.
  private mutating func close(_ window: String, _ definition: Int64) throws {
    let closed = try execute(
      """
      UPDATE window_parts p SET closed = true, change = $6 + n.number
      FROM (SELECT start_time, by_key, row_number() OVER (ORDER BY start_time, by_key) AS number FROM window_parts
        WHERE \(Self.ofPartition) AND window_name = $4 AND definition = $5 AND NOT closed) n
      WHERE p.use_case = $1 AND p.source = $2 AND p.partition = $3 AND p.window_name = $4 AND p.definition = $5
        AND NOT p.closed AND (p.start_time, p.by_key) = (n.start_time, n.by_key)
      """, .text(window), .int(definition), .int(held.last))
    for _ in 0..<closed { _ = held.next() }
  }

  private static func hash(_ text: String) -> [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }

  /// The number of a definition, which keeps its long text out of every row.
  private mutating func definition(_ text: String) throws -> Int64 {
    if let known = definitions[text] { return known }
    let hash = Self.hash(text)
    func find() throws -> Int64? {
      try connection.rows("SELECT id FROM window_definitions WHERE hash = $1", .bytes(hash)).first?.int(0)
    }
    var number = try find()
    if number == nil {
      // Another process may be writing the same: this waits for it, and then finds its row.
      try connection.execute(
        "INSERT INTO window_definitions (hash, text) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING", .bytes(hash),
        .text(text))
      number = try find()
    }
    definitions[text] = number
    return number ?? 0
  }

  // MARK: State

  private mutating func writeStates() throws {
    let stored = try PostgreSQLRestore.spaces(identity, on: connection)
    let current = Set(checkpoint.states.map(\.name))
    for space in stored.keys where !current.contains(space) { try removeSpace(space) }
    let table = PostgreSQLTable.state
    var rows = PostgreSQLRowBuffer()
    for space in checkpoint.states {
      if stored[space.name] != space.fingerprint {
        try removeSpace(space.name)
        try execute(
          "INSERT INTO state_spaces (use_case, source, partition, space, definition) VALUES ($1, $2, $3, $4, $5)",
          .text(space.name), .text(space.fingerprint))
        // Readers order windows by it.
        if space.name.hasPrefix(WindowSpace.prefix) { _ = try definition(space.fingerprint) }
      }
      if !space.changes.deletes.isEmpty {
        try execute(
          "DELETE FROM state WHERE \(Self.ofPartition) AND space = $4 AND key = ANY($5)", .text(space.name),
          .byteLists(space.changes.deletes))
      }
      for entry in space.puts {
        rows.beginRow(table.columns.count)
        rows.append(checkpoint.useCase)
        rows.append(checkpoint.partition.source)
        rows.append(Int64(checkpoint.partition.number))
        rows.append(space.name)
        rows.append(bytes: entry.key)
        rows.append(bytes: entry.value)
        if PostgreSQLTable.isFull(rows) { try table.write(&rows, on: connection) }
      }
    }
    try table.write(&rows, on: connection)
  }

  private func removeSpace(_ space: String) throws {
    for table in ["state", "state_spaces"] {
      try execute("DELETE FROM \(table) WHERE \(Self.ofPartition) AND space = $4", .text(space))
    }
  }

  // MARK: History and drift

  private func writeHistory() throws -> [String] {
    let changes = checkpoint.history
    if !changes.droppedTails.isEmpty {
      try execute(
        "DELETE FROM history_tails WHERE \(Self.ofPartition) AND number = ANY($4)",
        .ints(changes.droppedTails.map { Int64($0) }))
    }
    for tail in changes.tails {
      try execute(
        """
        INSERT INTO history_tails (use_case, source, partition, number, rows, days, bytes)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (use_case, source, partition, number) DO UPDATE SET \(PostgreSQLTable.take("rows, days, bytes"))
        """, .int(tail.number), .int(tail.rows), .text(TailDays.json(tail.days)), .bytes(tail.bytes))
    }
    for shard in changes.sealed {
      try execute(
        """
        INSERT INTO history_shards (use_case, source, partition, day, number, path, temporary_path, rows, bytes,
          first_time, last_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (use_case, source, partition, day, number) DO UPDATE SET
          \(PostgreSQLTable.take("path, temporary_path, rows, bytes, first_time, last_time"))
        """, .text(shard.day), .int(shard.number), .text(shard.path), .text(shard.temporaryPath), .int(shard.rows),
        .int(shard.bytes), .int(shard.firstTime), .int(shard.lastTime))
    }
    guard let keepFrom = changes.keepFrom else { return [] }
    return try connection.rows(
      "DELETE FROM history_shards WHERE \(Self.ofThisOrPassed) AND day < $5 RETURNING path",
      all: identity + [.int(checkpoint.watermark), .text(keepFrom)]
    ).map { $0.text(0) }
  }

  private func writeDrift() throws {
    for day in checkpoint.drift {
      try execute(
        """
        INSERT INTO drift (use_case, source, partition, detector, version, day, rows, counts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (use_case, source, partition, detector, version, day) DO UPDATE SET
          \(PostgreSQLTable.take("rows, counts"))
        """, .text(day.detector), .text(day.version), .int(day.day), .int(day.rows), .text(day.json))
    }
    guard let keepFrom = checkpoint.driftKeepFrom else { return }
    try execute(
      "DELETE FROM drift WHERE \(Self.ofThisOrPassed) AND day < $5", .int(checkpoint.watermark), .int(keepFrom))
  }

  // MARK: Retention

  /// Rows of the partition, and of other sources whose watermark this one has passed: a source that is read no more
  /// (an earlier run's standard input) would otherwise keep what it has for ever. Parameters: identity and watermark.
  private static let ofThisOrPassed = """
    use_case = $1 AND (source = $2 AND partition = $3 OR source <> $2 AND source IN
      (SELECT source FROM partitions WHERE use_case = $1 GROUP BY source HAVING max(coalesce(watermark, $4)) <= $4))
    """

  private func removeExpired() throws {
    let watermark = PostgreSQLValue.int(checkpoint.watermark)
    for retention in checkpoint.windowRetention {
      let (window, bound) = (PostgreSQLValue.text(retention.window), PostgreSQLValue.int(retention.startsBefore))
      try removeOpenWindows(of: retention.window, startingBefore: retention.startsBefore)
      try execute(
        "DELETE FROM window_parts WHERE \(Self.ofThisOrPassed) AND window_name = $5 AND start_time < $6", watermark,
        window, bound)
      try execute(
        "DELETE FROM retractions WHERE \(Self.ofThisOrPassed) AND kind = 'window' AND name = $5 AND time < $6",
        watermark, window, bound)
    }
    guard let keepFrom = checkpoint.resultsKeepFrom else { return }
    for (table, time) in [("anomalies", "event_time"), ("dead_letters", "watermark")] {
      try execute("DELETE FROM \(table) WHERE \(Self.ofThisOrPassed) AND \(time) < $5", watermark, .int(keepFrom))
    }
    // Who has not seen one by now, has never heard of the result, or has been told of it when it was new.
    try execute(
      "DELETE FROM retractions WHERE \(Self.ofThisOrPassed) AND kind IN ('anomaly', 'dead_letter') AND time < $5",
      watermark, .int(keepFrom))
  }

  /// Removes the open windows of sources that are read no more, once all of a partition start before a time.
  private func removeOpenWindows(of window: String, startingBefore bound: Int64) throws {
    let space = WindowSpace.prefix + window
    let spaces = try connection.rows(
      """
      SELECT source, partition FROM state_spaces
      WHERE \(Self.ofThisOrPassed) AND (source, partition) <> ($2, $3) AND space = $5
      """, all: identity + [.int(checkpoint.watermark), .text(space)])
    for row in spaces {
      let other: [PostgreSQLValue] = [
        .text(checkpoint.useCase), .text(row.text(0)), .int(row.int(1)), .text(space),
      ]
      let isOfSpace = "\(Self.ofPartition) AND space = $4"
      let head = try connection.rows(
        "SELECT value FROM state WHERE \(isOfSpace) AND key = $5", all: other + [.bytes(WindowSpace.headKey)]
      ).first?.bytes(0)
      guard let head, try WindowSpaceHead(from: head).latestStart < bound else { continue }
      for table in ["state", "state_spaces"] {
        try connection.execute("DELETE FROM \(table) WHERE \(isOfSpace)", all: other)
      }
    }
  }
}
