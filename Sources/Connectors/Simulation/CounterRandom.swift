// Random numbers of a simulation. They are a function of (seed, name of the stream, counter), not of what was drawn
// before: the events of a block can be computed column by column, an added field does not change the others, and a
// longer run begins with a shorter one.

/// One named stream of random numbers: number n is the n-th output of SplitMix64 (Steele, Lea, Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014) started at the stream's key.
struct CounterRandom: Sendable {
  private let key: UInt64

  /// Streams of different names or seeds are unrelated.
  init(seed: UInt64, stream name: String) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a, 64 bits
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    key = Self.mix(hash ^ Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15))
  }

  /// The 64 random bits at `counter`.
  @inline(__always)
  func bits(at counter: UInt64) -> UInt64 { Self.mix(key &+ (counter &+ 1) &* 0x9e37_79b9_7f4a_7c15) }

  /// A number strictly between 0 and 1: the middle of one of 2^52 equal intervals, so that neither end is reached.
  @inline(__always)
  func uniform(at counter: UInt64) -> Double { (Double(bits(at: counter) >> 12) + 0.5) * 0x1p-52 }

  /// SplitMix64's finaliser (variant 13 of Stafford's mixers): a bijection in which every bit depends on every bit.
  @inline(__always)
  static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// Folds a value into a key made of several.
  @inline(__always)
  static func fold(_ key: UInt64, _ value: Double) -> UInt64 {
    // Adding zero makes -0 equal to 0; all NaNs (nulls) are one value.
    mix((key ^ (value.isNaN ? 0x7ff8_0000_0000_0000 : (value + 0).bitPattern)) &* 0xd6e8_feb8_6659_fd93)
  }
}
