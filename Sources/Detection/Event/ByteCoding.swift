// The little-endian binary encoding of everything a checkpoint stores. Integers are LEB128 varints where they are
// usually small (zigzag for signed ones), doubles their 8 bytes; strings and blobs a length and their bytes. The same
// value always gives the same bytes, so stored state can be compared bit for bit.

/// Appends values to a growing byte array.
public struct ByteWriter: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  /// Forgets what was written and keeps the memory.
  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  public mutating func write(byte: UInt8) { bytes.append(byte) }

  /// LEB128, 1 to 10 bytes.
  public mutating func write(unsigned value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Zigzag, then LEB128.
  public mutating func write(signed value: Int64) {
    write(unsigned: UInt64(bitPattern: (value << 1) ^ (value >> 63)))
  }

  /// The 8 bytes of the IEEE 754 value, little-endian; NaN payloads and the sign of zero survive.
  public mutating func write(double value: Double) {
    // SAFETY: the 8 bytes of a temporary, copied inside the closure.
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func write(bool value: Bool) { bytes.append(value ? 1 : 0) }

  public mutating func write(blob: some Collection<UInt8>) {
    write(unsigned: UInt64(blob.count))
    bytes.append(contentsOf: blob)
  }

  public mutating func write(string: String) { write(blob: string.utf8) }

  /// A type tag and the value.
  public mutating func write(scalar: Scalar) {
    switch scalar {
    case .null: write(byte: 0)
    case .int(let value):
      write(byte: 1)
      write(signed: value)
    case .double(let value):
      write(byte: 2)
      write(double: value)
    case .bool(let value):
      write(byte: 3)
      write(bool: value)
    case .string(let value):
      write(byte: 4)
      write(string: value)
    case .timestamp(let value):
      write(byte: 5)
      write(signed: value)
    }
  }
}

/// What is wrong with stored bytes.
public struct CodingError: Error, Hashable, CustomStringConvertible {
  /// What was being read, what was expected and what was found.
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// Reads what `ByteWriter` wrote. Every read throws `CodingError` on bytes that end early or cannot be right; none traps.
public struct ByteReader: Sendable {
  private let bytes: [UInt8]
  private var offset = 0

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var isAtEnd: Bool { offset == bytes.count }
  public var remaining: Int { bytes.count - offset }

  public mutating func readByte() throws(CodingError) -> UInt8 {
    guard offset < bytes.count else { throw CodingError("the bytes end at \(offset), expected one more") }
    defer { offset += 1 }
    return bytes[offset]
  }

  public mutating func readUnsigned() throws(CodingError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let byte = try readByte()
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw CodingError("an integer before byte \(offset) is longer than 64 bits")
  }

  public mutating func readSigned() throws(CodingError) -> Int64 {
    let value = try readUnsigned()
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  /// An unsigned integer that must lie in `range`: a count or an index.
  public mutating func readCount(upTo limit: Int) throws(CodingError) -> Int {
    let value = try readUnsigned()
    guard value <= UInt64(limit) else { throw CodingError("a count of \(value) at byte \(offset) exceeds \(limit)") }
    return Int(value)
  }

  public mutating func readDouble() throws(CodingError) -> Double {
    guard remaining >= 8 else { throw CodingError("the bytes end at \(bytes.count), expected 8 from \(offset)") }
    var pattern: UInt64 = 0
    for index in 0..<8 { pattern |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
    offset += 8
    return Double(bitPattern: pattern)
  }

  public mutating func readBool() throws(CodingError) -> Bool {
    let byte = try readByte()
    guard byte <= 1 else { throw CodingError("byte \(offset - 1) is \(byte), expected 0 or 1") }
    return byte == 1
  }

  public mutating func readBlob() throws(CodingError) -> [UInt8] {
    // The bytes of the count itself do not count as remaining.
    let count = try readCount(upTo: bytes.count)
    guard count <= remaining else {
      throw CodingError("\(count) bytes from \(offset) end beyond \(bytes.count)")
    }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  public mutating func readString() throws(CodingError) -> String {
    let blob = try readBlob()
    guard let string = String(validating: blob, as: UTF8.self) else {
      throw CodingError("the string before byte \(offset) is not UTF-8")
    }
    return string
  }

  public mutating func readScalar() throws(CodingError) -> Scalar {
    switch try readByte() {
    case 0: return .null
    case 1: return .int(try readSigned())
    case 2: return .double(try readDouble())
    case 3: return .bool(try readBool())
    case 4: return .string(try readString())
    case 5: return .timestamp(try readSigned())
    case let tag: throw CodingError("unknown value tag \(tag) at byte \(offset - 1)")
    }
  }
}
