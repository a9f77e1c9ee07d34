// One SQL query that gives a row or none, executed for thousands of keys. The general way makes objects of the arguments, of
// the row and of every value, and finds columns by their names: reading 94,000 window parts so took longer than merging
// them.

import GRDB
import GRDBSQLite

/// Looks up rows by integers.
struct RowLookup {
  private let statement: Statement
  private let database: Database

  /// A row, valid until the next one is looked up.
  struct Found {
    fileprivate let handle: SQLiteStatement

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// A blob; empty where it is NULL.
    func blob(_ column: Int32) -> [UInt8] {
      // SAFETY: SQLite keeps the bytes until the statement is stepped or reset, and they are copied before that.
      guard let start = sqlite3_column_blob(handle, column) else { return [] }
      return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    func text(_ column: Int32) -> String { String(decoding: blob(column), as: UTF8.self) }
  }

  /// - Throws: `DatabaseError` where the SQL is wrong.
  init(_ sql: String, in database: Database) throws {
    statement = try database.makeStatement(sql: sql)
    self.database = database
  }

  /// Looks up the row of these integers, bound in order, and hands it to `read`; nothing where there is none.
  /// - Throws: `DatabaseError`, and what `read` throws.
  func find(_ key: Int64, _ other: Int64, _ read: (Found) throws -> Void) throws {
    let handle = statement.sqliteStatement
    defer { sqlite3_reset(handle) }
    try check(sqlite3_bind_int64(handle, 1, key), SQLITE_OK)
    try check(sqlite3_bind_int64(handle, 2, other), SQLITE_OK)
    let code = sqlite3_step(handle)
    if code == SQLITE_DONE { return }
    try check(code, SQLITE_ROW)
    try read(Found(handle: handle))
  }

  private func check(_ code: Int32, _ expected: Int32) throws {
    if code == expected { return }
    throw DatabaseError(
      resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(database.sqliteConnection)),
      sql: statement.sql)
  }
}
