// The store in PostgreSQL: results and checkpoints in one database, so one transaction covers both, and any number of processes
// write to it, each the partitions that it has claimed. History and models stay in the data directory.

public import Detection
import Logging
public import Pipeline
import Synchronization

/// A store in a database, with the history in a data directory beside it, which it holds a lock on while it lives.
///
/// While the server is away, restarts, has no room or takes no writes, calls wait and try again; nothing is lost by that, since
/// positions move with checkpoints alone.
public final class PostgreSQLStore: Store {
  private let address: PostgreSQLAddress
  private let directory: DataDirectory
  private let lock: ProcessLock
  private let pool: PostgreSQLPool
  private let logger: Logger
  /// Use cases whose history files were brought in line with the store.
  private let opened = Mutex<Set<String>>([])
  /// Whether the server was away at the last try.
  private let isWaiting = Mutex(false)

  /// Transactions at a time: lanes share one that writes results and checkpoints, and others claim and restore meanwhile.
  private static let sessions = 4

  /// Opens the store, and makes its tables where there are none yet.
  /// - Throws: `OperatingError` where the database cannot be reached or this user may not use it, or where another process has
  ///   the data directory.
  init(at address: PostgreSQLAddress, in directory: DataDirectory, logger: Logger) throws {
    self.address = address
    self.directory = directory
    self.logger = logger
    try directory.create()
    lock = try directory.lock(patience: .seconds(1))
    do {
      let connection = try PostgreSQLConnection(address, role: .writing)
      try PostgreSQLSchema.migrate(connection, at: address)
    } catch let failure as PostgreSQLFailure { throw failure.operatingError(at: address.place) }
    pool = PostgreSQLPool(address, role: .writing, most: Self.sessions)
  }

  public func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition {
    let (claim, shards) = try await transaction { connection, _ in
      (
        try PostgreSQLClaim.take(useCase, partition, on: connection),
        try PostgreSQLRestore.shardPaths(useCase: useCase, on: connection)
      )
    }
    try await settleHistory(of: useCase, listed: shards)
    // Nobody else writes this partition any more.
    let snapshot = try await waiting { [pool] _ in
      try await pool.snapshot { try PostgreSQLRestore.restore(useCase: useCase, partition, on: $0) }
    }
    return ClaimedPartition(claim, snapshot)
  }

  /// Gives shards of committed checkpoints their final names, and removes those that none lists. Others may have listed shards
  /// that lie in directories of their own.
  private func settleHistory(of useCase: String, listed: [(temporary: String, final: String)]) async throws {
    guard opened.withLock({ $0.insert(useCase).inserted }) else { return }
    let directory = directory
    try await HistoryFiles.shared.run {
      try directory.publish(listed.filter { directory.has($0.temporary) })
      try directory.removeUnlisted(useCase: useCase, listed: Set(listed.map(\.final)))
    }
  }

  public func state(of claim: Claim, in space: String, under keys: [[UInt8]]) async throws -> [StateEntry] {
    try await waiting { [pool] _ in
      try await pool.snapshot { connection in
        let epoch = try connection.rows(
          "SELECT epoch FROM claims WHERE \(PostgreSQLClaim.ofPartition)", .text(claim.useCase),
          .text(claim.partition.source), .int(claim.partition.number)
        ).first?.int(0)
        guard epoch == claim.epoch else { throw Superseded(claim) }
        return try PostgreSQLRestore.state(of: claim, in: space, under: keys, on: connection)
      }
    }
  }

  public func commit(_ results: [Results]) async throws -> Set<Claim> {
    try await transaction { connection, _ in
      var held = try PostgreSQLClaim.hold(results.map(\.claim), on: connection)
      var refused: Set<Claim> = []
      for batch in results {
        guard var claim = held[batch.claim] else {
          refused.insert(batch.claim)
          continue
        }
        try batch.write(under: &claim)
        held[batch.claim] = claim
      }
      for claim in held.values { try claim.finish() }
      return refused
    }
  }

  public func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome {
    try await transaction { connection, _ in
      let held = try PostgreSQLClaim.hold(checkpoints.map(\.claim), on: connection)
      var outcome = CommitOutcome()
      for checkpoint in checkpoints {
        if let claim = held[checkpoint.claim] {
          var checkpoint = PostgreSQLCheckpoint(checkpoint, under: claim)
          outcome.removedShards[claim.claim] = try checkpoint.write()
        } else {
          outcome.refused.insert(checkpoint.claim)
        }
      }
      return outcome
    }
  }

  public func activations(useCase: String, partition: PartitionID) async throws -> [Activation] {
    try await waiting { [pool] _ in
      try await pool.run { try PostgreSQLView($0).activations(of: useCase, in: partition) }
    }
  }

  public func activate(_ activation: Activation, under claim: Claim, text: String?) async throws {
    try await transaction(under: claim) { held, isRepeated in
      let connection = held.connection
      // Where nobody knows whether the last try was committed, what it has written stands there last.
      if isRepeated {
        let known = try PostgreSQLView(connection).activations(of: claim.useCase, in: activation.partition)
        if known.last == activation { return }
      }
      if let text {
        try connection.execute(
          "INSERT INTO configurations (use_case, version, text) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
          .text(claim.useCase), .text(activation.version), .text(text))
      }
      try held.retractResults(from: activation.from)
      try connection.execute(
        """
        INSERT INTO activations (use_case, source, partition, segment, record_offset, record_row, kind, detector, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """, .text(claim.useCase), .text(activation.partition.source), .int(activation.partition.number),
        .int(activation.from.segment), .int(activation.from.offset), .int(activation.from.row),
        .text(activation.kind.rawValue), .text(activation.detector), .text(activation.version))
    }
  }

  public func retract(_ waiting: WaitingResults, under claim: Claim) async throws {
    try await transaction(under: claim) { held, _ in
      for event in waiting.events {
        try held.retractAnomalies(
          "segment = $4 AND record_offset = $5 AND record_row = $6 AND detector = ANY($7)",
          [.int(event.segment), .int(event.offset), .int(event.row), .texts(waiting.detectors)])
      }
    }
  }

  /// A transaction that a superseded claim leaves undone.
  private func transaction(
    under claim: Claim, _ updates: @escaping @Sendable (inout PostgreSQLClaim, _ isRepeated: Bool) throws -> Void
  ) async throws {
    try await transaction { connection, isRepeated in
      guard var held = try PostgreSQLClaim.hold([claim], on: connection)[claim] else { throw Superseded(claim) }
      try updates(&held, isRepeated)
      try held.finish()
    }
  }

  /// Removes everything stored of a use case: results, state, positions, history.
  public func reset(useCase: String) async throws {
    let paths = try await transaction { connection, _ in
      // Whoever has a partition is not to write to what comes after, and who follows its changes is told.
      try connection.execute(
        "UPDATE claims SET epoch = epoch + 1, changes = changes + 1, unconfirmed = false WHERE use_case = $1",
        .text(useCase))
      let paths = try PostgreSQLRestore.shardPaths(useCase: useCase, on: connection).map(\.final)
      for table in PostgreSQLCheckpoint.tables {
        try connection.execute("DELETE FROM \(table) WHERE use_case = $1", .text(useCase))
      }
      try connection.execute(
        """
        INSERT INTO retractions (use_case, source, partition, change, kind, subject)
        SELECT use_case, source, partition, changes, 'reset', '' FROM claims WHERE use_case = $1
        """, .text(useCase))
      try PostgreSQLChannel.announce(on: connection)
      return paths
    }
    let directory = directory
    try await HistoryFiles.shared.run { try directory.remove(paths) }
  }

  /// The next number of a counter that outlives runs: names the runs over unnamed standard input.
  public func nextRun(named name: String) async throws -> Int {
    try await transaction { connection, _ in
      try connection.rows(
        """
        INSERT INTO runs (name, count) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET count = runs.count + 1
        RETURNING count
        """, .text(name)
      ).first?.count(0) ?? 1
    }
  }

  // MARK: Waiting

  /// One transaction, again and again until it was committed or cannot be.
  /// - Parameter updates: is told whether an earlier try may have been committed.
  @discardableResult
  private func transaction<Value: Sendable>(
    _ updates: @escaping @Sendable (PostgreSQLConnection, _ isRepeated: Bool) throws -> Value
  ) async throws -> Value {
    try await waiting { [pool] isUncertain in
      try await pool.run { try $0.transaction { try updates($0, isUncertain) } }
    }
  }

  /// Tries until it succeeds: what may pass by itself is waited for.
  /// - Throws: `OperatingError` where it does not pass; what else `body` throws; `CancellationError`.
  private func waiting<Value: Sendable>(
    _ body: @escaping @Sendable (_ isUncertain: Bool) async throws -> Value
  ) async throws -> Value {
    var backoff = Backoff()
    var isUncertain = false
    while true {
      do {
        let value = try await body(isUncertain)
        if backoff.attempts > 0, isWaiting.withLock({ exchange(&$0, false) }) {
          logger.notice("the store \(address.place) answers again: the run goes on")
        }
        return value
      } catch let failure as PostgreSQLFailure {
        guard failure.mayPass else { throw failure.operatingError(at: address.place) }
        isUncertain = isUncertain || failure.isUncertain
        let delay = backoff.next()
        // Of conflicts there may be many, and the second try mostly succeeds.
        if failure.kind != .conflict || backoff.attempts > 5, !isWaiting.withLock({ exchange(&$0, true) }) {
          logger.warning(
            "the store \(address.place) does not take what is to be committed: \(failure). The run waits and tries again"
          )
        }
        try await Task.sleep(for: delay)
      } catch { throw Self.operatingError(error, at: address) }
    }
  }

  /// What a row holds is written by this program alone: if it cannot be read, the store is damaged.
  static func operatingError(_ error: any Error, at address: PostgreSQLAddress) -> any Error {
    switch error {
    case let failure as PostgreSQLFailure: failure.operatingError(at: address.place)
    case is NewerVersion:
      OperatingError(.store, "the store \(address.place): \(error). Use that version of pulse, or another store")
    case is CodingError, is DecodingError:
      OperatingError(
        .store,
        "the store \(address.place): a stored row is damaged (\(StoredValue.reason(error))). Restore it from a backup, or "
          + "start over with --reset")
    default: error
    }
  }
}

/// The old value of a variable that gets a new one.
private func exchange<Value>(_ value: inout Value, _ new: Value) -> Value {
  defer { value = new }
  return value
}

/// Where history files are renamed and removed: that blocks.
private actor HistoryFiles {
  static let shared = HistoryFiles()
  private let thread = DedicatedThread(name: "pulse-files")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  func run(_ body: @Sendable () throws -> Void) throws { try body() }
}
