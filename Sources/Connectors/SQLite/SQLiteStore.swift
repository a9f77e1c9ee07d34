// The embedded store: one SQLite file in WAL mode with one writer. Results and checkpoints share it, so one transaction
// covers both. A commit of results need not survive a power cut (the position has not moved, they would be computed
// again), a checkpoint must: it alone pays for a sync.

public import Detection
import Foundation
import GRDB
public import Pipeline
import Synchronization

/// The store in `<data>/pulse.sqlite` with the history beside it. Holds a lock on the data directory while it lives.
public final class SQLiteStore: Store {
  public let directory: DataDirectory
  private let queue: DatabaseQueue
  private let lock: ProcessLock
  /// What the path of the directory led to when the store was opened.
  private let identity: DataDirectory.Identity?
  /// Use cases of which a partition was claimed.
  private let opened = OpenedUseCases()

  /// Called before the snapshot of a claimed partition is read, on the thread that reads it.
  private let willRestore: @Sendable () -> Void

  /// Opens or creates the store.
  /// - Throws: `OperatingError` when the directory cannot be written or another process has it.
  public convenience init(in directory: DataDirectory) throws { try self.init(in: directory, willRestore: {}) }

  /// - Parameter willRestore: lets a test wait where a restore may take long.
  init(in directory: DataDirectory, willRestore: @escaping @Sendable () -> Void) throws {
    self.directory = directory
    self.willRestore = willRestore
    try directory.create()
    lock = try directory.lock(patience: .seconds(1))
    try directory.checkDatabaseFile()
    queue = try Self.reportingTrouble(in: directory) {
      var configuration = Configuration()
      configuration.journalMode = .wal
      configuration.label = "pulse-store"
      configuration.busyMode = .timeout(10)
      configuration.prepareDatabase { database in
        try database.execute(
          sql: """
            PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY;
            PRAGMA cell_size_check = ON
            """)
      }
      let queue = try DatabaseQueue(path: directory.databasePath, configuration: configuration)
      try queue.read { try SQLiteSchema.check($0, in: directory) }
      if let problem = try Self.quickCheck(queue) { throw Self.damaged(problem, in: directory) }
      try SQLiteSchema.migrator.migrate(queue)
      return queue
    }
    identity = try directory.identity()
  }

  /// Leaves an empty log, so that the store can be read where nobody can write. Closing the last connection would do that
  /// as well, but readers of this process may be on their way out still.
  deinit {
    try? queue.writeWithoutTransaction { database in
      try database.execute(sql: "PRAGMA busy_timeout = 100")
      _ = try Row.fetchAll(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
    }
  }

  public func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
    let (directory, opened) = (directory, opened)
    let epoch = try await write(
      durably: true,
      { database in
        (
          try Self.takeClaim(useCase, partition, in: database),
          try SQLiteCheckpoint.shardPaths(useCase: useCase, from: database)
        )
      },
      afterwards: { _, shards in
        // This process alone writes here, so what no checkpoint lists is of an earlier one, until a lane has begun.
        guard opened.withLock({ $0.insert(useCase).inserted }) else { return }
        try directory.publish(shards)
        try directory.removeUnlisted(useCase: useCase, listed: Set(shards.map(\.final)))
      }
    ).0
    // Beside the writer: others commit meanwhile, and nobody else writes this partition any more.
    let snapshot = try await read { [willRestore] database in
      willRestore()
      return try SQLiteCheckpoint.restore(useCase: useCase, partition, from: database)
    }
    return ClaimedPartition(Claim(useCase: useCase, partition: partition, epoch: epoch), snapshot)
  }

  /// Counts up the epoch of a partition.
  private static func takeClaim(_ useCase: String, _ partition: PartitionID, in database: Database) throws -> Int64 {
    let identity: StatementArguments = [useCase, partition.source, partition.number]
    let epoch = try Int64.fetchOne(
      database,
      sql: """
        INSERT INTO claims (use_case, source, partition, epoch) VALUES (?, ?, ?, 1)
        ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch
        """, arguments: identity)
    let claim = Claim(useCase: useCase, partition: partition, epoch: epoch ?? 0)
    let row = try Row.fetchOne(
      database, sql: "SELECT segment, offset, row FROM partitions WHERE use_case = ? AND source = ? AND partition = ?",
      arguments: identity)
    let position = row.map { Position(segment: $0[0], offset: $0[1], row: $0[2]) } ?? .start
    let hasUnconfirmed = try HeldClaim.hasResults(claim, from: position, except: claim.epoch, in: database)
    try database.execute(
      "UPDATE claims SET unconfirmed = ? WHERE use_case = ? AND source = ? AND partition = ?",
      binding: [hasUnconfirmed, useCase, partition.source, partition.number])
    return claim.epoch
  }

  public func state(
    of claim: Claim, in space: String, under keys: [[UInt8]]
  ) async throws -> [StateEntry] {
    try await read { database in
      guard try HeldClaim(claim, in: database) != nil else { throw Superseded(claim) }
      return try SQLiteCheckpoint.state(of: claim, in: space, under: keys, from: database)
    }
  }

  public func commit(_ results: [Results]) async throws -> Set<Claim> {
    try await write(durably: false) { database in
      var refused: Set<Claim> = []
      for batch in results where !refused.contains(batch.claim) {
        if var held = try HeldClaim(batch.claim, in: database) {
          try batch.write(under: &held)
          try held.finish()
        } else {
          refused.insert(batch.claim)
        }
      }
      return refused
    }
  }

  public func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome {
    try await write(durably: true) { database in
      var outcome = CommitOutcome()
      for checkpoint in checkpoints {
        if let held = try HeldClaim(checkpoint.claim, in: database) {
          var checkpoint = SQLiteCheckpoint(checkpoint, under: held)
          outcome.removedShards[held.claim] = try checkpoint.write()
        } else {
          outcome.refused.insert(checkpoint.claim)
        }
      }
      return outcome
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] {
    try await write(durably: false) { database in
      try Row.fetchAll(
        database,
        sql: """
          SELECT segment, offset, row, kind, detector, version FROM activations
          WHERE use_case = ? AND source = ? AND partition = ? ORDER BY sequence
          """, arguments: [useCase, partition.source, partition.number]
      ).map { row in
        Activation(
          partition: partition, from: Position(segment: row[0], offset: row[1], row: row[2]),
          kind: Activation.Kind(rawValue: row[3]) ?? .configuration, detector: row[4], version: row[5])
      }
    }
  }

  public func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {
    try await write(under: claim, durably: true) { held in
      let (useCase, partition, from, database) = (
        claim.useCase, activation.partition, activation.from, held.database
      )
      if let text {
        try database.execute(
          "INSERT OR IGNORE INTO configurations (use_case, version, text) VALUES (?, ?, ?)",
          binding: [useCase, activation.version, text])
      }
      try held.retractResults(from: from)
      try database.execute(
        """
        INSERT INTO activations (use_case, source, partition, segment, offset, row, kind, detector, version)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        binding: [
          useCase, partition.source, partition.number, from.segment, from.offset, from.row, activation.kind.rawValue,
          activation.detector, activation.version,
        ])
    }
  }

  public func retract(_ waiting: WaitingResults, under claim: Claim) async throws {
    try await write(under: claim, durably: false) { held in
      for event in waiting.events {
        for detector in waiting.detectors {
          try held.retractAnomalies(
            "segment = ?4 AND offset = ?5 AND row = ?6 AND detector = ?7",
            [event.segment, event.offset, event.row, detector])
        }
      }
    }
  }

  /// A transaction that a superseded claim leaves undone.
  private func write(
    under claim: Claim, durably: Bool, _ updates: @escaping @Sendable (inout HeldClaim) throws -> Void
  ) async throws {
    try await write(durably: durably) { database in
      guard var held = try HeldClaim(claim, in: database) else { throw Superseded(claim) }
      try updates(&held)
      try held.finish()
    }
  }

  /// Removes everything stored of a use case: results, state, positions, history.
  public func reset(useCase: String) async throws {
    let directory = directory
    try await write(
      durably: true,
      { database in
        let paths = try String.fetchAll(
          database, sql: "SELECT path FROM history_shards WHERE use_case = ?", arguments: [useCase])
        for table in SQLiteCheckpoint.tables {
          try database.execute("DELETE FROM \(table) WHERE use_case = ?", binding: [useCase])
        }
        // Whoever has a partition is not to write to what comes after, and who follows its changes is told.
        try database.execute(
          "UPDATE claims SET epoch = epoch + 1, changes = changes + 1, unconfirmed = 0 WHERE use_case = ?",
          binding: [useCase])
        try database.execute(
          """
          INSERT INTO retractions (use_case, source, partition, change, kind, subject)
          SELECT use_case, source, partition, changes, 'reset', '' FROM claims WHERE use_case = ?
          """, binding: [useCase])
        return paths
      }, afterwards: { try directory.remove($0) })
  }

  /// The next number of a counter that outlives runs: names the runs over unnamed standard input.
  public func nextRun(named name: String) async throws -> Int {
    try await write(durably: true) { database in
      try Int.fetchOne(
        database,
        sql: """
          INSERT INTO runs (name, count) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1
          RETURNING count
          """, arguments: [name]) ?? 1
    }
  }

  /// A look at the store on a connection and a thread of its own, which may take long.
  private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
    let (directory, identity) = (directory, identity)
    return try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(
          with: Result {
            try Self.reportingTrouble(in: directory) {
              try directory.expect(identity)
              return try SQLiteReader.open(directory, isImmutable: false).read(body)
            }
          })
      }
    }
  }

  /// One transaction on the writer's queue; durable ones are synced before this returns.
  /// - Parameter afterwards: what follows the commit, on the same queue: it may block.
  @discardableResult
  private func write<Value: Sendable>(
    durably: Bool, _ updates: @escaping @Sendable (Database) throws -> Value,
    afterwards: @escaping @Sendable (Value) throws -> Void = { _ in }
  ) async throws -> Value {
    do {
      let (directory, identity) = (directory, identity)
      return try await queue.writeWithoutTransaction { database in
        try directory.expect(identity)
        try database.execute(sql: "PRAGMA synchronous = \(durably ? "FULL" : "NORMAL")")
        var value: Value?
        try database.inTransaction(.immediate) {
          value = try updates(database)
          return .commit
        }
        guard let value else { throw DatabaseError(message: "the transaction gave no value") }
        try afterwards(value)
        return value
      }
    } catch { throw Self.operatingError(error, in: directory) }
  }
}

/// Use cases whose history files were brought in line with the store.
private final class OpenedUseCases: Sendable {
  private let names = Mutex<Set<String>>([])

  func withLock<Value: Sendable>(_ body: (inout sending Set<String>) throws -> sending Value) rethrows -> Value {
    try names.withLock(body)
  }
}

// MARK: - Errors

extension SQLiteStore {
  /// Runs something that touches the disk and says what went wrong in the words of the product.
  static func reportingTrouble<Value>(in directory: DataDirectory, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch { throw operatingError(error, in: directory) }
  }

  static func operatingError(_ error: any Error, in directory: DataDirectory) -> any Error {
    if error is NewerVersion {
      return OperatingError(
        .store, "the store \(directory.databasePath): \(error). Use that version of pulse, or another --data")
    }
    guard let error = error as? DatabaseError else {
      // What a row holds is written by this program alone: if it cannot be read, the store is damaged.
      guard error is CodingError || error is DecodingError else { return error }
      return OperatingError(
        .store,
        "the store \(directory.databasePath): a stored row is damaged (\(StoredValue.reason(error))). Restore it from a backup, or "
          + "start over with --reset")
    }
    if let details = damage(error) { return damaged(details, in: directory) }
    let what =
      switch error.resultCode {
      case .SQLITE_FULL: "the disk is full. Free some space and run again: nothing that was committed is lost"
      case .SQLITE_READONLY: "it is read-only. Give this user the right to write, or choose another --data"
      case .SQLITE_CANTOPEN: "it cannot be opened. Check that the folder exists and that this user may write to it"
      case .SQLITE_BUSY: "another process keeps it locked. Wait for it to end and run again"
      case .SQLITE_IOERR: "reading or writing it failed (\(error.message ?? "no details")): check the disk"
      default: "\(error.message ?? "unknown trouble") (SQLite code \(error.extendedResultCode.rawValue))"
      }
    return OperatingError(.store, "the store \(directory.databasePath): \(what)")
  }

  /// What SQLite says of a file that is damaged or none of its own; nil for an error about something else.
  static func damage(_ error: any Error) -> String? {
    guard let error = error as? DatabaseError, [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode) else {
      return nil
    }
    return (error.message ?? "no details").oneLine
  }

  private static func damaged(_ details: String, in directory: DataDirectory) -> OperatingError {
    OperatingError(
      .store,
      "the store \(directory.databasePath): it is damaged or not a SQLite file (\(details.oneLine)). "
        + "`pulse check --data \(directory.path)` says what else is. Restore it from a backup, or start over with another "
        + "--data")
  }
}

extension String {
  /// The text without its line breaks.
  fileprivate var oneLine: String { split(whereSeparator: \.isNewline).joined(separator: ": ") }
}
