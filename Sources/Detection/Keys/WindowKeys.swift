// The values of `by` as keys. One int, timestamp, bool or double is a word; everything else is bytes:
// per value 0 for NULL, 1 and 8 bytes little-endian for a word, 2, 4 bytes of length and UTF-8 for a string. Doubles that
// SQL groups together have one key: the two zeros, and all NaN.

/// Turns the values of `by` into keys and back.
struct WindowKeys: Sendable {
  private let types: [ValueType]
  /// Number of values.
  var count: Int { types.count }
  /// Whether keys are words.
  let areWords: Bool

  init(_ types: [ValueType]) {
    self.types = types
    areWords = types.isEmpty || (types.count == 1 && types[0] != .string)
  }

  /// The words of a column that is the only one and no string.
  static func words(_ column: Column) -> [Int64] {
    guard case .double(let values) = column.values else { return column.words }
    return values.map(word(of:))
  }

  @inline(__always)
  private static func word(of value: Double) -> Int64 { Int64(bitPattern: ValueHash.word(of: value)) }

  /// Replaces `key` by the key of a row.
  static func write(_ columns: [Column], _ row: Int, into key: inout [UInt8]) {
    key.removeAll(keepingCapacity: true)
    for column in columns {
      if column.isNull(row) {
        key.append(0)
        continue
      }
      switch column.values {
      case .int(let values), .timestamp(let values): append(values[row], to: &key)
      case .double(let values): append(word(of: values[row]), to: &key)
      case .bool(let values): append(values[row] ? 1 : 0, to: &key)
      case .string(let values):
        let range = values.range(of: row)
        appendLength(range.count, to: &key)
        key.append(contentsOf: values.bytes[range])
      }
    }
  }

  private static func append(_ word: Int64, to key: inout [UInt8]) {
    key.append(1)
    // SAFETY: the 8 bytes of a temporary, copied inside the closure.
    withUnsafeBytes(of: word.littleEndian) { key.append(contentsOf: $0) }
  }

  private static func appendLength(_ count: Int, to key: inout [UInt8]) {
    key.append(2)
    // SAFETY: the 4 bytes of a temporary, copied inside the closure.
    withUnsafeBytes(of: UInt32(count).littleEndian) { key.append(contentsOf: $0) }
  }

  /// The key of stored values.
  /// - Throws: `CodingError` when they are not values of `by`.
  func key(of scalars: [Scalar]) throws(CodingError) -> (word: Int64, isNull: Bool, bytes: [UInt8]) {
    guard scalars.count == types.count else {
      throw CodingError("a stored window has \(scalars.count) values of `by`, expected \(types.count)")
    }
    var word: Int64 = 0
    var isNull = false
    var bytes: [UInt8] = []
    for (scalar, type) in zip(scalars, types) {
      switch (scalar, type) {
      case (.null, _):
        isNull = true
        bytes.append(0)
        continue
      case (.int(let value), .int), (.timestamp(let value), .timestamp): word = value
      case (.bool(let value), .bool): word = value ? 1 : 0
      case (.double(let value), .double): word = Self.word(of: value)
      case (.string(var value), .string):
        value.withUTF8 {
          Self.appendLength($0.count, to: &bytes)
          bytes.append(contentsOf: $0)
        }
        continue
      default: throw CodingError("a stored window has a value of another type where `by` has \(type.rawValue)")
      }
      Self.append(word, to: &bytes)
    }
    return areWords ? (word, isNull, []) : (0, false, bytes)
  }

  /// The values of an open window.
  func scalars(word: Int64, isNull: Bool, bytes: [UInt8]) -> [Scalar] {
    if areWords { return types.map { isNull ? .null : Self.scalar(word, $0) } }
    var at = 0
    func take(_ count: Int) -> ArraySlice<UInt8> {
      defer { at += count }
      return bytes[at..<at + count]
    }
    func integer(_ count: Int) -> UInt64 { take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    return types.map { type in
      switch integer(1) {
      case 0: return .null
      case 1: return Self.scalar(Int64(bitPattern: integer(8)), type)
      default:
        let count = Int(integer(4))
        return .string(String(decoding: take(count), as: UTF8.self))
      }
    }
  }

  private static func scalar(_ word: Int64, _ type: ValueType) -> Scalar {
    type == .double ? .double(Double(bitPattern: UInt64(bitPattern: word))) : Scalar(word: word, type)
  }
}
