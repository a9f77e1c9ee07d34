// Version 6 of the tables: results are changes with numbers, findings have a subject, people and routes may act.

extension SQLiteSchema {
  /// What is stored gets its numbers too, so that who follows changes from the beginning sees all of it.
  static let version6 = [
    // The subject is a part of the key.
    "ALTER TABLE anomalies RENAME TO anomalies_1",
    "DROP INDEX anomalies_by_time",
    "DROP INDEX anomalies_by_detector",
    "DROP INDEX anomalies_by_key",
    """
    CREATE TABLE anomalies (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
      segment INTEGER NOT NULL, offset INTEGER NOT NULL, detector TEXT NOT NULL, subject TEXT NOT NULL,
      row INTEGER NOT NULL, event_time INTEGER NOT NULL, key TEXT NOT NULL, score REAL NOT NULL,
      severity TEXT NOT NULL, reason TEXT NOT NULL, model TEXT, explanation TEXT NOT NULL, event TEXT NOT NULL,
      change INTEGER NOT NULL, epoch INTEGER NOT NULL,
      PRIMARY KEY (use_case, source, partition, segment, offset, detector, subject))
    """,
    """
    INSERT INTO anomalies SELECT use_case, source, partition, segment, offset, detector, '', row, event_time, key, score,
      severity, reason, model, explanation, event,
      row_number() OVER (PARTITION BY use_case, source, partition ORDER BY segment, offset, detector), 0
    FROM anomalies_1
    """,
    "DROP TABLE anomalies_1",
    "CREATE INDEX anomalies_by_time ON anomalies (use_case, event_time)",
    "CREATE INDEX anomalies_by_detector ON anomalies (use_case, detector, event_time)",
    "CREATE INDEX anomalies_by_key ON anomalies (use_case, key, event_time)",
    "CREATE INDEX anomalies_by_change ON anomalies (use_case, source, partition, change)",
    "ALTER TABLE dead_letters ADD COLUMN change INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE dead_letters ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    numbering(
      "dead_letters", order: "segment, offset", behind: ["anomalies"]),
    "CREATE INDEX dead_letters_by_change ON dead_letters (use_case, source, partition, change)",
    // Open windows have none: they are no results yet.
    "ALTER TABLE window_parts ADD COLUMN change INTEGER NOT NULL DEFAULT 0",
    numbering(
      "window_parts", order: "start, window, by_key, definition", behind: ["anomalies", "dead_letters"],
      where: "closed = 1"),
    """
    CREATE INDEX window_parts_by_change ON window_parts (use_case, source, partition, change) WHERE closed = 1
    """,
    """
    CREATE TABLE retractions (
      use_case TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, change INTEGER NOT NULL,
      kind TEXT NOT NULL, segment INTEGER, offset INTEGER, row INTEGER, name TEXT, subject TEXT NOT NULL, time INTEGER,
      by_key BLOB, definition INTEGER REFERENCES window_definitions (id),
      PRIMARY KEY (use_case, source, partition, change)) WITHOUT ROWID
    """,
    // By which the old ones go.
    "CREATE INDEX retractions_by_time ON retractions (use_case, time)",
    // Number of the last change; whether results of an earlier claim are still to be confirmed; up to which change
    // retractions have been forgotten.
    "ALTER TABLE claims ADD COLUMN changes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE claims ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE claims ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0",
    // Partitions of before version 5 were not claimed.
    """
    INSERT OR IGNORE INTO claims (use_case, source, partition, epoch)
    SELECT DISTINCT use_case, source, partition, 0 FROM (
      SELECT use_case, source, partition FROM anomalies
      UNION SELECT use_case, source, partition FROM dead_letters
      UNION SELECT use_case, source, partition FROM window_parts WHERE closed = 1)
    """,
    """
    UPDATE claims SET changes = max(
      \(last("anomalies", "claims")), \(last("dead_letters", "claims")), \(last("window_parts", "claims")))
    """,
  ]

  /// The last number that rows of a table have in the partition of a row of another one.
  private static func last(_ table: String, _ other: String) -> String {
    """
    coalesce((SELECT max(t.change) FROM \(table) t WHERE t.use_case = \(other).use_case AND t.source = \(other).source
      AND t.partition = \(other).partition\(table == "window_parts" ? " AND t.closed = 1" : "")), 0)
    """
  }

  /// Numbers the rows of a table behind those of others.
  private static func numbering(
    _ table: String, order: String, behind others: [String], where condition: String = "true"
  ) -> String {
    let first = others.map { last($0, "n") }.joined(separator: ", ")
    return """
      UPDATE \(table) SET change = n.number + \(others.count > 1 ? "max(\(first))" : first)
      FROM (SELECT rowid AS id, use_case, source, partition,
        row_number() OVER (PARTITION BY use_case, source, partition ORDER BY \(order)) AS number
        FROM \(table) WHERE \(condition)) AS n
      WHERE \(table).rowid = n.id
      """
  }
}
