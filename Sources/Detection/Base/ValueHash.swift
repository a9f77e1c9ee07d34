// The hash behind distinct counts: fixed, without a seed, the same in every process and
// on every machine, because sketches of different processes are merged. Changing it is a change of the state format.

/// 64-bit hashes of values.
enum ValueHash {
  /// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014)
  /// of the word plus the golden gamma. A bijection.
  @inline(__always)
  static func hash(word: UInt64) -> UInt64 {
    var z = word &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// The bits of a double with one zero and one NaN: values that are equal have equal words.
  @inline(__always)
  static func word(of value: Double) -> UInt64 {
    if value == 0 { return 0 }
    return value.isNaN ? Double.nan.bitPattern : value.bitPattern
  }

  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  /// XXH64 with seed 0 of the bytes in `range` (Collet: "xxHash fast digest algorithm", specification 0.1.1).
  static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    let input = bytes.span.bytes
    var at = range.lowerBound
    let end = range.upperBound
    var hash: UInt64
    if end - at >= 32 {
      var v1 = prime1 &+ prime2
      var v2 = prime2
      var v3: UInt64 = 0
      var v4 = 0 &- prime1
      repeat {
        v1 = round(v1, load64(input, at))
        v2 = round(v2, load64(input, at + 8))
        v3 = round(v3, load64(input, at + 16))
        v4 = round(v4, load64(input, at + 24))
        at += 32
      } while end - at >= 32
      hash = rotate(v1, 1) &+ rotate(v2, 7) &+ rotate(v3, 12) &+ rotate(v4, 18)
      for lane in [v1, v2, v3, v4] { hash = (hash ^ round(0, lane)) &* prime1 &+ prime4 }
    } else {
      hash = prime5
    }
    hash = hash &+ UInt64(range.count)
    while end - at >= 8 {
      hash = rotate(hash ^ round(0, load64(input, at)), 27) &* prime1 &+ prime4
      at += 8
    }
    if end - at >= 4 {
      let word = UInt64(UInt32(littleEndian: input.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self)))
      hash = rotate(hash ^ (word &* prime1), 23) &* prime2 &+ prime3
      at += 4
    }
    while at < end {
      hash = rotate(hash ^ (UInt64(bytes[at]) &* prime5), 11) &* prime1
      at += 1
    }
    hash = (hash ^ (hash >> 33)) &* prime2
    hash = (hash ^ (hash >> 29)) &* prime3
    return hash ^ (hash >> 32)
  }

  // SAFETY: a checked load (the span traps outside its bounds) of a type of which every bit pattern is a value.
  @inline(__always)
  private static func load64(_ input: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: input.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  private static func round(_ accumulator: UInt64, _ lane: UInt64) -> UInt64 {
    rotate(accumulator &+ lane &* prime2, 31) &* prime1
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }
}
