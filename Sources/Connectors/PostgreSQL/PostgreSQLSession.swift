// Connections on threads of their own, and some of them kept for the next use. libpq blocks, so each connection has a thread
// that is none of the cooperative pool.

import CPostgreSQLLibrary
import Detection
import Dispatch
import Pipeline
import Synchronization

/// One connection and its thread. Opened when it is first needed, and again when it was lost.
actor PostgreSQLSession {
  private let thread = DedicatedThread(name: "pulse-postgres")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let address: PostgreSQLAddress
  private let role: PostgreSQLConnection.Role
  private let prepare: @Sendable (PostgreSQLConnection) throws -> Void
  private var connection: PostgreSQLConnection?
  private var lastUse = ContinuousClock.now
  /// Ends what the connection executes; nil while there is none.
  private let canceller = Mutex<PostgreSQLCanceller?>(nil)

  /// A connection that has not been used for longer is asked for a sign of life: what lies between may have forgotten it.
  private static let trusted = Duration.seconds(20)

  /// - Parameter prepare: what a new connection needs before it is used.
  init(
    _ address: PostgreSQLAddress, role: PostgreSQLConnection.Role,
    preparing prepare: @escaping @Sendable (PostgreSQLConnection) throws -> Void = { _ in }
  ) {
    self.address = address
    self.role = role
    self.prepare = prepare
  }

  /// Runs a body with the connection.
  /// - Throws: `PostgreSQLFailure` where there is none, and what the body throws.
  func run<Value: Sendable>(_ body: @Sendable (PostgreSQLConnection) throws -> Value) throws -> Value {
    let connection = try opened()
    defer { lastUse = .now }
    do { return try body(connection) } catch {
      if !connection.isUsable || (error as? PostgreSQLFailure)?.endsConnection == true { close() }
      throw error
    }
  }

  /// The connection where it can be used, or a new one.
  private func opened() throws -> PostgreSQLConnection {
    if let connection {
      let isTrusted = ContinuousClock.now - lastUse < Self.trusted
      if connection.isUsable, isTrusted || (try? connection.ping()) != nil { return connection }
      close()
    }
    let connection = try PostgreSQLConnection(address, role: role)
    try prepare(connection)
    self.connection = connection
    canceller.withLock { $0 = connection.canceller }
    return connection
  }

  /// Ends whatever transaction there is; the connection is given up where it cannot be ended.
  func endSnapshot() {
    guard let connection else { return }
    do { try connection.rollBack() } catch { close() }
  }

  /// Gives the connection up; the next use opens another one.
  func close() {
    canceller.withLock { $0 = nil }
    connection = nil
  }

  /// Ends the statement that is executed, where there is one.
  nonisolated func interrupt() {
    guard let canceller = canceller.withLock({ $0 }) else { return }
    DispatchQueue.global().async { canceller.interrupt() }
  }
}

/// Sessions to one database: a few, of which the idle ones are kept.
final class PostgreSQLPool: Sendable {
  private struct State: Sendable {
    var idle: [PostgreSQLSession] = []
    var taken = 0
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  let address: PostgreSQLAddress
  private let role: PostgreSQLConnection.Role
  private let prepare: @Sendable (PostgreSQLConnection) throws -> Void
  /// Sessions at a time; who needs one more waits.
  private let most: Int
  private let state = Mutex(State())

  /// - Parameter prepare: what a new connection needs before it is used.
  init(
    _ address: PostgreSQLAddress, role: PostgreSQLConnection.Role, most: Int,
    preparing prepare: @escaping @Sendable (PostgreSQLConnection) throws -> Void = { _ in }
  ) {
    self.address = address
    self.role = role
    self.most = most
    self.prepare = prepare
  }

  /// A session, when there is one.
  func take() async -> PostgreSQLSession {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isFree = state.withLock { state in
        guard state.taken < most else {
          state.waiting.append(continuation)
          return false
        }
        state.taken += 1
        return true
      }
      if isFree { continuation.resume() }
    }
    // The one that was used last is the one that is trusted most.
    return state.withLock { $0.idle.popLast() } ?? PostgreSQLSession(address, role: role, preparing: prepare)
  }

  func giveBack(_ session: PostgreSQLSession) {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.idle.append(session)
      // Whoever waits takes the place.
      if !state.waiting.isEmpty { return state.waiting.removeFirst() }
      state.taken -= 1
      return nil
    }
    next?.resume()
  }

  /// Runs a body with a connection.
  /// - Throws: `PostgreSQLFailure`, and what the body throws.
  func run<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLConnection) throws -> Value
  ) async throws -> Value {
    let session = await take()
    defer { giveBack(session) }
    return try await session.run(body)
  }

  /// Runs a body in a transaction that sees one moment and writes nothing.
  func snapshot<Value: Sendable>(
    _ body: @escaping @Sendable (PostgreSQLConnection) throws -> Value
  ) async throws -> Value {
    try await run { connection in
      try connection.beginSnapshot()
      defer { try? connection.rollBack() }
      return try body(connection)
    }
  }
}
