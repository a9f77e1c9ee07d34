// The tables of the embedded store and how older ones become newer. Version and meaning of every table are described in
// docs/store.md. Times are microseconds since 1970-01-01 00:00 UTC.

import Detection
import GRDB
import Pipeline

enum SQLiteSchema {
  /// The migrations, oldest first. A released one never changes.
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      for statement in version1 { try database.execute(sql: statement) }
    }
    migrator.registerMigration("2") { database in
      for statement in version2 { try database.execute(sql: statement) }
    }
    migrator.registerMigration("3") { database in
      for statement in version3 { try database.execute(sql: statement) }
    }
    migrator.registerMigration("4") { database in
      for statement in version4 { try database.execute(sql: statement) }
    }
    migrator.registerMigration("5") { database in
      for statement in version5 { try database.execute(sql: statement) }
    }
    migrator.registerMigration("6") { database in
      for statement in version6 + actions { try database.execute(sql: statement) }
    }
    // Open windows are in segments of the state. Earlier programs would not see them; those that are rows are moved by the
    // next run.
    migrator.registerMigration("7") { _ in }
    // Outgoing sinks keep what they have taken from the changes and not delivered yet.
    migrator.registerMigration("8") { database in
      try database.execute(sql: "ALTER TABLE outboxes ADD COLUMN kept TEXT NOT NULL DEFAULT ''")
      // What tells whether a key comes again with the same records; and by which old keys go.
      try database.execute(sql: "ALTER TABLE inbox_keys ADD COLUMN digest BLOB")
      try database.execute(sql: "CREATE INDEX inbox_keys_by_time ON inbox_keys (inbox, time)")
    }
    // What a log keeps beside a record that became a dead letter.
    migrator.registerMigration("9") { database in
      try database.execute(sql: "ALTER TABLE dead_letters ADD COLUMN envelope TEXT")
    }
    // The entity of a finding that was taken back, under which others have filed it.
    migrator.registerMigration("10") { database in
      try database.execute(sql: "ALTER TABLE retractions ADD COLUMN key TEXT")
    }
    // What a log kept beside a record that is handed in again, and where it came from.
    migrator.registerMigration("11") { database in
      try database.execute(sql: "ALTER TABLE inbox_records ADD COLUMN envelope TEXT")
      try database.execute(sql: "ALTER TABLE inbox_records ADD COLUMN origin TEXT")
    }
    return migrator
  }

  /// Whether a run has made the tables of a store.
  static func hasTables(_ database: Database) throws -> Bool {
    try database.tableExists("partitions") && database.tableExists("activations")
  }

  /// Refuses a file with the tables of something else, and a store that a later version of the program has migrated: its
  /// tables may mean something else.
  /// - Throws: `OperatingError` that names the versions.
  static func check(_ database: Database, in directory: DataDirectory) throws {
    // A run that was ended before it had made them leaves none, or the list of migrations alone.
    let others = try Int.fetchOne(
      database,
      sql: "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'grdb_%' AND name NOT LIKE 'sqlite_%'")
    if try !hasTables(database), (others ?? 0) > 0 {
      throw OperatingError(
        .store,
        "\(directory.databasePath) is a SQLite file, but no store of pulse: it has other tables. Choose another --data")
    }
    let known = migrator.migrations
    guard try migrator.hasBeenSuperseded(database) else { return }
    let found = try migrator.appliedIdentifiers(database).subtracting(known).sorted().joined(separator: ", ")
    throw OperatingError(
      .store,
      "the store \(directory.databasePath) was written by a newer version of pulse: its tables have version \(found), "
        + "expected at most \(known.last ?? "none"). Use that version of pulse, or another --data")
  }

  private static let version1 = [
    """
    CREATE TABLE partitions (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      segment INTEGER NOT NULL, offset INTEGER NOT NULL, row INTEGER NOT NULL,
      watermark INTEGER, source_state BLOB NOT NULL, totals TEXT NOT NULL,
      PRIMARY KEY (use_case, source, partition)) WITHOUT ROWID
    """,
    """
    CREATE TABLE anomalies (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      segment INTEGER NOT NULL, offset INTEGER NOT NULL, detector TEXT NOT NULL,
      row INTEGER NOT NULL, event_time INTEGER NOT NULL, key TEXT NOT NULL, score REAL NOT NULL,
      severity TEXT NOT NULL, reason TEXT NOT NULL, model TEXT, explanation TEXT NOT NULL, event TEXT NOT NULL,
      PRIMARY KEY (use_case, source, partition, segment, offset, detector))
    """,
    "CREATE INDEX anomalies_by_time ON anomalies (use_case, event_time)",
    "CREATE INDEX anomalies_by_detector ON anomalies (use_case, detector, event_time)",
    "CREATE INDEX anomalies_by_key ON anomalies (use_case, key, event_time)",
    """
    CREATE TABLE dead_letters (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      segment INTEGER NOT NULL, offset INTEGER NOT NULL, row INTEGER NOT NULL,
      watermark INTEGER, stage TEXT NOT NULL, reason TEXT NOT NULL, field TEXT, message TEXT NOT NULL,
      raw BLOB NOT NULL, length INTEGER NOT NULL, sha256 BLOB,
      PRIMARY KEY (use_case, source, partition, segment, offset))
    """,
    "CREATE INDEX dead_letters_by_time ON dead_letters (use_case, watermark)",
    """
    CREATE TABLE window_parts (
      use_case TEXT NOT NULL, window TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      start INTEGER NOT NULL, by_key BLOB NOT NULL, end INTEGER NOT NULL, closed INTEGER NOT NULL,
      events INTEGER NOT NULL, by_values TEXT NOT NULL, aggregates TEXT NOT NULL, classes TEXT NOT NULL,
      definition INTEGER NOT NULL REFERENCES window_definitions (id), state BLOB NOT NULL,
      PRIMARY KEY (use_case, window, start, by_key, source, partition))
    """,
    "CREATE TABLE window_definitions (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    """
    CREATE INDEX window_parts_open ON window_parts (use_case, source, partition) WHERE closed = 0
    """,
    """
    CREATE TABLE state_spaces (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, space TEXT NOT NULL,
      definition TEXT NOT NULL,
      PRIMARY KEY (use_case, source, partition, space)) WITHOUT ROWID
    """,
    """
    CREATE TABLE state (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, space TEXT NOT NULL,
      key BLOB NOT NULL, value BLOB NOT NULL,
      PRIMARY KEY (use_case, source, partition, space, key))
    """,
    """
    CREATE TABLE history_shards (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      day TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, temporary_path TEXT NOT NULL,
      rows INTEGER NOT NULL, bytes INTEGER NOT NULL, first_time INTEGER NOT NULL, last_time INTEGER NOT NULL,
      PRIMARY KEY (use_case, source, partition, day, number)) WITHOUT ROWID
    """,
    """
    CREATE TABLE history_tails (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      day TEXT NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL, bytes BLOB NOT NULL,
      PRIMARY KEY (use_case, source, partition, day, number))
    """,
    """
    CREATE TABLE activations (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      segment INTEGER NOT NULL, offset INTEGER NOT NULL, row INTEGER NOT NULL,
      kind TEXT NOT NULL, version TEXT NOT NULL)
    """,
    "CREATE INDEX activations_by_partition ON activations (use_case, source, partition)",
    "CREATE TABLE configurations (use_case TEXT NOT NULL, version TEXT NOT NULL, text TEXT NOT NULL, "
      + "PRIMARY KEY (use_case, version)) WITHOUT ROWID",
    "CREATE TABLE runs (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    windowsView,
  ]

  /// Tails hold rows of several days: `days` is a JSON array of [day, rows], in the order of the rows.
  private static let version2 = [
    "ALTER TABLE history_tails RENAME TO history_tails_1",
    """
    CREATE TABLE history_tails (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      number INTEGER NOT NULL, rows INTEGER NOT NULL, days TEXT NOT NULL, bytes BLOB NOT NULL,
      PRIMARY KEY (use_case, source, partition, number))
    """,
    """
    INSERT INTO history_tails (use_case, source, partition, number, rows, days, bytes)
    SELECT use_case, source, partition,
      row_number() OVER (PARTITION BY use_case, source, partition ORDER BY day, number) - 1, rows,
      json_array(json_array(day, rows)), bytes
    FROM history_tails_1
    """,
    "DROP TABLE history_tails_1",
  ]

  /// Windows with the parts of all partitions merged, as far as SQL can: counts, sums, minima and maxima. What needs the
  /// sketches or moments (quantiles, distinct counts, averages, deviations, first and last) is exact where one partition
  /// holds the window and NULL where several do; `pulse windows` merges those too.
  private static let windowsView = """
    CREATE VIEW windows AS
    SELECT use_case, window, start, end, min(closed) AS closed, by_values, sum(events) AS events,
      count(*) AS parts,
      CASE count(*) WHEN 1 THEN max(aggregates) END AS aggregates,
      CASE count(*) WHEN 1 THEN max(classes) END AS classes
    FROM window_parts GROUP BY use_case, window, start, by_key
    """

  /// A window that is defined anew leaves the rows of the old definition alone: the definition is part of the key, and the
  /// view has a row for each.
  private static let version3 = [
    "DROP VIEW windows",
    "ALTER TABLE window_parts RENAME TO window_parts_1",
    """
    CREATE TABLE window_parts (
      use_case TEXT NOT NULL, window TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      start INTEGER NOT NULL, by_key BLOB NOT NULL, end INTEGER NOT NULL, closed INTEGER NOT NULL,
      events INTEGER NOT NULL, by_values TEXT NOT NULL, aggregates TEXT NOT NULL, classes TEXT NOT NULL,
      definition INTEGER NOT NULL REFERENCES window_definitions (id), state BLOB NOT NULL,
      PRIMARY KEY (use_case, window, start, by_key, definition, source, partition))
    """,
    """
    INSERT INTO window_parts SELECT use_case, window, source, partition, start, by_key, end, closed, events, by_values,
      aggregates, classes, definition, state FROM window_parts_1
    """,
    "DROP TABLE window_parts_1",
    "CREATE INDEX window_parts_open ON window_parts (use_case, source, partition) WHERE closed = 0",
    windowsView + ", definition",
  ]

  /// Models: whose activation it is, and what their events looked like. `day` counts from 1970-01-01 UTC.
  private static let version4 = [
    "ALTER TABLE activations ADD COLUMN detector TEXT",
    """
    CREATE TABLE drift (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, detector TEXT NOT NULL,
      version TEXT NOT NULL, day INTEGER NOT NULL, rows INTEGER NOT NULL, counts TEXT NOT NULL,
      PRIMARY KEY (use_case, source, partition, detector, version, day))
    """,
  ]

  /// Who may write a partition: the claim with the epoch that stands here.
  private static let version5 = [
    """
    CREATE TABLE claims (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, epoch INTEGER NOT NULL,
      PRIMARY KEY (use_case, source, partition)) WITHOUT ROWID
    """
  ]
}
