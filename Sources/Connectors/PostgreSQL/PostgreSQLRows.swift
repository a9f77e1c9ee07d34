// What a query has answered, in the binary form of the protocol. Values are read by their columns where they lie.

import CPostgreSQLLibrary

/// Rows of an answer. Freed with the last reference.
final class PostgreSQLRows: Sequence {
  fileprivate let result: OpaquePointer
  let count: Int

  /// Takes the result over.
  init(_ result: OpaquePointer) {
    self.result = result
    count = Int(PQntuples(result))
  }

  deinit { PQclear(result) }

  subscript(row: Int) -> PostgreSQLRow { PostgreSQLRow(rows: self, row: Int32(row)) }

  var first: PostgreSQLRow? { count > 0 ? self[0] : nil }

  func makeIterator() -> AnyIterator<PostgreSQLRow> {
    var next = 0
    return AnyIterator {
      guard next < self.count else { return nil }
      defer { next += 1 }
      return self[next]
    }
  }
}

/// A row of an answer.
struct PostgreSQLRow {
  fileprivate let rows: PostgreSQLRows
  fileprivate let row: Int32

  func isNull(_ column: Int32) -> Bool { PQgetisnull(rows.result, row, column) == 1 }

  /// The bytes of a value, valid as long as the rows are.
  private func value(_ column: Int32) -> UnsafeBufferPointer<UInt8> {
    // SAFETY: libpq keeps the value until the result is freed, and `rows` keeps that.
    let count = Int(PQgetlength(rows.result, row, column))
    guard let start = PQgetvalue(rows.result, row, column), count > 0 else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    return UnsafeBufferPointer(start: UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self), count: count)
  }

  /// An integer of any width; 0 where it is NULL.
  func int(_ column: Int32) -> Int64 {
    let bytes = value(column)
    var number = Int64(Int8(bitPattern: bytes.first ?? 0))
    for byte in bytes.dropFirst() { number = number << 8 | Int64(byte) }
    return number
  }

  func optionalInt(_ column: Int32) -> Int64? { isNull(column) ? nil : int(column) }

  func count(_ column: Int32) -> Int { Int(int(column)) }

  func double(_ column: Int32) -> Double { Double(bitPattern: UInt64(bitPattern: int(column))) }

  func bool(_ column: Int32) -> Bool { int(column) != 0 }

  /// A text; empty where it is NULL.
  func text(_ column: Int32) -> String { StoredText.text(value(column)) }

  func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

  /// Bytes; none where they are NULL.
  func bytes(_ column: Int32) -> [UInt8] { [UInt8](value(column)) }

  func optionalBytes(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }
}
