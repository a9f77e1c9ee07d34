// Values on their way to the server, in the binary form of the protocol: rows as COPY takes them, of which each is as well
// the parameters of a statement. One buffer takes any number of rows, without an object for any of them.

import CPostgreSQLLibrary

/// The types that tables are made of.
enum PostgreSQLType: Oid {
  case bool = 16
  case bytes = 17
  case int = 20
  case text = 25
  case double = 701
  case byteLists = 1001
  case texts = 1009
  case ints = 1016

  var sql: String {
    switch self {
    case .bool: "boolean"
    case .bytes: "bytea"
    case .int: "bigint"
    case .text: #"text COLLATE "C""#
    case .double: "double precision"
    case .byteLists: "bytea[]"
    case .texts: "text[]"
    case .ints: "bigint[]"
    }
  }
}

/// A parameter of a statement.
enum PostgreSQLValue: Sendable {
  case int(Int64?)
  case double(Double)
  case text(String?)
  case bytes([UInt8]?)
  case bool(Bool)
  case ints([Int64])
  case texts([String])
  case byteLists([[UInt8]])

  static func int(_ value: some BinaryInteger) -> Self { .int(Int64?.some(Int64(value))) }

  var type: PostgreSQLType {
    switch self {
    case .int: .int
    case .double: .double
    case .text: .text
    case .bytes: .bytes
    case .bool: .bool
    case .ints: .ints
    case .texts: .texts
    case .byteLists: .byteLists
    }
  }
}

/// Rows of values: for each row their number, and for each value its length and its bytes, all big-endian.
struct PostgreSQLRowBuffer {
  private(set) var bytes: [UInt8] = []
  private(set) var rows = 0

  /// Begins a row of so many values.
  mutating func beginRow(_ columns: Int) {
    rows += 1
    append(integer: Int16(columns))
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    rows = 0
  }

  private mutating func append(integer value: some FixedWidthInteger) {
    // SAFETY: the bytes of a local integer.
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func appendNull() { append(integer: Int32(-1)) }

  mutating func append(_ value: Int64) {
    append(integer: Int32(8))
    append(integer: value)
  }

  /// Appends an integer, or NULL.
  mutating func append(_ value: Int64?) { if let value { append(value) } else { appendNull() } }

  mutating func append(_ value: Double) { append(Int64(bitPattern: value.bitPattern)) }

  mutating func append(_ value: Bool) {
    append(integer: Int32(1))
    bytes.append(value ? 1 : 0)
  }

  mutating func append(bytes value: [UInt8]) {
    append(integer: Int32(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func append(_ text: String) { appendText { $0.append(contentsOf: text.utf8) } }

  /// Appends a text, or NULL.
  mutating func append(_ text: String?) { if let text { append(text) } else { appendNull() } }

  /// Appends the text that `write` appends as UTF-8.
  mutating func appendText(_ write: (inout [UInt8]) -> Void) {
    append(integer: Int32(0))
    let start = bytes.count
    write(&bytes)
    StoredText.escape(&bytes, from: start)
    // The length is known now.
    let count = UInt32(bytes.count - start)
    for index in 0..<4 { bytes[start - 4 + index] = UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32(index))) }
  }

  mutating func append(_ value: PostgreSQLValue) {
    switch value {
    case .int(let value): append(value)
    case .double(let value): append(value)
    case .text(let value): append(value)
    case .bytes(let value): if let value { append(bytes: value) } else { appendNull() }
    case .bool(let value): append(value)
    case .ints(let values): appendArray(values, of: .int) { $0.append($1) }
    case .texts(let values): appendArray(values, of: .text) { $0.append($1) }
    case .byteLists(let values): appendArray(values, of: .bytes) { $0.append(bytes: $1) }
    }
  }

  /// Appends an array of one dimension, without NULLs.
  private mutating func appendArray<Element>(
    _ values: [Element], of type: PostgreSQLType, _ append: (inout Self, Element) -> Void
  ) {
    var array = Self()
    array.append(integer: Int32(values.isEmpty ? 0 : 1))
    array.append(integer: Int32(0))
    array.append(integer: Int32(bitPattern: type.rawValue))
    if !values.isEmpty {
      array.append(integer: Int32(values.count))
      array.append(integer: Int32(1))
      for value in values { append(&array, value) }
    }
    self.append(bytes: array.bytes)
  }

  /// Calls `body` with the values of the row that begins at `start`, as libpq takes parameters.
  /// - Parameter start: where the row begins; then where the next one does.
  func withParameters<Result>(
    at start: inout Int,
    _ body: (_ values: [UnsafePointer<CChar>?], _ lengths: [Int32], _ formats: [Int32]) throws -> Result
  ) rethrows -> Result {
    // SAFETY: the pointers lead into the buffer, which is not touched until `body` has returned, and the ranges are those
    // that were written.
    try bytes.withUnsafeBytes { buffer in
      func integer(_ offset: Int) -> UInt32 {
        UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      }
      let columns = Int(integer(start) >> 16)
      var offset = start + 2
      var values: [UnsafePointer<CChar>?] = []
      var lengths: [Int32] = []
      for _ in 0..<columns {
        let length = Int32(bitPattern: integer(offset))
        offset += 4
        // SAFETY: within the buffer. What has no bytes needs an address as well: without one it would be NULL.
        let value = buffer.baseAddress.map { ($0 + min(offset, buffer.count - 1)).assumingMemoryBound(to: CChar.self) }
        values.append(length < 0 ? nil : value)
        lengths.append(max(0, length))
        offset += Int(max(0, length))
      }
      start = offset
      return try body(values, lengths, [Int32](repeating: 1, count: columns))
    }
  }
}

/// Texts as the server keeps them. It has no text with a NUL in it, and stored texts may have one, so the first four characters
/// are written as three others, in a way that changes neither the order of texts nor which texts contain which: the byte 1,
/// then two bytes of 2 or 3.
enum StoredText {
  private static let lead: UInt8 = 1

  /// Replaces what cannot be stored, from an offset on.
  static func escape(_ bytes: inout [UInt8], from start: Int) {
    guard let first = bytes[start...].firstIndex(where: { $0 < 4 }) else { return }
    let rest = Array(bytes[first...])
    bytes.removeSubrange(first...)
    for byte in rest {
      if byte < 4 { bytes += [lead, 2 + byte >> 1, 2 + byte & 1] } else { bytes.append(byte) }
    }
  }

  /// The text of stored bytes.
  static func text(_ stored: UnsafeBufferPointer<UInt8>) -> String {
    guard stored.contains(lead) else { return String(decoding: stored, as: UTF8.self) }
    var bytes: [UInt8] = []
    var index = 0
    while index < stored.count {
      if stored[index] == lead, index + 2 < stored.count {
        bytes.append((stored[index + 1] - 2) << 1 | (stored[index + 2] - 2))
        index += 3
      } else {
        bytes.append(stored[index])
        index += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A text as it is stored.
  static func stored(_ text: String) -> String {
    var bytes = Array(text.utf8)
    escape(&bytes, from: 0)
    return String(decoding: bytes, as: UTF8.self)
  }
}
