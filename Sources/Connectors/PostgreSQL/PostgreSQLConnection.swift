// One connection to a database, over libpq. Every call blocks: it is used by one thread at a time, which is none of the
// cooperative pool (`PostgreSQLSession`).

import CPostgreSQLLibrary
import Detection
import Foundation
import Synchronization

/// An open connection. Statements throw `PostgreSQLFailure`.
final class PostgreSQLConnection {
  /// What connections are for.
  enum Role: Sendable {
    /// Transactions that write: they end, on the server's side too, when this process is stopped in the midst of one, so that
    /// they keep no lock from whoever takes over.
    case writing
    /// Snapshots, which may take long.
    case reading
    /// Waiting for announcements.
    case listening

    fileprivate var settings: String {
      switch self {
      case .writing:
        "SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '15s';"
      case .reading: "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '15min';"
      case .listening: ""
      }
    }
  }

  let handle: OpaquePointer
  let canceller: PostgreSQLCanceller
  /// Statements that the server has prepared, by their text.
  private var prepared: [String: String] = [:]

  /// - Throws: `PostgreSQLFailure`.
  init(_ address: PostgreSQLAddress, role: Role) throws {
    let parameters = address.parameters(isWriting: role == .writing)
    var names = parameters.map { strdup($0.name) } + [nil]
    var values = parameters.map { strdup($0.value) } + [nil]
    defer { for pointer in names + values { free(pointer) } }
    // SAFETY: both arrays end with NULL and live until the call has returned; libpq copies the texts.
    let handle = names.withUnsafeMutableBufferPointer { names in
      values.withUnsafeMutableBufferPointer { values in
        names.withMemoryRebound(to: UnsafePointer<CChar>?.self) { names in
          values.withMemoryRebound(to: UnsafePointer<CChar>?.self) { values in
            PQconnectdbParams(names.baseAddress, values.baseAddress, 1)
          }
        }
      }
    }
    guard let handle else { throw PostgreSQLFailure(.full, "out of memory") }
    guard PQstatus(handle) == CONNECTION_OK else {
      let failure = PostgreSQLFailure(connection: handle)
      PQfinish(handle)
      throw failure
    }
    self.handle = handle
    canceller = PostgreSQLCanceller(handle)
    try begin(in: address.schema, role)
  }

  deinit {
    canceller.end()
    PQfinish(handle)
  }

  private func begin(in schema: String, _ role: Role) throws {
    // A notice is no trouble; libpq would print it.
    PQsetNoticeProcessor(handle, { _, _ in }, nil)
    let encoding = PQparameterStatus(handle, "server_encoding").map { String(cString: $0) }
    guard encoding == "UTF8" else {
      throw PostgreSQLFailure(.other, "the database has the encoding \(encoding ?? "?"), and UTF8 is needed")
    }
    let version = PQserverVersion(handle)
    guard version >= 130_000 else {
      throw PostgreSQLFailure(.other, "the server has version \(version / 10_000), and 13 or later is needed")
    }
    try script(
      """
      SET search_path TO \(Self.quoted(schema)); SET client_min_messages = warning; SET extra_float_digits = 1;
      SET TimeZone = 'UTC'; SET standard_conforming_strings = on; \(role.settings)
      """)
  }

  /// A name as it stands in SQL.
  static func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }

  /// Whether the server has not ended the connection, as far as is known without asking.
  var isUsable: Bool { PQconsumeInput(handle) == 1 && PQstatus(handle) == CONNECTION_OK }

  /// Asks the server for a sign of life.
  func ping() throws { try script("") }

  // MARK: Statements

  /// Executes statements without parameters.
  func script(_ sql: String) throws { PQclear(try checked(PQexec(handle, sql))) }

  /// Executes a statement that the server keeps prepared.
  /// - Returns: how many rows it has changed.
  @discardableResult
  func execute(_ sql: String, _ values: PostgreSQLValue...) throws -> Int { try execute(sql, all: values) }

  @discardableResult
  func execute(_ sql: String, all values: [PostgreSQLValue]) throws -> Int {
    var row = PostgreSQLRowBuffer()
    row.beginRow(values.count)
    for value in values { row.append(value) }
    var start = 0
    return try execute(sql, types: values.map(\.type), row, at: &start)
  }

  /// Executes a prepared statement with the values of a row.
  /// - Parameter start: where the row begins; then where the next one does.
  @discardableResult
  func execute(
    _ sql: String, types: [PostgreSQLType], _ row: PostgreSQLRowBuffer, at start: inout Int
  ) throws -> Int {
    let name = try prepare(sql, types)
    let result = try checked(
      types.isEmpty
        ? PQexecPrepared(handle, name, 0, nil, nil, nil, 1)
        : row.withParameters(at: &start) { PQexecPrepared(handle, name, Int32($0.count), $0, $1, $2, 1) })
    defer { PQclear(result) }
    return PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
  }

  private func prepare(_ sql: String, _ types: [PostgreSQLType]) throws -> String {
    if let name = prepared[sql] { return name }
    let name = "s\(prepared.count)"
    PQclear(try checked(PQprepare(handle, name, sql, Int32(types.count), types.map(\.rawValue))))
    prepared[sql] = name
    return name
  }

  /// The rows of a query, all of them.
  func rows(_ sql: String, _ values: PostgreSQLValue...) throws -> PostgreSQLRows { try rows(sql, all: values) }

  func rows(_ sql: String, all values: [PostgreSQLValue]) throws -> PostgreSQLRows {
    PostgreSQLRows(
      try checked(
        withParameters(values) { types, pointers, lengths, formats in
          PQexecParams(handle, sql, Int32(types.count), types, pointers, lengths, formats, 1)
        }))
  }

  /// Calls `body` with one row of a query after another: any number takes the memory of one.
  func forEach(_ sql: String, all values: [PostgreSQLValue], body: (PostgreSQLRow) throws -> Void) throws {
    let isSent = withParameters(values) { types, pointers, lengths, formats in
      PQsendQueryParams(handle, sql, Int32(types.count), types, pointers, lengths, formats, 1)
    }
    guard isSent == 1, PQsetSingleRowMode(handle) == 1 else { throw PostgreSQLFailure(connection: handle) }
    var failure: (any Error)?
    while let result = PQgetResult(handle) {
      let status = PQresultStatus(result)
      if status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK {
        let rows = PostgreSQLRows(result)
        // Behind an error the rest is taken and forgotten: the connection is used again.
        do { if failure == nil { for row in rows { try body(row) } } } catch { failure = error }
      } else {
        failure = failure ?? PostgreSQLFailure(result: result, of: handle)
        PQclear(result)
      }
    }
    if let failure { throw failure }
  }

  private func withParameters<Result>(
    _ values: [PostgreSQLValue],
    _ body: (_ types: [Oid], _ values: [UnsafePointer<CChar>?], _ lengths: [Int32], _ formats: [Int32]) -> Result
  ) -> Result {
    if values.isEmpty { return body([], [], [], []) }
    var row = PostgreSQLRowBuffer()
    row.beginRow(values.count)
    for value in values { row.append(value) }
    var start = 0
    let types = values.map(\.type.rawValue)
    return row.withParameters(at: &start) { body(types, $0, $1, $2) }
  }

  /// The result of a call where it is none of an error.
  private func checked(_ result: OpaquePointer?) throws -> OpaquePointer {
    switch PQresultStatus(result) {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
      if let result { return result }
      throw PostgreSQLFailure(connection: handle)
    default:
      let failure = PostgreSQLFailure(result: result, of: handle)
      PQclear(result)
      throw failure
    }
  }

  // MARK: COPY

  private static let copyHeader = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8)

  /// Copies rows into a table.
  /// - Parameters:
  ///   - preparation: statements that are executed before.
  ///   - target: the table with its columns.
  func copy(_ rows: PostgreSQLRowBuffer, after preparation: String = "", into target: String) throws {
    let begun = PQexec(handle, "\(preparation) COPY \(target) FROM STDIN (FORMAT binary)")
    defer { PQclear(begun) }
    guard PQresultStatus(begun) == PGRES_COPY_IN else { throw PostgreSQLFailure(result: begun, of: handle) }
    func put(_ bytes: [UInt8]) -> Bool {
      // SAFETY: libpq copies the bytes, or sends them, before it returns.
      bytes.withUnsafeBytes { buffer in
        var offset = 0
        while offset < buffer.count {
          let count = min(1 << 20, buffer.count - offset)
          let start = buffer.baseAddress.map { ($0 + offset).assumingMemoryBound(to: CChar.self) }
          if PQputCopyData(handle, start, Int32(count)) != 1 { return false }
          offset += count
        }
        return true
      }
    }
    let isPut = put(Self.copyHeader) && put(rows.bytes) && put([0xFF, 0xFF]) && PQputCopyEnd(handle, nil) == 1
    var failure = isPut ? nil : PostgreSQLFailure(connection: handle)
    while let result = PQgetResult(handle) {
      defer { PQclear(result) }
      guard PQresultStatus(result) != PGRES_COMMAND_OK, failure == nil || isPut == false else { continue }
      failure = PostgreSQLFailure(result: result, of: handle)
      // A broken connection gives no end of results.
      if PQstatus(handle) == CONNECTION_BAD { break }
    }
    if let failure { throw failure }
  }

  // MARK: Transactions

  /// Runs a transaction that writes. What it throws rolls it back.
  /// - Throws: `PostgreSQLFailure`, uncertain where the connection was lost at the commit; and what `body` throws.
  func transaction<Value>(_ body: (PostgreSQLConnection) throws -> Value) throws -> Value {
    try script("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    let value: Value
    do { value = try body(self) } catch {
      try? script("ROLLBACK")
      throw error
    }
    do { try script("COMMIT") } catch var failure as PostgreSQLFailure {
      // An error that the server tells has rolled back; without an answer nobody knows.
      failure.isUncertain = failure.state.isEmpty || failure.state.hasPrefix("57P") || failure.state.hasPrefix("08")
      try? script("ROLLBACK")
      throw failure
    }
    return value
  }

  /// Begins a transaction that sees one moment and writes nothing.
  func beginSnapshot() throws {
    try script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    // What is read first decides what the transaction sees.
    _ = try rows("SELECT 1")
  }

  /// Whether there is a transaction that has not failed.
  var isInTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INTRANS }

  /// Ends whatever transaction there is.
  func rollBack() throws {
    if PQtransactionStatus(handle) != PQTRANS_IDLE { try script("ROLLBACK") }
  }

  // MARK: Announcements

  /// Waits for an announcement on any channel that the connection listens to.
  /// - Parameter milliseconds: how long at most.
  /// - Returns: whether there was one.
  /// - Throws: `PostgreSQLFailure` where the connection is lost.
  func waitForNotice(milliseconds: Int32) throws -> Bool {
    var isTold = false
    func take() throws {
      guard PQconsumeInput(handle) == 1 else { throw PostgreSQLFailure(connection: handle) }
      while let notice = PQnotifies(handle) {
        isTold = true
        PQfreemem(notice)
      }
    }
    try take()
    if isTold { return true }
    var waiting = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
    if poll(&waiting, 1, milliseconds) > 0 { try take() }
    return isTold
  }
}

/// Ends the statement that a connection executes, from another thread.
///
/// SAFETY: the pointer is libpq's, which may be used by any thread, and is only touched under the lock.
final class PostgreSQLCanceller: @unchecked Sendable {
  private let lock = Mutex(())
  private var cancel: OpaquePointer?

  init(_ connection: OpaquePointer) { cancel = PQgetCancel(connection) }

  /// Asks the server to end what it executes; waits until it has been told.
  func interrupt() {
    lock.withLock { _ in
      guard let cancel else { return }
      var message = [CChar](repeating: 0, count: 256)
      PQcancel(cancel, &message, Int32(message.count))
    }
  }

  func end() {
    lock.withLock { _ in
      PQfreeCancel(cancel)
      cancel = nil
    }
  }
}
