// The tables of `Actions` and of outgoing sinks, a part of version 6.

extension SQLiteSchema {
  static let actions = [
    """
    CREATE TABLE feedback (
      use_case TEXT NOT NULL, finding TEXT NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, time INTEGER NOT NULL,
      note TEXT NOT NULL,
      PRIMARY KEY (use_case, finding, who)) WITHOUT ROWID
    """,
    """
    CREATE TABLE mutes (
      number INTEGER PRIMARY KEY AUTOINCREMENT, use_case TEXT, detector TEXT, key TEXT, until INTEGER NOT NULL,
      who TEXT NOT NULL, why TEXT NOT NULL, time INTEGER NOT NULL, lifted INTEGER, lifted_by TEXT)
    """,
    "CREATE INDEX mutes_by_end ON mutes (until)",
    """
    CREATE TABLE audit (
      number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
      subject TEXT NOT NULL, details TEXT NOT NULL)
    """,
    // Who can write the file can drop them; nobody changes a line by mistake.
    """
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only');
    END
    """,
    """
    CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only');
    END
    """,
    """
    CREATE TABLE jobs (
      number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, arguments TEXT NOT NULL, key TEXT,
      state TEXT NOT NULL, who TEXT NOT NULL, created INTEGER NOT NULL, worker TEXT, attempts INTEGER NOT NULL DEFAULT 0,
      leased_until INTEGER, progress REAL NOT NULL DEFAULT 0, ended INTEGER, outcome TEXT)
    """,
    """
    CREATE INDEX jobs_to_do ON jobs (number) WHERE state IN ('waiting', 'running', 'cancelling')
    """,
    "CREATE TABLE inboxes (name TEXT PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL, bytes INTEGER NOT NULL) "
      + "WITHOUT ROWID",
    """
    CREATE TABLE inbox_records (
      inbox TEXT NOT NULL, number INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (inbox, number))
    """,
    """
    CREATE TABLE inbox_keys (
      inbox TEXT NOT NULL, key TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, time INTEGER NOT NULL,
      PRIMARY KEY (inbox, key)) WITHOUT ROWID
    """,
    "CREATE TABLE outboxes (name TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID",
  ]
}
