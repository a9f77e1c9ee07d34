// How many bytes of text rows hold: what memory is bounded by where rows may be large.

import Detection

/// The text bytes of the rows of a batch.
struct RowWeights {
  private let columns: [StringColumn]

  init(_ columns: [Column]) {
    self.columns = columns.compactMap { if case .string(let strings) = $0.values { strings } else { nil } }
  }

  /// Bytes of text in some rows.
  func bytes(of rows: Range<Int>) -> Int {
    columns.reduce(0) { sum, strings in
      guard strings.codes == nil else { return rows.reduce(sum) { $0 + strings.range(of: $1).count } }
      return sum + Int(strings.offsets[rows.upperBound] - strings.offsets[rows.lowerBound])
    }
  }

  /// The longest run of `rows` from its beginning whose text is at most `budget` bytes but for its last row; at least one
  /// row. So the row that reaches a bound is the last of its run wherever batches end.
  func run(of rows: Range<Int>, reaching budget: Int) -> (end: Int, bytes: Int) {
    let whole = bytes(of: rows)
    if whole < budget { return (rows.upperBound, whole) }
    var sum = 0
    for row in rows {
      sum += bytes(of: row..<row + 1)
      if sum >= budget { return (row + 1, sum) }
    }
    return (rows.upperBound, sum)
  }
}
