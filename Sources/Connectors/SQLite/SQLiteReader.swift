// Reading what runs have stored in a data directory, from this process or another one: a small pool of read-only
// connections, each used on a thread that may block.

public import Detection
import Foundation
import GRDB
public import Pipeline
import Synchronization

/// A read-only view of a data directory.
public final class SQLiteReader: StoreReader {
  public let directory: DataDirectory
  private let connections: ReadConnections
  /// Which directory and file were opened.
  private let identity: DataDirectory.Identity?

  /// Opens the store beside a writer, or alone. Readers of a write-ahead log share files with the writer, and make them
  /// where there are none; where they cannot (a read-only file system or directory) nobody else is at work, and the store
  /// is read as a file that does not change.
  /// - Throws: `OperatingError` when there is no store or it cannot be read.
  public convenience init(_ directory: DataDirectory) throws {
    guard directory.exists else {
      throw OperatingError(
        .store, "there is no store at \(directory.databasePath). Check --data, or create one with `pulse run`")
    }
    try self.init(directory) { try Self.connect(directory) }
  }

  /// A view of a store that nobody writes to, without a look at whether that is so.
  convenience init(immutable directory: DataDirectory) throws {
    try self.init(directory) { try Self.open(directory, isImmutable: true) }
  }

  private init(_ directory: DataDirectory, _ connect: @escaping @Sendable () throws -> DatabaseQueue) throws {
    self.directory = directory
    identity = try directory.identity()
    connections = ReadConnections { try SQLiteStore.reportingTrouble(in: directory, connect) }
    // What is wrong with the store is said now.
    connections.giveBack(try connections.connect(), isNew: true)
  }

  public var place: String { directory.path }

  public func snapshot() async throws -> any ResultSnapshot {
    try checkIsThere()
    let connection = try await connections.take()
    let snapshot = SQLiteSnapshot(connection, of: connections, in: directory)
    do { try await snapshot.begin() } catch {
      await snapshot.end()
      throw error
    }
    return snapshot
  }

  /// What was deleted or replaced can still be read by whoever has it open, and is not what the directory has.
  private func checkIsThere() throws {
    guard try directory.isStill(identity) else {
      throw OperatingError(
        .store,
        "the data directory \(directory.path) was moved, removed or replaced since it was opened. Open what is there now: "
          + "start again")
    }
  }

  public func listing(of useCase: String) async throws -> HistoryListing {
    try await detached { try self.blockingListing(of: useCase) }
  }

  public func tails(of useCase: String) async throws -> [PartitionID: [HistoryTail]] {
    try await detached { try self.blocking { try StoreView($0).tails(of: useCase) } }
  }

  /// What `listing(of:)` gives, on the thread of the caller.
  public func blockingListing(of useCase: String) throws -> HistoryListing {
    try blocking { try StoreView($0).listing(of: useCase) }
  }

  /// A look at the store that blocks the thread it is made on.
  func blocking<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try checkIsThere()
    // One that failed is not used again.
    let connection = if let idle = connections.idle() { idle } else { try connections.connect() }
    let value = try SQLiteStore.reportingTrouble(in: directory) { try connection.read(body) }
    connections.giveBack(connection, isNew: true)
    return value
  }

  /// Runs something that may block on a thread that may.
  func detached<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
  }

  // MARK: Opening

  static func connect(_ directory: DataDirectory) throws -> DatabaseQueue {
    do {
      return try known(try open(directory, isImmutable: false), directory)
    } catch let error as DatabaseError {
      let isRefused = [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode)
      guard isRefused, !directory.isWritable else { throw error }
      guard directory.hasEmptyLog else { throw unreadableLog(directory) }
      return try known(try open(directory, isImmutable: true), directory)
    }
  }

  /// The opened file where it is a store of ours. A file without tables is one in which nothing has run yet (a run was
  /// ended before it had made them): an empty store stands for it.
  private static func known(_ queue: DatabaseQueue, _ directory: DataDirectory) throws -> DatabaseQueue {
    let isStore = try queue.read { database in
      try SQLiteSchema.check(database, in: directory)
      return try SQLiteSchema.hasTables(database)
    }
    if isStore { return queue }
    var configuration = Configuration()
    configuration.allowsUnsafeTransactions = true
    let empty = try DatabaseQueue(configuration: configuration)
    try SQLiteSchema.migrator.migrate(empty)
    return empty
  }

  /// - Parameter isImmutable: takes no lock and looks for no log: right only where nobody writes.
  static func open(_ directory: DataDirectory, isImmutable: Bool) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(10)
    configuration.label = "pulse-reader"
    // A snapshot is a transaction over several calls.
    configuration.allowsUnsafeTransactions = true
    var path = directory.databasePath
    if isImmutable {
      // https://www.sqlite.org/uri.html
      path = "\(URL(fileURLWithPath: path).absoluteString)?immutable=1"
    }
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    // The first look at the file is where trouble shows.
    _ = try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") }
    return queue
  }

  private static func unreadableLog(_ directory: DataDirectory) -> OperatingError {
    OperatingError(
      .store,
      "the store \(directory.databasePath): the last run did not end in order, and what it committed is in "
        + "\(directory.logPath), which cannot be read without the right to write to \(directory.path). Run "
        + "`pulse status --data \(directory.path)` with that right, or read a copy of the directory")
  }
}

/// Connections to one store: a few, of which the idle ones are kept.
final class ReadConnections: Sendable {
  /// Snapshots at a time; more wait.
  private static let most = 8

  private struct State: Sendable {
    var idle: [DatabaseQueue] = []
    var taken = 0
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())
  /// Opens one more; blocks.
  let connect: @Sendable () throws -> DatabaseQueue

  init(_ connect: @escaping @Sendable () throws -> DatabaseQueue) { self.connect = connect }

  /// A connection, when there is one.
  func take() async throws -> DatabaseQueue {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isFree = state.withLock { state in
        guard state.taken < Self.most else {
          state.waiting.append(continuation)
          return false
        }
        state.taken += 1
        return true
      }
      if isFree { continuation.resume() }
    }
    if let idle = state.withLock({ $0.idle.popLast() }) { return idle }
    do {
      return try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { [connect] in continuation.resume(with: Result { try connect() }) }
      }
    } catch {
      giveBack(nil)
      throw error
    }
  }

  /// One that nobody uses; nil where there is none. It is given back as one that is new: it takes nobody's place.
  func idle() -> DatabaseQueue? { state.withLock { $0.idle.popLast() } }

  /// - Parameters:
  ///   - connection: nil where it is not to be used again.
  ///   - isNew: whether it was not taken from here.
  func giveBack(_ connection: DatabaseQueue?, isNew: Bool = false) {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if let connection, state.idle.count < Self.most { state.idle.append(connection) }
      if isNew { return nil }
      // Whoever waits takes the place.
      if !state.waiting.isEmpty { return state.waiting.removeFirst() }
      state.taken -= 1
      return nil
    }
    next?.resume()
  }
}

/// A store as it was when the snapshot began: a read transaction on a connection of its own.
final class SQLiteSnapshot: ResultSnapshot {
  private let connection: DatabaseQueue
  private let connections: ReadConnections
  private let directory: DataDirectory
  private let isOver = Mutex(false)

  init(_ connection: DatabaseQueue, of connections: ReadConnections, in directory: DataDirectory) {
    self.connection = connection
    self.connections = connections
    self.directory = directory
  }

  func begin() async throws {
    try await run { database in
      try database.execute(sql: "BEGIN")
      // What is read first decides what the transaction sees.
      _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
    }
  }

  /// Runs a body on the connection of the snapshot. A statement whose task is cancelled ends at once.
  /// - Throws: what it throws; `CancellationError` where the task is cancelled.
  func run<Value: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws -> Value {
    precondition(!isOver.withLock { $0 }, "a snapshot is read behind its end")
    try Task.checkCancellation()
    let (connection, directory) = (connection, directory)
    do {
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          DispatchQueue.global().async {
            continuation.resume(
              with: Result {
                try SQLiteStore.reportingTrouble(in: directory) { try connection.writeWithoutTransaction(body) }
              })
          }
        }
      } onCancel: {
        connection.interrupt()
      }
    } catch {
      try Task.checkCancellation()
      throw error
    }
  }

  private func view<Value: Sendable>(
    _ body: @escaping @Sendable (StoreView) throws -> Value
  ) async throws -> Value {
    try await run { try body(StoreView($0)) }
  }

  func end() async {
    guard
      isOver.withLock({ isOver in
        defer { isOver = true }
        return !isOver
      })
    else { return }
    let (connection, connections) = (connection, connections)
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      DispatchQueue.global().async {
        var isWhole = true
        do {
          try connection.writeWithoutTransaction { database in
            if database.isInsideTransaction { try database.execute(sql: "ROLLBACK") }
          }
        } catch { isWhole = false }
        connections.giveBack(isWhole ? connection : nil)
        continuation.resume()
      }
    }
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
