// What people and routes write into the embedded store: on a connection of its own, beside a run of this or another
// process, which keeps the directory locked. SQLite lets one of them write at a time; each transaction is short.

import Detection
import Foundation
import GRDB
public import Pipeline

/// The actions of a data directory.
public final class SQLiteActions: Actions {
  private let directory: DataDirectory
  private let queue: DatabaseQueue

  /// Opens the store of a directory, or makes one where there is none yet.
  /// - Throws: `OperatingError` where it cannot be written, or where an older version of the program is using it.
  public init(in directory: DataDirectory) throws {
    self.directory = directory
    try directory.create()
    try directory.checkDatabaseFile()
    queue = try SQLiteStore.reportingTrouble(in: directory) {
      var configuration = Configuration()
      configuration.journalMode = .wal
      configuration.label = "pulse-actions"
      configuration.busyMode = .timeout(10)
      configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
      let queue = try DatabaseQueue(path: directory.databasePath, configuration: configuration)
      try queue.read { try SQLiteSchema.check($0, in: directory) }
      try Self.prepareTables(of: queue, in: directory)
      return queue
    }
  }

  /// How long others may take to make the tables.
  private static let patience = Duration.seconds(10)

  /// Makes the tables or brings them up to date, unless another process is about to: it has the directory then, as a run has
  /// when it begins. An older run has it for as long as it goes on, and its tables stay as they are.
  private static func prepareTables(of queue: DatabaseQueue, in directory: DataDirectory) throws {
    let end = ContinuousClock.now + patience
    while try queue.read({ try !SQLiteSchema.migrator.hasCompletedMigrations($0) }) {
      do {
        let lock = try directory.lock(patience: .milliseconds(20))
        try withExtendedLifetime(lock) { try SQLiteSchema.migrator.migrate(queue) }
      } catch let taken as OperatingError {
        if ContinuousClock.now > end { throw taken }
      }
    }
  }

  /// One transaction, off the cooperative pool.
  func write<Value: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws -> Value {
    do {
      return try await queue.writeWithoutTransaction { database in
        var value: Value?
        try database.inTransaction(.immediate) {
          value = try body(database)
          return .commit
        }
        guard let value else { throw DatabaseError(message: "the transaction gave no value") }
        return value
      }
    } catch { throw SQLiteStore.operatingError(error, in: directory) }
  }

  func read<Value: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws -> Value {
    do { return try await queue.read(body) } catch { throw SQLiteStore.operatingError(error, in: directory) }
  }

  // MARK: Feedback

  public func record(_ feedback: [Feedback], noting line: AuditLine) async throws {
    try await write { database in
      for one in feedback {
        try database.execute(
          """
          INSERT INTO feedback (use_case, finding, who, verdict, time, note) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET verdict = excluded.verdict, time = excluded.time, note = excluded.note
          """, binding: [one.useCase, one.finding, one.who, one.verdict.rawValue, one.time, one.note])
      }
      _ = try Self.append(line, to: database)
    }
  }

  public func feedback(on finding: String, of useCase: String) async throws -> [Feedback] {
    try await read { database in
      try Self.all(
        database, "SELECT who, verdict, time, note FROM feedback WHERE use_case = ? AND finding = ? ORDER BY who",
        [useCase, finding]
      ) { row in
        Feedback(
          useCase: useCase, finding: finding, verdict: Feedback.Verdict(rawValue: row[1]) ?? .unsure,
          who: (row[0] as WholeText).text, time: row[2], note: (row[3] as WholeText).text)
      }
    }
  }

  public func feedback(of useCase: String) async throws -> [Feedback] {
    try await read { database in
      try Self.all(
        database,
        "SELECT who, verdict, time, note, finding FROM feedback WHERE use_case = ? ORDER BY finding, time, who",
        [useCase]
      ) { row in
        Feedback(
          useCase: useCase, finding: (row[4] as WholeText).text,
          verdict: Feedback.Verdict(rawValue: row[1]) ?? .unsure, who: (row[0] as WholeText).text, time: row[2],
          note: (row[3] as WholeText).text)
      }
    }
  }

  public func withdraw(_ feedback: [Feedback], noting line: AuditLine) async throws -> Int {
    try await write { database in
      var count = 0
      for one in feedback {
        try database.execute(
          "DELETE FROM feedback WHERE use_case = ? AND finding = ? AND who = ?",
          binding: [one.useCase, one.finding, one.who])
        count += database.changesCount
      }
      if count > 0 { _ = try Self.append(line, to: database) }
      return count
    }
  }

  /// The rows of a query, each read while it is at hand: texts whole.
  static func all<Value>(
    _ database: Database, _ sql: String, _ arguments: StatementArguments, _ make: (Row) throws -> Value
  ) throws -> [Value] {
    let rows = try Row.fetchCursor(database, sql: sql, arguments: arguments)
    var values: [Value] = []
    while let row = try rows.next() { values.append(try make(row)) }
    return values
  }

  // MARK: Mutes

  public func add(_ mute: Mute) async throws -> Int64 {
    try mute.check()
    return try await write { database in
      try database.execute(
        """
        INSERT INTO mutes (use_case, detector, key, until, who, why, time) VALUES (?, ?, ?, ?, ?, ?, ?)
        """, binding: [mute.useCase, mute.detector, mute.key, mute.until, mute.who, mute.why, mute.time])
      return database.lastInsertedRowID
    }
  }

  public func liftMute(_ number: Int64, by who: String, at time: Int64) async throws -> Bool {
    try await write { database in
      try database.execute(
        """
        UPDATE mutes SET lifted = ?1, lifted_by = ?2 WHERE number = ?3 AND time <= ?1 AND until > ?1 AND lifted IS NULL
        """, binding: [time, who, number])
      return database.changesCount > 0
    }
  }

  public func mutes(at time: Int64) async throws -> [NumberedMute] {
    try await read { database in
      try Self.all(
        database,
        """
        SELECT number, use_case, detector, key, until, who, why, time FROM mutes
        WHERE time <= ?1 AND until > ?1 AND (lifted IS NULL OR lifted > ?1) ORDER BY number
        """, [time]
      ) { row in
        NumberedMute(
          number: row[0],
          mute: Mute(
            useCase: row[1], detector: row[2], key: (row[3] as WholeText?)?.text, until: row[4],
            who: (row[5] as WholeText).text, why: (row[6] as WholeText).text, time: row[7]))
      }
    }
  }

  // MARK: Audit

  public func append(_ line: AuditLine) async throws -> Int64 {
    try await write { try Self.append(line, to: $0) }
  }

  private static func append(_ line: AuditLine, to database: Database) throws -> Int64 {
    try database.execute(
      "INSERT INTO audit (time, who, action, subject, details) VALUES (?, ?, ?, ?, ?)",
      binding: [line.time, line.who, line.action, line.subject, line.details])
    return database.lastInsertedRowID
  }

  public func auditLines(before number: Int64?, limit: Int) async throws -> [NumberedAuditLine] {
    try await read { database in
      try Self.all(
        database,
        """
        SELECT number, time, who, action, subject, details FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?
        """, [number ?? Int64.max, limit]
      ) { row in
        NumberedAuditLine(
          number: row[0],
          line: AuditLine(
            time: row[1], who: (row[2] as WholeText).text, action: (row[3] as WholeText).text,
            subject: (row[4] as WholeText).text, details: (row[5] as WholeText).text))
      }
    }
  }

  // MARK: Jobs

  private static func job(_ row: Row) -> Job {
    Job(
      number: row["number"], kind: (row["kind"] as WholeText).text, arguments: (row["arguments"] as WholeText).text,
      key: (row["key"] as WholeText?)?.text, state: Job.State(rawValue: row["state"]) ?? .failed,
      who: (row["who"] as WholeText).text, created: row["created"], worker: (row["worker"] as WholeText?)?.text,
      attempts: row["attempts"], leasedUntil: row["leased_until"], progress: row["progress"], ended: row["ended"],
      outcome: (row["outcome"] as WholeText?)?.text)
  }

  private static func job(_ number: Int64, in database: Database) throws -> Job? {
    try all(database, "SELECT * FROM jobs WHERE number = ?", [number], job).first
  }

  public func createJob(
    _ kind: String, arguments: String, key: String?, by who: String, at time: Int64
  ) async throws -> Job {
    try await write { database in
      if let key {
        let underWay = try Self.all(
          database,
          """
          SELECT * FROM jobs WHERE key = CAST(? AS TEXT) AND state IN ('waiting', 'running', 'cancelling')
          """, [WholeText(key)], Self.job)
        if let underWay = underWay.first { return underWay }
      }
      try database.execute(
        "INSERT INTO jobs (kind, arguments, key, state, who, created) VALUES (?, ?, ?, 'waiting', ?, ?)",
        binding: [kind, arguments, key, who, time])
      return Job(
        number: database.lastInsertedRowID, kind: kind, arguments: arguments, key: key, state: .waiting, who: who,
        created: time)
    }
  }

  public func job(_ number: Int64) async throws -> Job? { try await read { try Self.job(number, in: $0) } }

  public func jobs(before number: Int64?, limit: Int) async throws -> [Job] {
    try await read { database in
      try Self.all(
        database, "SELECT * FROM jobs WHERE number < ? ORDER BY number DESC LIMIT ?", [number ?? Int64.max, limit],
        Self.job)
    }
  }

  public func claimJob(_ kinds: [String], worker: String, at time: Int64, until: Int64) async throws -> Job? {
    try await write { database in
      try database.execute(
        "UPDATE jobs SET state = 'cancelled', ended = ?1 WHERE state = 'cancelling' AND leased_until <= ?1",
        binding: [time])
      let values: [(any DatabaseValueConvertible)?] = [time] + kinds.map { WholeText($0) }
      let marks = kinds.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")
      let number = try Int64.fetchOne(
        database,
        sql: """
          SELECT number FROM jobs WHERE (state = 'waiting' OR state = 'running' AND leased_until <= ?)
            AND kind IN (\(marks)) ORDER BY number LIMIT 1
          """, arguments: StatementArguments(values))
      guard let number else { return nil }
      try database.execute(
        """
        UPDATE jobs SET state = 'running', worker = ?, attempts = attempts + 1, leased_until = ? WHERE number = ?
        """, binding: [worker, until, number])
      return try Self.job(number, in: database)
    }
  }

  private static let ofWorker = "number = ?1 AND worker = ?2 AND state IN ('running', 'cancelling')"

  public func reportProgress(
    of number: Int64, worker: String, progress: Double, until: Int64
  ) async throws -> Job.State? {
    try await write { database in
      try database.execute(
        "UPDATE jobs SET progress = ?3, leased_until = ?4 WHERE \(Self.ofWorker)",
        binding: [number, worker, min(max(progress, 0), 1), until])
      return database.changesCount > 0 ? try Self.job(number, in: database)?.state : nil
    }
  }

  public func finishJob(
    _ number: Int64, worker: String, as state: Job.Ending, outcome: String, at time: Int64
  ) async throws -> Bool {
    try await write { database in
      try database.execute(
        """
        UPDATE jobs SET state = ?3, outcome = ?4, ended = ?5, leased_until = NULL,
          progress = CASE ?3 WHEN 'finished' THEN 1 ELSE progress END WHERE \(Self.ofWorker)
        """, binding: [number, worker, state.rawValue, outcome, time])
      return database.changesCount > 0
    }
  }

  public func cancelJob(_ number: Int64, at time: Int64) async throws -> Job.State? {
    try await write { database in
      try database.execute(
        """
        UPDATE jobs SET state = 'cancelled', ended = ?2
        WHERE number = ?1 AND (state = 'waiting' OR state IN ('running', 'cancelling') AND leased_until <= ?2)
        """, binding: [number, time])
      try database.execute(
        "UPDATE jobs SET state = 'cancelling' WHERE number = ? AND state = 'running'", binding: [number])
      return try Self.job(number, in: database)?.state
    }
  }

  // MARK: Inbox

  public func handIn(
    _ records: [HandedRecord], to inbox: String, key: String?, at time: Int64
  ) async throws -> HandedIn {
    try await write { database in
      let digest = key.map { _ in HandedIn.digest(of: records) }
      if let key, let known = try Self.known(key, of: inbox, digest, records.count, in: database) { return known }
      let state = try Self.state(of: inbox, in: database)
      let bytes = records.reduce(Int64(0)) { $0 + Int64($1.size) }
      guard state.bytes == 0 || state.bytes + bytes <= Limits.maxInboxBytes else {
        throw OperatingError(
          .limit,
          "the inbox \(inbox) is full: \(state.bytes >> 20) MB wait, at most \(Limits.maxInboxBytes >> 20) MB may. Hand "
            + "the records in again when it has been read")
      }
      var insert = try RowStatement(
        "INSERT INTO inbox_records (inbox, number, record, envelope, origin) VALUES (?, ?, ?, ?, ?)", in: database)
      for (index, record) in records.enumerated() {
        insert.bind(inbox, at: 1)
        insert.bind(state.next + Int64(index), at: 2)
        insert.bind(blob: record.bytes, at: 3)
        insert.bind(record.envelope?.json, at: 4)
        insert.bind(record.origin, at: 5)
        try insert.execute()
      }
      try database.execute(
        """
        INSERT INTO inboxes (name, first, next, bytes) VALUES (?, 0, ?, ?)
        ON CONFLICT DO UPDATE SET next = excluded.next, bytes = excluded.bytes
        """, binding: [inbox, state.next + Int64(records.count), state.bytes + bytes])
      if let key, let digest {
        try database.execute(
          "INSERT INTO inbox_keys (inbox, key, first, count, time, digest) VALUES (?, ?, ?, ?, ?, ?)",
          binding: [inbox, key, state.next, records.count, time, Data(digest)])
      }
      return HandedIn(first: state.next, count: records.count, isRepeated: false)
    }
  }

  /// What was handed in under a key; nil where it is new.
  /// - Parameters:
  ///   - digest: of the records that come now.
  ///   - count: of them: that is all that version 7 of the tables knew.
  private static func known(
    _ key: String, of inbox: String, _ digest: [UInt8]?, _ count: Int, in database: Database
  ) throws -> HandedIn? {
    try all(
      database, "SELECT first, count, digest FROM inbox_keys WHERE inbox = CAST(? AS TEXT) AND key = CAST(? AS TEXT)",
      [WholeText(inbox), WholeText(key)]
    ) { row in
      let known = (row[2] as Data?).map { [UInt8]($0) }
      return HandedIn(
        first: row[0], count: row[1], isRepeated: true,
        isSame: row[1] as Int == count && (known == nil || known == digest))
    }.first
  }

  public func records(of inbox: String, from number: Int64, limit: Int, bytes: Int) async throws -> [InboxRecord] {
    try await read { database in
      var (records, size): ([InboxRecord], Int) = ([], 0)
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT number, record, envelope, origin FROM inbox_records WHERE inbox = CAST(? AS TEXT) AND number >= ?
          ORDER BY number LIMIT ?
          """, arguments: [WholeText(inbox), number, limit])
      while size < bytes || records.isEmpty, let row = try rows.next() {
        let envelope = (row[2] as WholeText?).flatMap { RecordEnvelope(json: $0.text) }
        let record = HandedRecord(
          [UInt8](row[1] as Data), envelope: envelope, origin: (row[3] as WholeText?)?.text)
        size += record.size
        records.append(InboxRecord(number: row[0], record))
      }
      return records
    }
  }

  public func acknowledge(_ inbox: String, before number: Int64, at time: Int64) async throws {
    try await write { database in
      let state = try Self.state(of: inbox, in: database)
      let first = min(max(number, state.first), state.next)
      try database.execute(
        """
        UPDATE inboxes SET first = ?2, bytes = bytes
          - (SELECT coalesce(sum(length(record) + coalesce(length(CAST(envelope AS BLOB)), 0)), 0)
            FROM inbox_records WHERE inbox = ?1 AND number < ?2)
        WHERE name = ?1
        """, binding: [inbox, first])
      try database.execute("DELETE FROM inbox_records WHERE inbox = ? AND number < ?", binding: [inbox, first])
      try database.execute(
        "DELETE FROM inbox_keys WHERE inbox = ? AND first + count <= ? AND time < ?",
        binding: [inbox, first, time - Limits.inboxKeyLifetime])
    }
  }

  public func state(of inbox: String) async throws -> InboxState {
    try await read { try Self.state(of: inbox, in: $0) }
  }

  private static func state(of inbox: String, in database: Database) throws -> InboxState {
    try all(
      database, "SELECT first, next, bytes FROM inboxes WHERE name = CAST(? AS TEXT)", [WholeText(inbox)]
    ) { InboxState(first: $0[0], next: $0[1], bytes: $0[2]) }.first ?? InboxState()
  }
}
