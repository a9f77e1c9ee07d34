// Jobs in the store: whoever takes one, or asks for one, does so alone.

import Detection
import Pipeline

extension PostgreSQLActions {
  private static let jobColumns = """
    number, kind, arguments, key, state, who, created, worker, attempts, leased_until, progress, ended, outcome
    """
  private static let jobLock = "jobs"

  private static func job(_ row: PostgreSQLRow) -> Job {
    Job(
      number: row.int(0), kind: row.text(1), arguments: row.text(2), key: row.optionalText(3),
      state: Job.State(rawValue: row.text(4)) ?? .failed, who: row.text(5), created: row.int(6),
      worker: row.optionalText(7), attempts: row.count(8), leasedUntil: row.optionalInt(9), progress: row.double(10),
      ended: row.optionalInt(11), outcome: row.optionalText(12))
  }

  private static func job(_ number: Int64, on connection: PostgreSQLConnection) throws -> Job? {
    try connection.rows("SELECT \(jobColumns) FROM jobs WHERE number = $1", .int(number)).first.map(job)
  }

  func createJob(
    _ kind: String, arguments: String, key: String?, by who: String, at time: Int64
  ) async throws -> Job {
    try await write { connection in
      if let key {
        try Self.lock(Self.jobLock, on: connection)
        let underWay = try connection.rows(
          """
          SELECT \(Self.jobColumns) FROM jobs WHERE key = $1 AND state IN ('waiting', 'running', 'cancelling')
          """, .text(key)
        ).first
        if let underWay { return Self.job(underWay) }
      }
      let number = try connection.rows(
        """
        INSERT INTO jobs (kind, arguments, key, state, who, created) VALUES ($1, $2, $3, 'waiting', $4, $5)
        RETURNING number
        """, .text(kind), .text(arguments), .text(key), .text(who), .int(time)
      ).first?.int(0)
      return Job(
        number: number ?? 0, kind: kind, arguments: arguments, key: key, state: .waiting, who: who, created: time)
    }
  }

  func job(_ number: Int64) async throws -> Job? { try await read { try Self.job(number, on: $0) } }

  func jobs(before number: Int64?, limit: Int) async throws -> [Job] {
    try await read { connection in
      try connection.rows(
        "SELECT \(Self.jobColumns) FROM jobs WHERE number < $1 ORDER BY number DESC LIMIT $2", .int(number ?? .max),
        .int(limit)
      ).map(Self.job)
    }
  }

  func claimJob(_ kinds: [String], worker: String, at time: Int64, until: Int64) async throws -> Job? {
    try await write { connection in
      try Self.lock(Self.jobLock, on: connection)
      try connection.execute(
        "UPDATE jobs SET state = 'cancelled', ended = $1 WHERE state = 'cancelling' AND leased_until <= $1", .int(time))
      let number = try connection.rows(
        """
        SELECT number FROM jobs WHERE (state = 'waiting' OR state = 'running' AND leased_until <= $1)
          AND kind = ANY($2) ORDER BY number LIMIT 1
        """, .int(time), .texts(kinds)
      ).first?.int(0)
      guard let number else { return nil }
      try connection.execute(
        """
        UPDATE jobs SET state = 'running', worker = $1, attempts = attempts + 1, leased_until = $2 WHERE number = $3
        """, .text(worker), .int(until), .int(number))
      return try Self.job(number, on: connection)
    }
  }

  private static let ofWorker = "number = $1 AND worker = $2 AND state IN ('running', 'cancelling')"

  func reportProgress(
    of number: Int64, worker: String, progress: Double, until: Int64
  ) async throws -> Job.State? {
    try await write { connection in
      let changed = try connection.execute(
        "UPDATE jobs SET progress = $3, leased_until = $4 WHERE \(Self.ofWorker)", .int(number), .text(worker),
        .double(min(max(progress, 0), 1)), .int(until))
      return changed > 0 ? try Self.job(number, on: connection)?.state : nil
    }
  }

  func finishJob(
    _ number: Int64, worker: String, as state: Job.Ending, outcome: String, at time: Int64
  ) async throws -> Bool {
    try await write { connection in
      try connection.execute(
        """
        UPDATE jobs SET state = $3, outcome = $4, ended = $5, leased_until = NULL,
          progress = CASE $3 WHEN 'finished' THEN 1 ELSE progress END WHERE \(Self.ofWorker)
        """, .int(number), .text(worker), .text(state.rawValue), .text(outcome), .int(time)) > 0
    }
  }

  func cancelJob(_ number: Int64, at time: Int64) async throws -> Job.State? {
    try await write { connection in
      try Self.lock(Self.jobLock, on: connection)
      try connection.execute(
        """
        UPDATE jobs SET state = 'cancelled', ended = $2
        WHERE number = $1 AND (state = 'waiting' OR state IN ('running', 'cancelling') AND leased_until <= $2)
        """, .int(number), .int(time))
      try connection.execute(
        "UPDATE jobs SET state = 'cancelling' WHERE number = $1 AND state = 'running'", .int(number))
      return try Self.job(number, on: connection)?.state
    }
  }
}
