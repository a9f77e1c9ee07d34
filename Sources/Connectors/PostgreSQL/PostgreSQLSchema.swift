// The tables of the store in PostgreSQL and how older ones become newer. Their meaning is that of the embedded store
// (docs/store.md); names that SQL reserves are others (docs/postgresql.md). Times are microseconds since 1970-01-01 00:00 UTC,
// because an event may be of any time, which the server's own type cannot say. Texts are ordered by their bytes.

import Detection

enum PostgreSQLSchema {
  /// Statements by version, oldest first. A released one never changes.
  private static let versions = [version1]

  /// The version that this program knows.
  static var known: Int { versions.count }

  /// The version that the tables have; 0 where there are none.
  static func version(_ connection: PostgreSQLConnection) throws -> Int {
    let isThere = try connection.rows("SELECT to_regclass('pulse_schema') IS NOT NULL").first?.bool(0)
    guard isThere == true else { return 0 }
    return try connection.rows("SELECT max(version) FROM pulse_schema").first?.count(0) ?? 0
  }

  /// Makes the tables, or brings them up to date. Several processes that begin together do so one after another; runs of an
  /// older version go on meanwhile.
  static func migrate(_ connection: PostgreSQLConnection, at address: PostgreSQLAddress) throws {
    if try check(version(connection), at: address) { return }
    try connection.transaction { connection in
      // The server's tables are those of all processes, so the lock is the server's too.
      _ = try connection.rows(
        "SELECT pg_advisory_xact_lock(hashtext('pulse schema'), hashtext($1))", .text(address.schema))
      try connection.script("CREATE SCHEMA IF NOT EXISTS \(PostgreSQLConnection.quoted(address.schema))")
      let found = try version(connection)
      if try check(found, at: address) { return }
      try connection.script(
        """
        CREATE TABLE IF NOT EXISTS pulse_schema (
          version bigint PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())
        """)
      for (index, statements) in versions.enumerated().dropFirst(found) {
        for statement in statements { try connection.script(statement) }
        try connection.execute("INSERT INTO pulse_schema (version) VALUES ($1)", .int(index + 1))
      }
    }
  }

  /// - Returns: whether the tables are those of this program.
  /// - Throws: `OperatingError` where a later one has changed them: they may mean something else.
  private static func check(_ found: Int, at address: PostgreSQLAddress) throws -> Bool {
    if found <= known { return found == known }
    throw OperatingError(
      .store,
      "the store \(address.place) was written by a newer version of pulse: its tables have version \(found), expected at "
        + "most \(known). Use that version of pulse, or another store")
  }

  /// Refuses a database without tables, or with those of a later program.
  static func checkForReading(_ connection: PostgreSQLConnection, at address: PostgreSQLAddress) throws {
    let found = try version(connection)
    _ = try check(found, at: address)
    if found == 0 {
      throw OperatingError(
        .store,
        "there is no store of pulse at \(address.place) (schema \(address.schema)). Check the address, or create one with "
          + "`pulse run`")
    }
  }

  /// Writes texts as `text` and bytes as `bytes` where a table's columns say so.
  private static func table(_ name: String, _ columns: String, key: String) -> String {
    let columns = columns.replacing("TEXT", with: PostgreSQLType.text.sql).replacing(
      "INT", with: PostgreSQLType.int.sql)
    return "CREATE TABLE \(name) (\(columns), PRIMARY KEY (\(key)))"
  }

  private static let place = "use_case TEXT NOT NULL, source TEXT NOT NULL, partition INT NOT NULL"

  private static let version1: [String] =
    results + state + actions

  private static let results = [
    table(
      "anomalies",
      """
      \(place), segment INT NOT NULL, record_offset INT NOT NULL, detector TEXT NOT NULL, subject TEXT NOT NULL,
      record_row INT NOT NULL, event_time INT NOT NULL, key TEXT NOT NULL, score double precision NOT NULL,
      severity TEXT NOT NULL, reason TEXT NOT NULL, model TEXT, explanation TEXT NOT NULL, event TEXT NOT NULL,
      change INT NOT NULL, epoch INT NOT NULL
      """, key: "use_case, source, partition, segment, record_offset, detector, subject"),
    // One for each filter of a list, along which the list goes on.
    "CREATE INDEX anomalies_by_time ON anomalies (use_case, event_time)",
    "CREATE INDEX anomalies_by_detector ON anomalies (use_case, detector, event_time)",
    "CREATE INDEX anomalies_by_key ON anomalies (use_case, key, event_time)",
    "CREATE INDEX anomalies_by_severity ON anomalies (use_case, severity, event_time)",
    "CREATE INDEX anomalies_by_score ON anomalies (use_case, score)",
    "CREATE INDEX anomalies_by_change ON anomalies (use_case, source, partition, change)",
    table(
      "dead_letters",
      """
      \(place), segment INT NOT NULL, record_offset INT NOT NULL, record_row INT NOT NULL, watermark INT,
      stage TEXT NOT NULL, reason TEXT NOT NULL, field TEXT, message TEXT NOT NULL, raw bytea NOT NULL,
      length INT NOT NULL, sha256 bytea, envelope TEXT, change INT NOT NULL, epoch INT NOT NULL
      """, key: "use_case, source, partition, segment, record_offset"),
    "CREATE INDEX dead_letters_by_time ON dead_letters (use_case, watermark DESC NULLS LAST)",
    "CREATE INDEX dead_letters_by_reason ON dead_letters (use_case, reason, watermark DESC NULLS LAST)",
    "CREATE INDEX dead_letters_by_change ON dead_letters (use_case, source, partition, change)",
    // By the SHA-256 of the text, which may be longer than a row of an index.
    table(
      "window_definitions",
      "id bigint GENERATED ALWAYS AS IDENTITY, hash bytea NOT NULL UNIQUE, text TEXT NOT NULL", key: "id"),
    table(
      "window_parts",
      """
      \(place), window_name TEXT NOT NULL, start_time INT NOT NULL, by_key bytea NOT NULL, end_time INT NOT NULL,
      closed boolean NOT NULL, events INT NOT NULL, by_values TEXT NOT NULL, aggregates TEXT NOT NULL,
      classes TEXT NOT NULL, definition INT NOT NULL REFERENCES window_definitions (id), state bytea NOT NULL,
      change INT NOT NULL
      """, key: "use_case, window_name, start_time, by_key, definition, source, partition"),
    "CREATE INDEX window_parts_open ON window_parts (use_case, source, partition) WHERE NOT closed",
    "CREATE INDEX window_parts_by_change ON window_parts (use_case, source, partition, change) WHERE closed",
    // As far as SQL can merge; `pulse windows` merges sketches too.
    """
    CREATE VIEW windows AS
    SELECT use_case, window_name, start_time, end_time, bool_and(closed) AS closed, by_values, sum(events) AS events,
      count(*) AS parts, CASE count(*) WHEN 1 THEN max(aggregates) END AS aggregates,
      CASE count(*) WHEN 1 THEN max(classes) END AS classes, definition
    FROM window_parts GROUP BY use_case, window_name, start_time, end_time, by_key, by_values, definition
    """,
    table(
      "retractions",
      """
      \(place), change INT NOT NULL, kind TEXT NOT NULL, segment INT, record_offset INT, record_row INT, name TEXT,
      subject TEXT NOT NULL, time INT, by_key bytea, definition INT REFERENCES window_definitions (id), key TEXT
      """, key: "use_case, source, partition, change"),
    "CREATE INDEX retractions_by_time ON retractions (use_case, time)",
  ]

  private static let state = [
    // Number of the last change; whether results of an earlier claim are still to be confirmed; up to which change retractions
    // have been forgotten.
    table(
      "claims",
      """
      \(place), epoch INT NOT NULL, changes INT NOT NULL DEFAULT 0, unconfirmed boolean NOT NULL DEFAULT false,
      forgotten INT NOT NULL DEFAULT 0
      """, key: "use_case, source, partition"),
    // These are written with every checkpoint: room in each page, so that a new version of a row needs no index entries.
    "ALTER TABLE claims SET (fillfactor = 50)",
    table(
      "partitions",
      """
      \(place), segment INT NOT NULL, record_offset INT NOT NULL, record_row INT NOT NULL, watermark INT,
      source_state bytea NOT NULL, totals TEXT NOT NULL
      """, key: "use_case, source, partition"),
    "ALTER TABLE partitions SET (fillfactor = 50)",
    table(
      "state_spaces", "\(place), space TEXT NOT NULL, definition TEXT NOT NULL",
      key: "use_case, source, partition, space"),
    table(
      "state", "\(place), space TEXT NOT NULL, key bytea NOT NULL, value bytea NOT NULL",
      key: "use_case, source, partition, space, key"),
    // Packed already where it is large.
    "ALTER TABLE state ALTER COLUMN value SET STORAGE EXTERNAL",
    table(
      "history_shards",
      """
      \(place), day TEXT NOT NULL, number INT NOT NULL, path TEXT NOT NULL, temporary_path TEXT NOT NULL,
      rows INT NOT NULL, bytes INT NOT NULL, first_time INT NOT NULL, last_time INT NOT NULL
      """, key: "use_case, source, partition, day, number"),
    table(
      "history_tails", "\(place), number INT NOT NULL, rows INT NOT NULL, days TEXT NOT NULL, bytes bytea NOT NULL",
      key: "use_case, source, partition, number"),
    table(
      "activations",
      """
      sequence bigint GENERATED ALWAYS AS IDENTITY, \(place), segment INT NOT NULL, record_offset INT NOT NULL,
      record_row INT NOT NULL, kind TEXT NOT NULL, detector TEXT, version TEXT NOT NULL
      """, key: "sequence"),
    "CREATE INDEX activations_by_partition ON activations (use_case, source, partition)",
    table(
      "configurations", "use_case TEXT NOT NULL, version TEXT NOT NULL, text TEXT NOT NULL", key: "use_case, version"),
    table(
      "drift",
      """
      \(place), detector TEXT NOT NULL, version TEXT NOT NULL, day INT NOT NULL, rows INT NOT NULL, counts TEXT NOT NULL
      """, key: "use_case, source, partition, detector, version, day"),
    table("runs", "name TEXT NOT NULL, count INT NOT NULL", key: "name"),
  ]

  private static let actions = [
    table(
      "feedback",
      """
      use_case TEXT NOT NULL, finding TEXT NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, time INT NOT NULL,
      note TEXT NOT NULL
      """, key: "use_case, finding, who"),
    table(
      "mutes",
      """
      number bigint GENERATED ALWAYS AS IDENTITY, use_case TEXT, detector TEXT, key TEXT, until INT NOT NULL,
      who TEXT NOT NULL, why TEXT NOT NULL, time INT NOT NULL, lifted INT, lifted_by TEXT
      """, key: "number"),
    "CREATE INDEX mutes_by_end ON mutes (until)",
    table(
      "audit",
      """
      number bigint GENERATED ALWAYS AS IDENTITY, time INT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
      subject TEXT NOT NULL, details TEXT NOT NULL
      """, key: "number"),
    // Who owns the table can drop it; nobody changes a line by mistake.
    """
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
    """,
    """
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
    table(
      "jobs",
      """
      number bigint GENERATED ALWAYS AS IDENTITY, kind TEXT NOT NULL, arguments TEXT NOT NULL, key TEXT,
      state TEXT NOT NULL, who TEXT NOT NULL, created INT NOT NULL, worker TEXT, attempts INT NOT NULL DEFAULT 0,
      leased_until INT, progress double precision NOT NULL DEFAULT 0, ended INT, outcome TEXT
      """, key: "number"),
    "CREATE INDEX jobs_to_do ON jobs (number) WHERE state IN ('waiting', 'running', 'cancelling')",
    table("inboxes", "name TEXT NOT NULL, first INT NOT NULL, next INT NOT NULL, bytes INT NOT NULL", key: "name"),
    table(
      "inbox_records",
      "inbox TEXT NOT NULL, number INT NOT NULL, record bytea NOT NULL, envelope TEXT, origin TEXT",
      key: "inbox, number"),
    table(
      "inbox_keys",
      """
      inbox TEXT NOT NULL, key TEXT NOT NULL, first INT NOT NULL, count INT NOT NULL, time INT NOT NULL, digest bytea
      """, key: "inbox, key"),
    "CREATE INDEX inbox_keys_by_time ON inbox_keys (inbox, time)",
    table("outboxes", "name TEXT NOT NULL, cursor TEXT NOT NULL, kept TEXT NOT NULL DEFAULT ''", key: "name"),
  ]
}
