// Writes the number and text formats of JSON into memory that someone else owns. Invariant: `count` never exceeds
// `capacity`; whoever writes an event first calls `require` with the most bytes it can take.

/// A place in a byte buffer that moves on as it is written to.
///
/// Writing through a pointer instead of an array's subscript made a whole simulation 1.5 times as fast: the checks of
/// uniqueness and bounds are made once per event instead of once per byte.
struct LineCursor {
  /// SAFETY: `capacity` bytes that belong to whoever made the cursor and outlive it.
  private let base: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  private(set) var count = 0
  private var limit = 0

  /// - Precondition: `memory` outlives the cursor: it is used only inside the closure that lends it.
  init(_ memory: UnsafeMutableBufferPointer<UInt8>) {
    guard let base = memory.baseAddress else { preconditionFailure("lines cannot be written into no memory") }
    self.base = base
    capacity = memory.count
  }

  /// States that at most `bytes` more are written before the next call.
  mutating func require(_ bytes: Int) {
    precondition(count + bytes <= capacity, "the memory for simulated lines is too small")
    limit = count + bytes
  }

  mutating func cut(to length: Int) {
    precondition(length <= count, "a line cannot be cut to more than it has")
    count = length
  }

  mutating func replace(at place: Int, with byte: UInt8) {
    precondition(place < count, "only what is written can be replaced")
    base[place] = byte
  }

  @inline(__always)
  mutating func write(_ byte: UInt8) {
    assert(count < limit, "a line outgrew its bound")
    // SAFETY: `require` checked the room of the whole line, and `EventWriter.longestLine` bounds it.
    base[count] = byte
    count += 1
  }

  @inline(__always)
  mutating func write(_ bytes: UnsafeBufferPointer<UInt8>) {
    assert(count + bytes.count <= limit, "a line outgrew its bound")
    // SAFETY: as above; the source is another allocation.
    if let from = bytes.baseAddress { (base + count).update(from: from, count: bytes.count) }
    count += bytes.count
  }

  @inline(__always)
  mutating func write(_ bytes: [UInt8]) {
    // SAFETY: lent for the call, which copies.
    bytes.withUnsafeBufferPointer { write($0) }
  }

  @inline(__always)
  mutating func write(_ text: StaticString) {
    // SAFETY: a literal's bytes live as long as the program.
    write(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  @inline(__always)
  mutating func write(integer value: Int64) {
    if value < 0 { write(0x2D) }
    let magnitude = value.magnitude
    var length = 1
    var bound: UInt64 = 10
    while length < 19, magnitude >= bound {
      length += 1
      bound *= 10
    }
    write(magnitude, width: length)
  }

  /// The last `width` decimal digits.
  @inline(__always)
  mutating func write(_ value: UInt64, width: Int) {
    assert(count + width <= limit, "a line outgrew its bound")
    var rest = value
    var place = count + width
    while place > count {
      place -= 1
      // SAFETY: as in `write(_:)`.
      base[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    count += width
  }

  /// Sixteen hexadecimal digits.
  @inline(__always)
  mutating func write(hexadecimal value: UInt64) {
    for shift in stride(from: UInt64(60), through: 4, by: -4) { write(Self.digit(value >> shift)) }
    write(Self.digit(value))
  }

  @inline(__always)
  private static func digit(_ value: UInt64) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: value & 15)
    return digit < 10 ? 0x30 + digit : 0x57 + digit
  }
}
