// Rows bound from one buffer: what is empty stays what it is, and what cannot be bound is not stored.

import Foundation
import GRDB
import Testing

@testable import Connectors

@Suite("Rows of one statement")
struct RowStatementTests {
  private static func withTable<Result>(_ body: (Database) throws -> Result) throws -> Result {
    try DatabaseQueue().write { database in
      try database.execute(sql: "CREATE TABLE rows (a INTEGER, b TEXT NOT NULL, c BLOB NOT NULL)")
      return try body(database)
    }
  }

  private static let insert = "INSERT INTO rows VALUES (?, ?, ?)"

  @Test("an empty text is a text and an empty blob a blob, also in a row that has no other bytes")
  func empty() throws {
    let rows = try Self.withTable { database in
      var insert = try RowStatement(Self.insert, in: database)
      let values: [(Int64, String, [UInt8])] = [(1, "", []), (2, "ä", [0, 255]), (3, "", [7]), (4, "b", [])]
      for (number, text, blob) in values {
        insert.bind(number, at: 1)
        insert.bind(text, at: 2)
        insert.bind(blob: blob, at: 3)
        try insert.execute()
      }
      return try String.fetchAll(
        database, sql: "SELECT a || typeof(b) || typeof(c) || quote(b) || quote(c) FROM rows ORDER BY a")
    }
    #expect(rows == ["1textblob''X''", "2textblob'ä'X'00FF'", "3textblob''X'07'", "4textblob'b'X''"])
  }

  @Test("text is stored and read whole, also with a NUL in it")
  func nul() throws {
    try Self.withTable { database in
      try database.execute(Self.insert, binding: [1, "a\0b", Data([0])])
      try database.execute(Self.insert, binding: [2, "a", Data()])
      #expect(try String.fetchAll(database, sql: "SELECT hex(b) FROM rows ORDER BY a") == ["610062", "61"])
      #expect(try WholeText.fetchAll(database, sql: "SELECT b FROM rows ORDER BY a").map(\.text) == ["a\0b", "a"])
      for (text, number) in [("a\0b", 1), ("a", 2)] {
        let sql = "SELECT a FROM rows WHERE b = CAST(? AS TEXT)"
        #expect(try Int.fetchAll(database, sql: sql, arguments: [WholeText(text)]) == [number])
      }
    }
  }

  @Test("numbers and NULL are bound as they are")
  func numbers() throws {
    let row = try DatabaseQueue().write { database in
      try database.execute(sql: "CREATE TABLE t (a, b, c)")
      try database.execute("INSERT INTO t VALUES (?, ?, ?)", binding: [1.5, nil, Int64.min])
      return try String.fetchOne(database, sql: "SELECT quote(a) || quote(b) || quote(c) FROM t")
    }
    #expect(row == "1.5NULL-9223372036854775808")
  }

  @Test("a value that cannot be bound is an error, its row is not stored, and the next row is", arguments: 0..<3)
  func failures(_ kind: Int) throws {
    try Self.withTable { database in
      var insert = try RowStatement(Self.insert, in: database)
      func bind() {
        insert.bind(1, at: 1)
        insert.bind("b", at: 2)
        insert.bind(blob: [2], at: 3)
      }
      bind()
      switch kind {
      case 0: insert.bind(1, at: 4)
      case 1: insert.bind("b", at: 4)
      default: insert.bind(blob: [2], at: 0)
      }
      let error = try #require(throws: DatabaseError.self) { try insert.execute() }
      #expect(error.resultCode == .SQLITE_RANGE && error.message == "column index out of range")
      #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM rows") == 0)
      bind()
      try insert.execute()
      #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM rows") == 1)
    }
  }
}
