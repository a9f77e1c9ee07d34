// Builds a column from pieces of others. The result is plain (no dictionary), so the same rows give the same bytes
// however they were cut into batches and however those were encoded. Invariant: only the storage of the builder's type is
// used; separate arrays, not an enumeration of them, so that appending never finds a second reference and copies.

/// Appends rows of columns of one type and gives the column they make.
public struct ColumnBuilder: Sendable {
  public let type: ValueType
  public private(set) var count = 0
  /// Values of an int or timestamp column.
  private var integers: [Int64] = []
  private var doubles: [Double] = []
  /// Bits of a bool column.
  private var booleans: [UInt64] = []
  /// Boundaries and bytes of a string column.
  private var offsets: [UInt32] = []
  private var bytes: [UInt8] = []
  /// Words of the validity so far; nil while every row is valid.
  private var validity: [UInt64]?

  /// - Parameter capacity: rows to reserve room for.
  public init(_ type: ValueType, capacity: Int = 0) {
    self.type = type
    switch type {
    case .int, .timestamp: integers.reserveCapacity(capacity)
    case .double: doubles.reserveCapacity(capacity)
    case .bool: booleans.reserveCapacity((capacity + 63) / 64)
    case .string:
      offsets.reserveCapacity(capacity + 1)
      offsets.append(0)
    }
  }

  /// Appends the given rows of a column.
  /// - Precondition: the column has the builder's type and the rows exist; strings stay below 4 GiB in total.
  public mutating func append(_ column: Column, rows: Range<Int>) {
    precondition(column.type == type, "a \(column.type) column cannot be appended to \(type)")
    precondition(rows.lowerBound >= 0 && rows.upperBound <= column.count, "rows outside the column")
    appendValidity(of: column, rows: rows)
    switch column.values {
    case .int(let more), .timestamp(let more): integers.append(contentsOf: more[rows])
    case .double(let more): doubles.append(contentsOf: more[rows])
    case .bool(let more): Self.append(more, rows: rows, to: &booleans, count: count)
    case .string(let more): append(more, rows: rows)
    }
    count += rows.count
  }

  /// The column; the builder is spent.
  public consuming func finish() -> Column {
    let validity = validity.map { Bitmap(count: count, words: $0) }
    let values: Column.Values =
      switch type {
      case .int: .int(integers)
      case .timestamp: .timestamp(integers)
      case .double: .double(doubles)
      case .bool: .bool(Bitmap(count: count, words: booleans))
      case .string: .string(StringColumn(offsets: offsets, bytes: bytes))
      }
    return Column(values, validity: validity)
  }

  private mutating func appendValidity(of column: Column, rows: Range<Int>) {
    if column.validity == nil && validity == nil { return }
    var words = validity ?? Bitmap(repeating: true, count: count).words
    validity = nil
    let added = column.validity ?? Bitmap(repeating: true, count: column.count)
    Self.append(added, rows: rows, to: &words, count: count)
    validity = words
  }

  /// Appends bits behind `count` bits that are already in `words`.
  private static func append(_ bits: Bitmap, rows: Range<Int>, to words: inout [UInt64], count: Int) {
    words.append(contentsOf: repeatElement(0, count: (count + rows.count + 63) / 64 - words.count))
    var at = count
    var row = rows.lowerBound
    while row < rows.upperBound {
      let room = min(64 - at & 63, 64 - row & 63, rows.upperBound - row)
      let mask: UInt64 = room == 64 ? .max : (1 << UInt64(room)) - 1
      words[at >> 6] |= (bits.words[row >> 6] >> UInt64(row & 63) & mask) << UInt64(at & 63)
      at += room
      row += room
    }
  }

  private mutating func append(_ strings: StringColumn, rows: Range<Int>) {
    guard !rows.isEmpty else { return }
    if strings.codes == nil {
      let first = strings.offsets[rows.lowerBound]
      let base = UInt32(bytes.count)
      bytes.append(contentsOf: strings.bytes[Int(first)..<Int(strings.offsets[rows.upperBound])])
      for row in rows { offsets.append(base + (strings.offsets[row + 1] - first)) }
    } else {
      // A slice of an array would be counted as a reference for every row.
      // SAFETY: the column has checked that its entries lie within its bytes, which stay lent during the call.
      strings.bytes.withUnsafeBufferPointer { source in
        for row in rows {
          bytes.append(contentsOf: UnsafeBufferPointer(rebasing: source[strings.range(of: row)]))
          offsets.append(UInt32(bytes.count))
        }
      }
    }
  }
}
