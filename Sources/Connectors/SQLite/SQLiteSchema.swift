// The tables of the embedded store and how older ones become newer. Version and meaning of every table are described in
// docs/store.md. Times are microseconds since 1970-01-01 00:00 UTC.

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
      try database.execute(sql: "DROP VIEW windows")
      try database.execute(sql: windowsView2)
    }
    return migrator
  }

  /// Refuses a store that a newer version has migrated: what its tables mean is not known here.
  /// - Throws: `OperatingError`.
  static func refuseNewer(_ database: Database, in directory: DataDirectory) throws {
    guard try migrator.hasBeenSuperseded(database) else { return }
    throw OperatingError(
      .store,
      "the store \(directory.databasePath) was made by a newer version of pulse. Use that version, or choose another "
        + "--data")
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
      PRIMARY KEY (use_case, window, start, by_key, definition, source, partition))
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

  /// The same, but parts of several definitions of a window are not added up: each definition has its row.
  private static let windowsView2 = windowsView + ", definition"
}
