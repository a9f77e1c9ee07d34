// Random numbers for fitting models: the same seed gives the same model on every machine and with every version of the
// standard library.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter with an odd
/// step whose bits are mixed. Every seed has the full period of 2^64.
public struct FittingRandom: Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  /// A generator of its own for part `index` of what is fitted, so that parts do not depend on how many numbers the
  /// others drew.
  public init(seed: UInt64, part index: Int) {
    var parent = FittingRandom(seed: seed)
    // Added before mixing: part 2 of seed 1 is not part 1 of seed 2.
    state = Self.mix(parent.next() &+ UInt64(truncatingIfNeeded: index))
  }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return Self.mix(state)
  }

  /// One of 0, 1, … `bound` - 1, each equally likely (Lemire, "Fast random integer generation in an interval", 2019).
  public mutating func next(below bound: Int) -> Int {
    precondition(bound > 0, "there is no number below \(bound) to draw")
    let bound = UInt64(bound)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      // 2^64 mod bound of the low halves would make some results likelier.
      let excess = (0 &- bound) % bound
      while product.low < excess { product = next().multipliedFullWidth(by: bound) }
    }
    return Int(product.high)
  }

  /// A number of [0, 1): a multiple of 2^-53.
  public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Variant 13 of Stafford's mixers.
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// `count` different numbers of 0, 1, … `bound` - 1, every set equally likely, in an order that means nothing (Floyd's
  /// algorithm; Bentley, "Programming pearls: a sample of brilliance", CACM 1987). Time and memory grow with `count` only.
  public mutating func sample(_ count: Int, below bound: Int) -> [Int] {
    precondition(count <= bound, "\(count) of \(bound) cannot differ")
    var drawn: Set<Int> = []
    drawn.reserveCapacity(count)
    var result: [Int] = []
    result.reserveCapacity(count)
    for last in bound - count..<bound {
      let candidate = next(below: last + 1)
      let chosen = drawn.insert(candidate).inserted ? candidate : last
      if chosen == last { drawn.insert(last) }
      result.append(chosen)
    }
    return result
  }
}
