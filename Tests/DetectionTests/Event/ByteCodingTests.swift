// The encoding of stored state: what is written reads back the same, and bytes that cannot be right are an error.

import Detection
import Testing

@Suite("Byte coding")
struct ByteCodingTests {
  @Test("values read back the same, to the bit")
  func roundTrip() throws {
    let scalars: [Scalar] = [
      .null, .int(0), .int(.min), .int(.max), .int(-1), .double(-0.0), .double(.infinity),
      .double(.leastNonzeroMagnitude), .bool(true),
      .bool(false), .string(""), .string("übermäßig 🦉"), .timestamp(-62_135_596_800_000_000),
    ]
    var writer = ByteWriter()
    for scalar in scalars { writer.write(scalar: scalar) }
    for value in [UInt64(0), 127, 128, 16_383, 16_384, .max] { writer.write(unsigned: value) }
    writer.write(double: Double(nan: 5, signaling: false))
    writer.write(blob: [1, 2, 3])
    var reader = ByteReader(writer.bytes)
    for scalar in scalars {
      let read = try reader.readScalar()
      #expect(read == scalar)
      if case .double(let a) = scalar, case .double(let b) = read { #expect(a.bitPattern == b.bitPattern) }
    }
    for value in [UInt64(0), 127, 128, 16_383, 16_384, .max] { #expect(try reader.readUnsigned() == value) }
    #expect(try reader.readDouble().bitPattern == Double(nan: 5, signaling: false).bitPattern)
    #expect(try reader.readBlob() == [1, 2, 3])
    #expect(reader.isAtEnd)
  }

  @Test("every truncation is an error, none traps")
  func truncation() {
    var writer = ByteWriter()
    writer.write(string: "a string of some length")
    writer.write(scalar: .double(1.5))
    for count in 0..<writer.bytes.count {
      var reader = ByteReader(Array(writer.bytes.prefix(count)))
      #expect(throws: CodingError.self) {
        _ = try reader.readString()
        _ = try reader.readScalar()
      }
    }
  }

  @Test("a length that reaches just beyond the end is an error")
  func lengthBeyondEnd() {
    // The length counts one byte more than follow: its own byte must not be mistaken for content.
    var reader = ByteReader([3, 1, 2])
    #expect(throws: CodingError.self) { try reader.readBlob() }
    var far = ByteReader([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])
    #expect(throws: CodingError.self) { try far.readBlob() }
    var long = ByteReader([UInt8](repeating: 0x80, count: 11))
    #expect(throws: CodingError.self) { try long.readUnsigned() }
  }

  @Test("any bytes are read or refused")
  func arbitraryBytes() {
    var state: UInt64 = 7
    func random() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    var refused = 0
    for _ in 0..<5_000 {
      var reader = ByteReader((0..<Int(random() % 40)).map { _ in UInt8(truncatingIfNeeded: random()) })
      do { while !reader.isAtEnd { _ = try reader.readScalar() } } catch { refused += 1 }
    }
    #expect(refused > 1_000)
  }
}
