// Exact sums of doubles that can be added to and subtracted from, one per slot. A sum is kept as fixed-point chunks of 32
// bits in 64-bit words (the small superaccumulator of R. M. Neal, "Fast exact summation using small and large
// superaccumulators", arXiv:1505.05571, 2015) and rounded once, to nearest even, when it is read.
//
// Invariant: a chunk is the sum of the parts of the values now inside, with no carry moved between chunks. So the state is
// a function of those values and not of the order or the history by which they came and went. With at most 2^30 values
// inside, a chunk stays below 2^62.
//
// Values of ordinary size (2^-30 to 2^45) meet in four neighbouring chunks, which is what a slot holds inline; a slot that
// is given anything else gets a full-width record until it is cleared.

/// Exact sums of doubles by slot.
struct ExactSums: Sendable {
  /// Chunk c holds bits 32c ..< 32c + 32 of the sum, bit 0 being 2^-1074. The largest double reaches chunk 65.
  private static let wideChunks = 66
  private static let narrowChunks = 4
  /// Chunks of a wide record, then how many of the values are +infinity, -infinity and NaN.
  private static let wideStride = wideChunks + 3
  /// First chunk of a slot that starts with an ordinary value: chunks 31 to 34 hold 2^-82 to 2^45.
  private static let ordinaryBase: UInt8 = 31
  private static let emptyMark: UInt8 = 0xFF
  private static let wideMark: UInt8 = 0xFE

  /// First chunk of each slot, or a mark.
  private var bases: [UInt8] = []
  /// Four chunks a slot; of a wide slot, the first is the number of its record.
  private var narrow: [Int64] = []
  private var wide: [Int64] = []
  private var freeRecords: [Int] = []

  var heldBytes: Int { bases.heldBytes + narrow.heldBytes + wide.heldBytes + freeRecords.heldBytes }

  /// Makes room for slots below `count`; new ones are empty.
  mutating func grow(to count: Int) {
    guard count > bases.count else { return }
    narrow.append(contentsOf: repeatElement(0, count: (count - bases.count) * Self.narrowChunks))
    bases.append(contentsOf: repeatElement(Self.emptyMark, count: count - bases.count))
  }

  /// Adds a value to the sum of a slot.
  @inline(__always)
  mutating func add(_ value: Double, to slot: Int) { change(slot, by: value, sign: 1) }

  /// Takes away a value that was added before.
  @inline(__always)
  mutating func subtract(_ value: Double, from slot: Int) { change(slot, by: value, sign: -1) }

  /// Empties a slot.
  mutating func clear(_ slot: Int) {
    let first = slot * Self.narrowChunks
    if bases[slot] == Self.wideMark {
      let record = Int(narrow[first])
      for index in record * Self.wideStride..<(record + 1) * Self.wideStride { wide[index] = 0 }
      freeRecords.append(record)
    }
    bases[slot] = Self.emptyMark
    for index in first..<first + Self.narrowChunks { narrow[index] = 0 }
  }

  /// The sum rounded to nearest even: +0 when it is zero or the slot is empty, infinite when it lies beyond the largest
  /// double, NaN when a NaN or infinities of both signs are inside.
  func value(of slot: Int) -> Double {
    let base = bases[slot]
    let first = slot * Self.narrowChunks
    if base == Self.emptyMark { return 0 }
    guard base == Self.wideMark else {
      return Self.round(narrow, from: first, count: Self.narrowChunks, base: Int(base))
    }
    let start = Int(narrow[first]) * Self.wideStride
    let special = start + Self.wideChunks
    let (positive, negative, nan) = (wide[special] > 0, wide[special + 1] > 0, wide[special + 2] > 0)
    if nan || (positive && negative) { return .nan }
    if positive { return .infinity }
    if negative { return -.infinity }
    return Self.round(wide, from: start, count: Self.wideChunks, base: 0)
  }

  // MARK: Adding

  /// A finite value as three 32-bit parts from `chunk` upwards.
  private struct Parts {
    var chunk: Int
    var low: Int64
    var middle: Int64
    var high: Int64

    @inline(__always)
    init(_ value: Double, sign: Int64) {
      let bits = value.bitPattern
      var exponent = Int(bits >> 52 & 0x7FF)
      var significand = bits & 0xF_FFFF_FFFF_FFFF
      if exponent == 0 { exponent = 1 } else { significand |= 1 << 52 }
      let shift = UInt64(truncatingIfNeeded: (exponent - 1) & 31)
      let word = significand << shift
      let sign = value.sign == .minus ? -sign : sign
      chunk = (exponent - 1) >> 5
      low = sign * Int64(word & 0xFFFF_FFFF)
      middle = sign * Int64(word >> 32)
      high = shift == 0 ? 0 : sign * Int64(significand >> (64 - shift))
    }

    /// Lowest and highest chunk that is not zero; of zero, any one chunk.
    @inline(__always)
    var span: (low: Int, high: Int) {
      (chunk + (low != 0 ? 0 : middle != 0 ? 1 : 2), chunk + (high != 0 ? 2 : middle != 0 ? 1 : 0))
    }
  }

  @inline(__always)
  private mutating func change(_ slot: Int, by value: Double, sign: Int64) {
    if value == 0 { return }
    let base = bases[slot]
    if base < Self.wideMark && value.isFinite {
      let parts = Parts(value, sign: sign)
      let offset = parts.chunk - Int(base)
      // The common case: all three parts lie inside.
      if offset >= 0 && offset + 2 < Self.narrowChunks {
        let index = slot * Self.narrowChunks + offset
        narrow[index] += parts.low
        narrow[index + 1] += parts.middle
        narrow[index + 2] += parts.high
        return
      }
    }
    changeSlowly(slot, by: value, sign: sign)
  }

  @inline(never)
  private mutating func changeSlowly(_ slot: Int, by value: Double, sign: Int64) {
    let first = slot * Self.narrowChunks
    if value.isFinite && bases[slot] != Self.wideMark {
      let parts = Parts(value, sign: sign)
      let span = parts.span
      if bases[slot] == Self.emptyMark && span.high - span.low < Self.narrowChunks {
        let ordinary = Int(Self.ordinaryBase)
        let fits = span.low >= ordinary && span.high < ordinary + Self.narrowChunks
        bases[slot] = fits ? Self.ordinaryBase : UInt8(max(0, span.high - 2))
      }
      let base = Int(bases[slot])
      if span.low >= base && span.high < base + Self.narrowChunks {
        let index = first + parts.chunk - base
        if parts.low != 0 { narrow[index] += parts.low }
        if parts.middle != 0 { narrow[index + 1] += parts.middle }
        if parts.high != 0 { narrow[index + 2] += parts.high }
        return
      }
    }
    let start = wideRecord(of: slot) * Self.wideStride
    guard value.isFinite else {
      let counter = value.isNaN ? 2 : value > 0 ? 0 : 1
      wide[start + Self.wideChunks + counter] += sign
      return
    }
    let parts = Parts(value, sign: sign)
    wide[start + parts.chunk] += parts.low
    wide[start + parts.chunk + 1] += parts.middle
    wide[start + parts.chunk + 2] += parts.high
  }

  /// The record of a wide slot; a narrow one is made wide first.
  private mutating func wideRecord(of slot: Int) -> Int {
    let first = slot * Self.narrowChunks
    if bases[slot] == Self.wideMark { return Int(narrow[first]) }
    let record: Int
    if let free = freeRecords.popLast() {
      record = free
    } else {
      record = wide.count / Self.wideStride
      wide.append(contentsOf: repeatElement(0, count: Self.wideStride))
    }
    if bases[slot] != Self.emptyMark {
      for index in 0..<Self.narrowChunks where narrow[first + index] != 0 {
        wide[record * Self.wideStride + Int(bases[slot]) + index] = narrow[first + index]
      }
    }
    bases[slot] = Self.wideMark
    narrow[first] = Int64(record)
    return record
  }

  // MARK: Rounding

  /// The value of `count` chunks, the first of which is chunk `base` of the sum.
  private static func round(_ chunks: [Int64], from start: Int, count: Int, base: Int) -> Double {
    var carry: Int64 = 0
    for index in start..<start + count { carry = (chunks[index] + carry) >> 32 }
    let sign: Int64 = carry < 0 ? -1 : 1

    // Digits of the magnitude from the lowest up. The highest that is not zero counts, with the two below it and
    // whether anything lies further below.
    var digits = DigitWindow()
    carry = 0
    for index in start..<start + count {
      let chunk = sign * chunks[index] + carry
      digits.push(UInt64(truncatingIfNeeded: chunk & 0xFFFF_FFFF))
      carry = chunk >> 32
    }
    digits.push(UInt64(truncatingIfNeeded: carry & 0xFFFF_FFFF))
    digits.push(UInt64(truncatingIfNeeded: carry >> 32))
    let magnitude = digits.rounded(base: base)
    return sign < 0 ? -magnitude : magnitude
  }

  /// The three highest digits seen and what lies below them.
  private struct DigitWindow {
    private var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private var below = false
    private var next = 0
    /// The window at the highest digit that is not zero.
    private var top: (index: Int, digits: (UInt64, UInt64, UInt64), below: Bool)?

    mutating func push(_ digit: UInt64) {
      below = below || digits.2 != 0
      digits = (digit, digits.0, digits.1)
      if digit != 0 { top = (next, digits, below) }
      next += 1
    }

    func rounded(base: Int) -> Double {
      guard let top else { return 0 }
      let (a, b, c) = top.digits
      let shift = UInt64(a.leadingZeroBitCount - 32)
      let significand = (a << 32 | b) << shift | c >> (32 - shift)
      let sticky = top.below || (c << shift) & 0xFFFF_FFFF != 0
      // 64 bits, the highest one set; 11 are too many.
      let rest = significand & 0x7FF
      var kept = significand >> 11
      if rest > 0x400 || (rest == 0x400 && (sticky || kept & 1 == 1)) { kept += 1 }
      let exponent = 32 * (top.index + base - 1) - Int(shift) + 11 - 1074
      // Exact: every sum is a multiple of 2^-1074, so nothing is left to round where the result is subnormal.
      return Double(sign: .plus, exponent: exponent, significand: Double(kept))
    }
  }
}
