// Within one batch, equal values of `by` get one small number, column by column, so that the key of a group is built and
// looked up once per batch and window rather than once per event.

/// The rows of a batch by equal values of `by`: SQL groups rows of one code together. Rows of different codes it may group
/// together as well, where a dictionary holds a string twice: the key of the group decides.
struct WindowGroups {
  private(set) var codes: [Int32]
  /// Every code is below this; not every number below it need occur.
  private(set) var count: Int

  /// - Precondition: `columns` is not empty; the columns have the same number of rows.
  init(_ columns: [Column]) {
    (codes, count) = Self.codes(of: columns[0])
    for column in columns.dropFirst() {
      let (others, _) = Self.codes(of: column)
      let pairs = zip(codes, others).map { UInt64(UInt32(bitPattern: $0)) << 32 | UInt64(UInt32(bitPattern: $1)) }
      (codes, count) = Self.number(pairs)
    }
  }

  /// Codes of one column; NULL has one of its own.
  private static func codes(of column: Column) -> (codes: [Int32], count: Int) {
    var (codes, count) =
      switch column.values {
      case .int, .timestamp, .bool, .double: number(WindowKeys.words(column).map { UInt64(bitPattern: $0) })
      case .string(let strings): number(strings)
      }
    guard let validity = column.validity else { return (codes, count) }
    let null = Int32(count)
    count += 1
    for row in codes.indices where !validity[row] { codes[row] = null }
    return (codes, count)
  }

  private static func number(_ strings: StringColumn) -> (codes: [Int32], count: Int) {
    if let codes = strings.codes { return (codes.map { Int32(bitPattern: $0) }, strings.entryCount) }
    return number(
      strings.count, hash: { TableHash.hash(strings.bytes, strings.range(of: $0)) },
      areEqual: { strings.bytes[strings.range(of: $0)] == strings.bytes[strings.range(of: $1)] })
  }

  private static func number(_ words: [UInt64]) -> (codes: [Int32], count: Int) {
    number(words.count, hash: { TableHash.hash(words[$0]) }, areEqual: { words[$0] == words[$1] })
  }

  /// Numbers rows by equality, in the order in which their values first occur.
  @inline(__always)
  private static func number(_ rows: Int, hash: (Int) -> UInt64, areEqual: (Int, Int) -> Bool)
    -> (codes: [Int32], count: Int)
  {
    var codes = [Int32](repeating: 0, count: rows)
    var firstRows: [Int32] = []
    // Half full at most; an entry is a code + 1.
    let mask = max(16, (rows * 2 - 1).nextPowerOfTwo) - 1
    var table = [Int32](repeating: 0, count: mask + 1)
    for row in 0..<rows {
      var at = Int(truncatingIfNeeded: hash(row)) & mask
      while table[at] != 0, !areEqual(Int(firstRows[Int(table[at]) - 1]), row) { at = (at + 1) & mask }
      if table[at] == 0 {
        firstRows.append(Int32(row))
        table[at] = Int32(firstRows.count)
      }
      codes[row] = table[at] - 1
    }
    return (codes, firstRows.count)
  }
}

extension Int {
  /// The smallest power of two that is not below a positive number.
  fileprivate var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
