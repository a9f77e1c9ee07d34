// The hash behind tables in memory whose order shows in no result: different in every process, so that whoever chooses keys
// cannot choose them to collide (S. A. Crosby, D. S. Wallach, "Denial of Service via Algorithmic Complexity Attacks", USENIX
// Security 2003). Words are multiplied with secret odd numbers before they are mixed, strings hashed by SipHash under a
// secret key. What is stored or merged uses `ValueHash`, which is the same everywhere.

/// 64-bit hashes for tables of this process.
enum TableHash {
  private struct Secret: Sendable {
    let offset = UInt64.random(in: .min ... .max)
    let first = UInt64.random(in: .min ... .max) | 1
    let second = UInt64.random(in: .min ... .max) | 1
    let key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
  }

  private static let secret = Secret()

  /// The hash of one word, or of two.
  @inline(__always)
  static func hash(_ a: UInt64, _ b: UInt64 = 0) -> UInt64 {
    let secret = secret
    return ValueHash.hash(word: (a ^ secret.offset) &* secret.first &+ b &* secret.second)
  }

  /// The hash of the bytes in `range`.
  static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    var hash = SipHash128(key: secret.key)
    return hash.digest(of: bytes, range).low
  }
}
