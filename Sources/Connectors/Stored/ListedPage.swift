// What lists have in common, whatever the store is made of.

import Detection
import Pipeline

extension PageCursor {
  /// What the list is ordered by.
  /// - Throws: `OperatingError` where the cursor belongs to another list.
  func keys(count: Int) throws -> [Scalar] {
    guard keys.count == count else {
      throw OperatingError(.input, "the cursor of the list belongs to another list: begin at its first page")
    }
    return keys
  }
}

extension ResultFilter {
  /// How many rows a page has at most.
  var pageRows: Int { limit == 0 ? PageCursor.maxRows : min(limit, PageCursor.maxRows) }
}

extension Scalar {
  /// A key of a cursor; 0 where it is none.
  var integer: Int64 { if case .int(let value) = self { value } else { 0 } }
  /// A key of a cursor; empty where it is none.
  var text: String { if case .string(let value) = self { value } else { "" } }
}
