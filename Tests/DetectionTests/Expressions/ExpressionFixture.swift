// A small batch and shorthands for the tests of expressions.

import Detection
import Testing

/// Foundation has a type of the same name.
typealias Expression = Detection.Expression

enum ExpressionFixture {
  static let scope = Scope([
    ("i", .int), ("j", .int), ("x", .double), ("y", .double), ("b", .bool), ("c", .bool), ("s", .string),
    ("t", .string), ("at", .timestamp), ("payload.amount", .double),
  ])

  /// The value of an expression without columns.
  static func value(_ text: String, failures: Int = 0) throws -> Scalar {
    var counted = 0
    let column = try Expression(text, scope: Scope([])).evaluate([], count: 3, failures: &counted)
    #expect(counted == failures * 3, "failures of \(text)")
    #expect(column[0] == column[2])
    return column[1]
  }

  /// The error that a text gives; fails the test when it gives none.
  static func error(_ text: String, expected: ValueType? = nil) -> ExpressionError {
    do {
      _ = try Expression(text, scope: scope, expected: expected)
    } catch {
      return error
    }
    Issue.record("no error: \(text)")
    return ExpressionError(offset: -1, length: 0, message: "none")
  }

  static func rows(_ bitmap: Bitmap) -> [Int] {
    var rows: [Int] = []
    bitmap.forEachSet { rows.append($0) }
    return rows
  }
}
