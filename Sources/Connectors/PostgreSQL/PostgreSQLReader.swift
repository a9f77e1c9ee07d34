// Reading what runs have stored in a database: a small pool of connections, each on a thread of its own. A snapshot is a
// transaction that sees one moment.

public import Detection
public import Pipeline
import Synchronization

/// A read-only view of a store in a database.
public final class PostgreSQLReader: StoreReader {
  /// Where the history lies that the store lists.
  public let directory: DataDirectory
  private let address: PostgreSQLAddress
  private let pool: PostgreSQLPool

  /// Snapshots at a time; more wait.
  private static let sessions = 8

  /// - Throws: `OperatingError` where the database cannot be reached, or has no store.
  init(_ address: PostgreSQLAddress, in directory: DataDirectory) throws {
    self.address = address
    self.directory = directory
    pool = PostgreSQLPool(address, role: .reading, most: Self.sessions) { connection in
      try PostgreSQLSchema.checkForReading(connection, at: address)
      try OpenWindowStaging.make(on: connection)
    }
    // What is wrong with the store is said now.
    do {
      let connection = try PostgreSQLConnection(address, role: .reading)
      try PostgreSQLSchema.checkForReading(connection, at: address)
    } catch { throw PostgreSQLStore.operatingError(error, at: address) }
  }

  public var place: String { address.place }

  public func snapshot() async throws -> any ResultSnapshot {
    let session = await pool.take()
    let snapshot = PostgreSQLSnapshot(session, of: pool)
    do {
      do { try await snapshot.begin() } catch let failure as PostgreSQLFailure where failure.kind == .away {
        // The server was started again since the connection was used: another one may do.
        try await snapshot.begin()
      }
    } catch {
      await snapshot.end()
      throw PostgreSQLStore.operatingError(error, at: address)
    }
    return snapshot
  }

  public func listing(of useCase: String) async throws -> HistoryListing {
    try await look { try $0.listing(of: useCase) }
  }

  public func blockingListing(of useCase: String) throws -> HistoryListing {
    do {
      // Asked for by trainings and the like, now and then: not worth a connection that waits for it.
      return try PostgreSQLView(PostgreSQLConnection(address, role: .reading)).listing(of: useCase)
    } catch { throw PostgreSQLStore.operatingError(error, at: address) }
  }

  public func tails(of useCase: String) async throws -> [PartitionID: [HistoryTail]] {
    try await look { try $0.tails(of: useCase) }
  }

  private func look<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLView) throws -> Value
  ) async throws -> Value {
    do { return try await pool.snapshot { try body(PostgreSQLView($0)) } } catch {
      throw PostgreSQLStore.operatingError(error, at: address)
    }
  }
}

/// A store as it was when the snapshot began: a read transaction on a connection of its own.
final class PostgreSQLSnapshot: ResultSnapshot {
  private let session: PostgreSQLSession
  private let pool: PostgreSQLPool
  private let isOver = Mutex(false)
  /// Whether a statement was cancelled: the server may hear of that late, and end the statement of somebody else.
  private let isCancelled = Mutex(false)

  init(_ session: PostgreSQLSession, of pool: PostgreSQLPool) {
    self.session = session
    self.pool = pool
  }

  func begin() async throws { try await session.run { try $0.beginSnapshot() } }

  /// Looks at the store. A statement whose task is cancelled ends at once.
  /// - Throws: what `body` throws; `CancellationError` where the task is cancelled.
  private func view<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLView) throws -> Value
  ) async throws -> Value {
    precondition(!isOver.withLock { $0 }, "a snapshot is read behind its end")
    try Task.checkCancellation()
    do {
      return try await withTaskCancellationHandler {
        try await session.run { connection in
          guard connection.isInTransaction else { throw PostgreSQLFailure(.away, "the snapshot was lost") }
          return try body(PostgreSQLView(connection))
        }
      } onCancel: {
        isCancelled.withLock { $0 = true }
        session.interrupt()
      }
    } catch {
      try Task.checkCancellation()
      throw PostgreSQLStore.operatingError(error, at: pool.address)
    }
  }

  func end() async {
    guard
      isOver.withLock({ isOver in
        defer { isOver = true }
        return !isOver
      })
    else { return }
    if isCancelled.withLock({ $0 }) { await session.close() } else { await session.endSnapshot() }
    pool.giveBack(session)
  }

  deinit {
    assert(isOver.withLock { $0 }, "a snapshot was not ended")
  }

  func useCases() async throws -> [String] { try await view { try $0.useCases() } }

  func names(of useCase: String?) async throws -> ResultNames { try await view { try $0.names(of: useCase) } }

  func anomalies(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredAnomaly> {
    try await view { try $0.anomalies(filter, after: page) }
  }

  func deadLetters(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredDeadLetter> {
    try await view { try $0.deadLetters(filter, after: page) }
  }

  func windows(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredWindow> {
    try await view { try $0.windows(filter, after: page) }
  }

  func anomaly(id: String) async throws -> (anomaly: StoredAnomaly, configuration: String)? {
    try await view { try $0.anomaly(id: id) }
  }

  func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) async throws -> [Position] {
    try await view { try $0.anomalyPositions(of: detector, useCase: useCase, in: partition) }
  }

  func anomalyCounts(of useCase: String) async throws -> [(detector: String, count: Int)] {
    try await view { try $0.anomalyCounts(of: useCase) }
  }

  func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) async throws -> [TopEntity] {
    try await view { try $0.topEntities(of: useCase, window: name, by: aggregate, limit: limit) }
  }

  func status(of useCase: String?, counting isCounting: Bool) async throws -> [PartitionStatus] {
    try await view { try $0.status(of: useCase, counting: isCounting) }
  }

  func drift(of useCase: String, detector: String?) async throws -> [DriftCounts] {
    try await view { try $0.drift(of: useCase, detector: detector) }
  }

  func configuration(of useCase: String) async throws -> String? {
    try await view { try $0.configuration(of: useCase) }
  }

  func activations(of useCase: String) async throws -> [Activation] {
    try await view { try $0.activations(of: useCase) }
  }

  func modelUses(of useCase: String) async throws -> Set<ModelUse> { try await view { try $0.modelUses(of: useCase) } }

  func latestChange(of useCase: String?) async throws -> ChangeCursor {
    try await view { try $0.latestChange(of: useCase) }
  }

  func changes(since cursor: ChangeCursor, of useCase: String?, limit: Int) async throws -> ChangePage {
    try await view { try $0.changes(since: cursor, of: useCase, limit: limit) }
  }
}
