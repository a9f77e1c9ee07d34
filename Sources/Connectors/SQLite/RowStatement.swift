// One SQL statement executed for thousands of rows. The general way of binding makes an object of every value; here
// numbers are bound as they are, and texts and blobs of a row lie in one buffer that is used again for the next row.
// Storing a window took 17 µs the general way, a tenth of the time of a whole run over `redset`. Texts are bound with
// their lengths: the general way ends one at its first NUL, so everything that is stored is bound here.

import Detection
import GRDB
import GRDBSQLite

/// Binds and executes row by row. Every parameter is bound for every row.
struct RowStatement {
  private let statement: Statement
  private let database: Database
  /// Texts and blobs of the row, behind one byte that belongs to none of them: an empty text needs an address as well,
  /// because SQLite takes a missing one for NULL.
  private var bytes: [UInt8] = [0]
  private var pieces: [(index: Int32, range: Range<Int>, isText: Bool)] = []
  /// Why a value of the row could not be bound, the first time.
  private var failure: DatabaseError?

  /// - Throws: `DatabaseError` where the SQL is wrong.
  init(_ sql: String, in database: Database) throws {
    statement = try database.cachedStatement(sql: sql)
    self.database = database
  }

  /// Binds an integer to the parameter `index`, from 1. What cannot be bound is thrown by `execute`, here and below.
  mutating func bind(_ value: Int64, at index: Int32) {
    note(sqlite3_bind_int64(statement.sqliteStatement, index, value))
  }

  private mutating func note(_ code: Int32) {
    if code != SQLITE_OK, failure == nil { failure = reason(of: code) }
  }

  /// Binds the text that `write` appends as UTF-8.
  mutating func bindText(at index: Int32, _ write: (inout [UInt8]) -> Void) { append(index, isText: true, write) }

  mutating func bind(_ text: String, at index: Int32) { bindText(at: index) { $0.append(contentsOf: text.utf8) } }

  /// Binds a text, or NULL.
  mutating func bind(_ text: String?, at index: Int32) {
    if let text { bind(text, at: index) } else { bindNull(at: index) }
  }

  mutating func bind(double value: Double, at index: Int32) {
    note(sqlite3_bind_double(statement.sqliteStatement, index, value))
  }

  mutating func bindNull(at index: Int32) { note(sqlite3_bind_null(statement.sqliteStatement, index)) }

  /// Binds a value of a type that is not known here.
  mutating func bind(_ value: DatabaseValue, at index: Int32) {
    switch value.storage {
    case .null: bindNull(at: index)
    case .int64(let number): bind(number, at: index)
    case .double(let number): bind(double: number, at: index)
    case .string(let text): bind(text, at: index)
    case .blob(let data): append(index, isText: false) { $0.append(contentsOf: data) }
    }
  }

  mutating func bind(blob: [UInt8], at index: Int32) { append(index, isText: false) { $0.append(contentsOf: blob) } }

  private mutating func append(_ index: Int32, isText: Bool, _ write: (inout [UInt8]) -> Void) {
    let start = bytes.count
    write(&bytes)
    pieces.append((index, start..<bytes.count, isText))
  }

  /// Executes the statement with what was bound and forgets the row.
  /// - Throws: `DatabaseError`, also where a value could not be bound: the statement is not executed then.
  mutating func execute() throws {
    defer {
      bytes.removeSubrange(1...)
      pieces.removeAll(keepingCapacity: true)
      failure = nil
    }
    let handle = statement.sqliteStatement
    // SAFETY: SQLite is told that the bytes stay where they are (a nil destructor). They do until the bindings are
    // cleared, which is before the buffer is given back. The ranges were made from the buffer's own counts, and its first
    // byte gives it an address.
    let error = bytes.withUnsafeBytes { bytes -> DatabaseError? in
      defer {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
      }
      if let failure { return failure }
      for (index, range, isText) in pieces {
        let start = bytes.baseAddress.map { $0 + range.lowerBound }
        let (text, count) = (start?.assumingMemoryBound(to: CChar.self), sqlite3_uint64(range.count))
        let code =
          isText
          ? sqlite3_bind_text64(handle, index, text, count, nil, UInt8(SQLITE_UTF8))
          : sqlite3_bind_blob64(handle, index, start, count, nil)
        guard code == SQLITE_OK else { return reason(of: code) }
      }
      let code = sqlite3_step(handle)
      return code == SQLITE_DONE ? nil : reason(of: code)
    }
    if let error { throw error }
  }

  /// What SQLite says about the call that has just given `code`.
  private func reason(of code: Int32) -> DatabaseError {
    DatabaseError(
      resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(database.sqliteConnection)),
      sql: statement.sql)
  }
}

extension Database {
  /// Executes a statement once, its values bound with their lengths.
  func execute(_ sql: String, binding values: [(any DatabaseValueConvertible)?]) throws {
    var statement = try RowStatement(sql, in: self)
    for (index, value) in values.enumerated() { statement.bind(value?.databaseValue ?? .null, at: Int32(index + 1)) }
    try statement.execute()
  }
}
