// What people and routes write into the store: beside runs of this process and of others. Where two could decide the same thing
// at once, one waits for the other by a lock of the server's that ends with the transaction.

import Detection
import Pipeline

/// The actions of a store in a database.
final class PostgreSQLActions: Actions {
  private let address: PostgreSQLAddress
  private let pool: PostgreSQLPool

  /// Transactions at a time.
  private static let sessions = 4
  /// A person waits for what is written here: it is tried so often while the server is away.
  private static let tries = 4

  /// Opens the store, and makes its tables where there are none yet.
  /// - Throws: `OperatingError`.
  init(at address: PostgreSQLAddress) throws {
    self.address = address
    do {
      let connection = try PostgreSQLConnection(address, role: .writing)
      try PostgreSQLSchema.migrate(connection, at: address)
    } catch let failure as PostgreSQLFailure { throw failure.operatingError(at: address.place) }
    pool = PostgreSQLPool(address, role: .writing, most: Self.sessions)
  }

  /// One transaction. Where the connection is lost at its commit it is not tried again: it may have been committed.
  func write<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLConnection) throws -> Value
  ) async throws -> Value {
    try await trying { [pool] in try await pool.run { try $0.transaction(body) } }
  }

  func read<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLConnection) throws -> Value
  ) async throws -> Value {
    try await trying { [pool] in try await pool.run(body) }
  }

  private func trying<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
    var backoff = Backoff()
    while true {
      do { return try await body() } catch let failure as PostgreSQLFailure {
        if failure.isUncertain {
          throw OperatingError(
            .store,
            "the store \(address.place): the connection was lost while something was written, and nobody knows whether it "
              + "was (\(failure)). Look before you try again")
        }
        let isPassing = failure.kind == .away || failure.kind == .conflict
        let delay = backoff.next()
        guard isPassing, backoff.attempts < Self.tries else { throw failure.operatingError(at: address.place) }
        try await Task.sleep(for: delay)
      } catch { throw PostgreSQLStore.operatingError(error, at: address) }
    }
  }

  /// Waits until no other transaction holds the lock of this name; the transaction holds it then.
  static func lock(_ name: String, on connection: PostgreSQLConnection) throws {
    _ = try connection.rows("SELECT pg_advisory_xact_lock(hashtext('pulse actions'), hashtext($1))", .text(name))
  }

  // MARK: Feedback

  func record(_ feedback: [Feedback], noting line: AuditLine) async throws {
    try await write { connection in
      for one in feedback {
        try connection.execute(
          """
          INSERT INTO feedback (use_case, finding, who, verdict, time, note) VALUES ($1, $2, $3, $4, $5, $6)
          ON CONFLICT (use_case, finding, who) DO UPDATE SET \(PostgreSQLTable.take("verdict, time, note"))
          """, .text(one.useCase), .text(one.finding), .text(one.who), .text(one.verdict.rawValue), .int(one.time),
          .text(one.note))
      }
      _ = try Self.append(line, on: connection)
    }
  }

  private static let feedback = "use_case, finding, verdict, who, time, note"

  private static func feedback(_ row: PostgreSQLRow) -> Feedback {
    Feedback(
      useCase: row.text(0), finding: row.text(1), verdict: Feedback.Verdict(rawValue: row.text(2)) ?? .unsure,
      who: row.text(3), time: row.int(4), note: row.text(5))
  }

  func feedback(on finding: String, of useCase: String) async throws -> [Feedback] {
    try await read { connection in
      try connection.rows(
        "SELECT \(Self.feedback) FROM feedback WHERE use_case = $1 AND finding = $2 ORDER BY who", .text(useCase),
        .text(finding)
      ).map(Self.feedback)
    }
  }

  func feedback(of useCase: String) async throws -> [Feedback] {
    try await read { connection in
      try connection.rows(
        "SELECT \(Self.feedback) FROM feedback WHERE use_case = $1 ORDER BY finding, time, who", .text(useCase)
      ).map(Self.feedback)
    }
  }

  func withdraw(_ feedback: [Feedback], noting line: AuditLine) async throws -> Int {
    try await write { connection in
      var count = 0
      for one in feedback {
        count += try connection.execute(
          "DELETE FROM feedback WHERE use_case = $1 AND finding = $2 AND who = $3", .text(one.useCase),
          .text(one.finding), .text(one.who))
      }
      if count > 0 { _ = try Self.append(line, on: connection) }
      return count
    }
  }

  // MARK: Mutes

  func add(_ mute: Mute) async throws -> Int64 {
    try mute.check()
    return try await write { connection in
      try connection.rows(
        """
        INSERT INTO mutes (use_case, detector, key, until, who, why, time) VALUES ($1, $2, $3, $4, $5, $6, $7)
        RETURNING number
        """, .text(mute.useCase), .text(mute.detector), .text(mute.key), .int(mute.until), .text(mute.who),
        .text(mute.why), .int(mute.time)
      ).first?.int(0) ?? 0
    }
  }

  func liftMute(_ number: Int64, by who: String, at time: Int64) async throws -> Bool {
    try await write { connection in
      try connection.execute(
        """
        UPDATE mutes SET lifted = $1, lifted_by = $2 WHERE number = $3 AND time <= $1 AND until > $1 AND lifted IS NULL
        """, .int(time), .text(who), .int(number)) > 0
    }
  }

  func mutes(at time: Int64) async throws -> [NumberedMute] {
    try await read { connection in
      try connection.rows(
        """
        SELECT number, use_case, detector, key, until, who, why, time FROM mutes
        WHERE time <= $1 AND until > $1 AND (lifted IS NULL OR lifted > $1) ORDER BY number
        """, .int(time)
      ).map { row in
        NumberedMute(
          number: row.int(0),
          mute: Mute(
            useCase: row.optionalText(1), detector: row.optionalText(2), key: row.optionalText(3), until: row.int(4),
            who: row.text(5), why: row.text(6), time: row.int(7)))
      }
    }
  }

  // MARK: Audit

  func append(_ line: AuditLine) async throws -> Int64 {
    try await write { try Self.append(line, on: $0) }
  }

  private static func append(_ line: AuditLine, on connection: PostgreSQLConnection) throws -> Int64 {
    // Lines get their numbers in the order in which they are committed: who reads them from the end misses none.
    try lock("audit", on: connection)
    return try connection.rows(
      "INSERT INTO audit (time, who, action, subject, details) VALUES ($1, $2, $3, $4, $5) RETURNING number",
      .int(line.time), .text(line.who), .text(line.action), .text(line.subject), .text(line.details)
    ).first?.int(0) ?? 0
  }

  func auditLines(before number: Int64?, limit: Int) async throws -> [NumberedAuditLine] {
    try await read { connection in
      try connection.rows(
        """
        SELECT number, time, who, action, subject, details FROM audit WHERE number < $1 ORDER BY number DESC LIMIT $2
        """, .int(number ?? .max), .int(limit)
      ).map { row in
        NumberedAuditLine(
          number: row.int(0),
          line: AuditLine(
            time: row.int(1), who: row.text(2), action: row.text(3), subject: row.text(4), details: row.text(5)))
      }
    }
  }
}
