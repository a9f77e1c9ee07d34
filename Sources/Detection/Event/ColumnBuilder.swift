// Builds a column from pieces of others. The result is plain (no dictionary), so the same rows give the same bytes
// however they were cut into batches and however those were encoded.

/// Appends rows of columns of one type and gives the column they make.
public struct ColumnBuilder: Sendable {
  private enum Values: Sendable {
    case int([Int64])
    case double([Double])
    case bool([UInt64])
    case string(offsets: [UInt32], bytes: [UInt8])
    case timestamp([Int64])
  }

  public let type: ValueType
  public private(set) var count = 0
  private var values: Values
  /// Words of the validity so far; nil while every row is valid.
  private var validity: [UInt64]?

  /// - Parameter capacity: rows to reserve room for.
  public init(_ type: ValueType, capacity: Int = 0) {
    self.type = type
    func reserved<T>(_ count: Int) -> [T] {
      var array: [T] = []
      array.reserveCapacity(count)
      return array
    }
    switch type {
    case .int: values = .int(reserved(capacity))
    case .double: values = .double(reserved(capacity))
    case .bool: values = .bool(reserved((capacity + 63) / 64))
    case .timestamp: values = .timestamp(reserved(capacity))
    case .string:
      var offsets: [UInt32] = reserved(capacity + 1)
      offsets.append(0)
      values = .string(offsets: offsets, bytes: [])
    }
  }

  /// Appends the given rows of a column.
  /// - Precondition: the column has the builder's type and the rows exist; strings stay below 4 GiB in total.
  public mutating func append(_ column: Column, rows: Range<Int>) {
    precondition(column.type == type, "a \(column.type) column cannot be appended to \(type)")
    precondition(rows.lowerBound >= 0 && rows.upperBound <= column.count, "rows outside the column")
    appendValidity(of: column, rows: rows)
    // Taking the storage out of the enumeration keeps it uniquely owned, so appending does not copy it.
    let taken = values
    values = .int([])
    switch (consume taken, column.values) {
    case (.int(var all), .int(let more)):
      all.append(contentsOf: more[rows])
      values = .int(all)
    case (.timestamp(var all), .timestamp(let more)):
      all.append(contentsOf: more[rows])
      values = .timestamp(all)
    case (.double(var all), .double(let more)):
      all.append(contentsOf: more[rows])
      values = .double(all)
    case (.bool(var all), .bool(let more)):
      Self.append(more, rows: rows, to: &all, count: count)
      values = .bool(all)
    case (.string(var offsets, var bytes), .string(let more)):
      Self.append(more, rows: rows, offsets: &offsets, bytes: &bytes)
      values = .string(offsets: offsets, bytes: bytes)
    default: preconditionFailure("the builder holds another type than it was made for")
    }
    count += rows.count
  }

  /// The column; the builder is spent.
  public consuming func finish() -> Column {
    let validity = validity.map { Bitmap(count: count, words: $0) }
    switch values {
    case .int(let all): return Column(.int(all), validity: validity)
    case .double(let all): return Column(.double(all), validity: validity)
    case .timestamp(let all): return Column(.timestamp(all), validity: validity)
    case .bool(let words): return Column(.bool(Bitmap(count: count, words: words)), validity: validity)
    case .string(let offsets, let bytes):
      return Column(.string(StringColumn(offsets: offsets, bytes: bytes)), validity: validity)
    }
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
    var at = count
    var row = rows.lowerBound
    words.append(contentsOf: repeatElement(0, count: (count + rows.count + 63) / 64 - words.count))
    while row < rows.upperBound {
      let room = min(64 - at & 63, 64 - row & 63, rows.upperBound - row)
      let mask: UInt64 = room == 64 ? .max : (1 << UInt64(room)) - 1
      words[at >> 6] |= (bits.words[row >> 6] >> UInt64(row & 63) & mask) << UInt64(at & 63)
      at += room
      row += room
    }
  }

  private static func append(
    _ strings: StringColumn, rows: Range<Int>, offsets: inout [UInt32], bytes: inout [UInt8]
  ) {
    if strings.codes == nil {
      let first = Int(strings.offsets[rows.lowerBound])
      let base = UInt32(bytes.count)
      bytes.append(contentsOf: strings.bytes[first..<Int(strings.offsets[rows.upperBound])])
      for row in rows { offsets.append(base + strings.offsets[row + 1] - UInt32(first)) }
    } else {
      for row in rows {
        bytes.append(contentsOf: strings.bytes[strings.range(of: row)])
        offsets.append(UInt32(bytes.count))
      }
    }
  }
}
