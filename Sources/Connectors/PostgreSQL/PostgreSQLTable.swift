// Writing many rows at once. A few are upserted one by one, many are copied into a temporary table and upserted from there in
// one statement; both take the same bytes.

import Detection

/// A table that many rows are written to.
struct PostgreSQLTable {
  struct Column {
    let name: String
    let type: PostgreSQLType

    init(_ name: String, _ type: PostgreSQLType) { (self.name, self.type) = (name, type) }
  }

  let name: String
  let columns: [Column]
  private let types: [PostgreSQLType]
  private let upsertOne: String
  private let upsertStaged: String
  private let staging: String

  /// Rows from which on they are copied. Below, what a copy costs in messages is more than what it saves.
  private static let many = 24

  /// - Parameters:
  ///   - key: the names of its primary key.
  ///   - update: what becomes of a row that is there, which is the table's name; the new one is `excluded`.
  init(_ name: String, _ columns: [Column], key: [String], update: String) {
    self.name = name
    self.columns = columns
    types = columns.map(\.type)
    let names = columns.map(\.name).joined(separator: ", ")
    let key = key.joined(separator: ", ")
    let action = "ON CONFLICT (\(key)) DO UPDATE SET \(update)"
    let places = columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
    upsertOne = "INSERT INTO \(name) (\(names)) VALUES (\(places)) \(action)"
    // A statement does not change a row twice: of several with a key the last one counts.
    upsertStaged = """
      INSERT INTO \(name) (\(names)) SELECT DISTINCT ON (\(key)) \(names) FROM pg_temp.staged_\(name)
      ORDER BY \(key), staged_number DESC \(action)
      """
    let definitions = columns.map { "\($0.name) \($0.type.sql)" }.joined(separator: ", ")
    staging = """
      CREATE TEMP TABLE IF NOT EXISTS staged_\(name) (\(definitions), staged_number bigint GENERATED ALWAYS AS IDENTITY)
      ON COMMIT DELETE ROWS;
      """
  }

  /// Writes the rows, and forgets them.
  func write(_ rows: inout PostgreSQLRowBuffer, on connection: PostgreSQLConnection) throws {
    defer { rows.removeAll() }
    if rows.rows < Self.many {
      var start = 0
      while start < rows.bytes.count { try connection.execute(upsertOne, types: types, rows, at: &start) }
      return
    }
    let names = columns.map(\.name).joined(separator: ", ")
    try connection.copy(rows, after: staging, into: "pg_temp.staged_\(name) (\(names))")
    try connection.execute(upsertStaged)
    // The next rows of the transaction begin with none.
    try connection.execute("DELETE FROM pg_temp.staged_\(name)")
  }

  /// Whether a buffer is to be written before more comes into it.
  static func isFull(_ rows: PostgreSQLRowBuffer) -> Bool { rows.bytes.count > 8 << 20 }

  /// Whether of two rows, that of the table and the new one, all of these columns are the same.
  static func isSame(_ table: String, _ columns: String) -> String {
    let names = columns.split(separator: ",").map { $0.drop { $0 == " " || $0 == "\n" } }
    let old = names.map { "\(table).\($0)" }.joined(separator: ", ")
    let new = names.map { "excluded.\($0)" }.joined(separator: ", ")
    return "(\(old)) IS NOT DISTINCT FROM (\(new))"
  }

  /// Takes over columns of the new row.
  static func take(_ columns: String) -> String {
    columns.split(separator: ",").map { $0.drop { $0 == " " || $0 == "\n" } }.map { "\($0) = excluded.\($0)" }
      .joined(separator: ", ")
  }
}
