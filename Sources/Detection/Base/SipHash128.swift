// A keyed hash of bytes (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012).

/// SipHash-2-4 with 128 bits of output.
struct SipHash128 {
  /// The key 00 01 … 0f of its reference test vectors.
  static let publicKey: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64

  @inline(__always)
  init(key: (UInt64, UInt64) = publicKey) {
    v0 = key.0 ^ 0x736F_6D65_7073_6575
    v1 = key.1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
    v2 = key.0 ^ 0x6C79_6765_6E65_7261
    v3 = key.1 ^ 0x7465_6462_7974_6573
  }

  /// The digest of a run of bytes.
  @inline(__always)
  mutating func digest(of bytes: [UInt8], _ range: Range<Int>) -> (low: UInt64, high: UInt64) {
    var offset = range.lowerBound
    while offset + 8 <= range.upperBound {
      absorb(Self.word(bytes, offset, 8))
      offset += 8
    }
    return finish(byteCount: range.count, tail: Self.word(bytes, offset, range.upperBound - offset))
  }

  /// Takes in eight bytes, the first in the lowest bits.
  @inline(__always)
  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  /// The digest of what was taken in and up to seven more bytes; `byteCount` counts all.
  @inline(__always)
  mutating func finish(byteCount: Int, tail: UInt64 = 0) -> (low: UInt64, high: UInt64) {
    absorb(UInt64(truncatingIfNeeded: byteCount & 0xFF) << 56 | tail)
    v2 ^= 0xEE
    for _ in 0..<4 { round() }
    let low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xDD
    for _ in 0..<4 { round() }
    return (low, v0 ^ v1 ^ v2 ^ v3)
  }

  @inline(__always)
  private static func word(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    var word: UInt64 = 0
    var index = 0
    while index < count {
      word |= UInt64(bytes[offset + index]) << UInt64(truncatingIfNeeded: 8 * index)
      index += 1
    }
    return word
  }

  @inline(__always)
  private mutating func round() {
    v0 &+= v1
    v1 = v1 << 13 | v1 >> 51
    v1 ^= v0
    v0 = v0 << 32 | v0 >> 32
    v2 &+= v3
    v3 = v3 << 16 | v3 >> 48
    v3 ^= v2
    v0 &+= v3
    v3 = v3 << 21 | v3 >> 43
    v3 ^= v0
    v2 &+= v1
    v1 = v1 << 17 | v1 >> 47
    v1 ^= v2
    v2 = v2 << 32 | v2 >> 32
  }
}
