// What a node evaluates to: one constant for all rows, or a run of values with validity. Unlike in a `Column`, a null
// row of numbers or strings may hold anything; only booleans keep the invariant that a null row is false, so that a
// bitmap alone says which rows are TRUE. Rows that were not selected hold anything and may be valid or not.

/// The result of one node for all rows of a batch.
enum Value {
  /// The same for every row; `.null` included. A timestamp is `.timestamp`.
  case constant(Scalar)
  /// BIGINT, or TIMESTAMP in microseconds.
  case ints([Int64], Bitmap?)
  case doubles([Double], Bitmap?)
  case bools(Bitmap, Bitmap?)
  case strings(StringColumn, Bitmap?)

  init(_ column: Column) {
    switch column.values {
    case .int(let values), .timestamp(let values): self = .ints(values, column.validity)
    case .double(let values): self = .doubles(values, column.validity)
    case .bool(let values): self = .bools(values, column.validity)
    case .string(let values): self = .strings(values, column.validity)
    }
  }

  /// Whether every row is NULL.
  var isNull: Bool {
    if case .constant(.null) = self { return true }
    return false
  }

  /// Rows that are not NULL; nil when all are. Of the NULL constant it must not be asked.
  var validity: Bitmap? {
    switch self {
    case .constant: nil
    case .ints(_, let validity), .doubles(_, let validity), .bools(_, let validity), .strings(_, let validity): validity
    }
  }

  /// Rows that are not NULL, for any value.
  func validRows(_ count: Int) -> Bitmap? {
    isNull ? Bitmap(repeating: false, count: count) : validity
  }

  /// The value as a run or constant of 64-bit integers.
  var lane64: Lane<Int64> {
    switch self {
    case .ints(let values, _): return .run(values)
    case .constant(let scalar): return .constant(scalar.integer)
    default: preconditionFailure("not integers: the typed tree is wrong")
    }
  }

  var laneDouble: Lane<Double> {
    switch self {
    case .doubles(let values, _): return .run(values)
    case .constant(let scalar): return .constant(scalar.number)
    default: preconditionFailure("not doubles: the typed tree is wrong")
    }
  }

  /// TRUE rows and valid rows.
  func truth(_ count: Int) -> (bits: Bitmap, validity: Bitmap?) {
    switch self {
    case .bools(let bits, let validity): return (bits, validity)
    case .constant(.null):
      let none = Bitmap(repeating: false, count: count)
      return (none, none)
    case .constant(let scalar): return (Bitmap(repeating: scalar.truth, count: count), nil)
    default: preconditionFailure("not booleans: the typed tree is wrong")
    }
  }

  /// As strings; a constant becomes a dictionary of one entry.
  func strings(_ count: Int) -> StringColumn {
    switch self {
    case .strings(let strings, _): return strings
    case .constant(let scalar):
      let bytes = Array(scalar.text.utf8)
      return StringColumn(
        offsets: [0, UInt32(bytes.count)], bytes: bytes, codes: [UInt32](repeating: 0, count: count))
    default: preconditionFailure("not strings: the typed tree is wrong")
    }
  }

  /// The finished column: unselected rows are NULL, NULL rows hold the type's zero.
  func column(_ type: ValueType, count: Int, selection: Bitmap?) -> Column {
    if case .constant(let scalar) = self { return Self.column(scalar, type, count: count, selection: selection) }
    let valid = intersection(validity, selection).flatMap { $0.isFull ? nil : $0 }
    switch self {
    case .constant: preconditionFailure("constants are done")
    case .ints(var values, _):
      if let valid { Self.clear(&values, outside: valid, to: 0) }
      return Column(type == .timestamp ? .timestamp(values) : .int(values), validity: valid)
    case .doubles(var values, _):
      if let valid { Self.clear(&values, outside: valid, to: 0) }
      return Column(.double(values), validity: valid)
    case .bools(let bits, _): return Column(.bool(valid.map { bits & $0 } ?? bits), validity: valid)
    case .strings(let strings, _):
      return Column(.string(valid.map { Self.clear(strings, outside: $0) } ?? strings), validity: valid)
    }
  }

  private static func column(_ scalar: Scalar, _ type: ValueType, count: Int, selection: Bitmap?) -> Column {
    let valid = scalar == .null ? Bitmap(repeating: false, count: count) : selection
    let rows = valid ?? Bitmap(repeating: true, count: count)
    func filled<T>(_ zero: T, _ value: (Scalar) -> T) -> [T] {
      var values = [T](repeating: scalar == .null ? zero : value(scalar), count: count)
      if scalar != .null, !rows.isFull { clear(&values, outside: rows, to: zero) }
      return values
    }
    switch type {
    case .int: return Column(.int(filled(0, \.integer)), validity: valid)
    case .timestamp: return Column(.timestamp(filled(0, \.integer)), validity: valid)
    case .double: return Column(.double(filled(0, \.number)), validity: valid)
    case .bool:
      return Column(.bool(scalar == .bool(true) ? rows : Bitmap(repeating: false, count: count)), validity: valid)
    case .string:
      let bytes = scalar == .null ? [] : Array(scalar.text.utf8)
      var codes = [UInt32](repeating: 1, count: count)
      clear(&codes, outside: rows, to: 0)
      return Column(
        .string(StringColumn(offsets: [0, 0, UInt32(bytes.count)], bytes: bytes, codes: codes)), validity: valid)
    }
  }

  private static func clear<T>(_ values: inout [T], outside valid: Bitmap, to zero: T) {
    (~valid).forEachSet { values[$0] = zero }
  }

  /// The same strings with every invalid row empty.
  private static func clear(_ strings: StringColumn, outside valid: Bitmap) -> StringColumn {
    var isClean = true
    (~valid).forEachSet { if !strings.range(of: $0).isEmpty { isClean = false } }
    if isClean { return strings }
    guard var codes = strings.codes else {
      var builder = StringRun(count: strings.count)
      for row in 0..<strings.count { builder.append(valid[row] ? strings.bytes[strings.range(of: row)] : []) }
      return builder.finish()
    }
    let empty = UInt32(strings.entryCount)
    (~valid).forEachSet { codes[$0] = empty }
    return StringColumn(
      offsets: strings.offsets + [UInt32(strings.bytes.count)], bytes: strings.bytes, codes: codes)
  }
}

/// The operand of a kernel: a value per row, or one for all.
enum Lane<Element> {
  case run([Element])
  case constant(Element)
}

/// Builds a plain string column row by row.
struct StringRun {
  private var offsets: [UInt32]
  private(set) var bytes: [UInt8] = []

  init(count: Int) {
    offsets = [0]
    offsets.reserveCapacity(count + 1)
  }

  mutating func append(_ content: ArraySlice<UInt8>) {
    bytes.append(contentsOf: content)
    offsets.append(UInt32(bytes.count))
  }

  /// Ends the current row with what `write` appends.
  @inline(__always)
  mutating func append(_ write: (inout [UInt8]) -> Void) {
    write(&bytes)
    offsets.append(UInt32(bytes.count))
  }

  func finish() -> StringColumn { StringColumn(offsets: offsets, bytes: bytes) }
}
