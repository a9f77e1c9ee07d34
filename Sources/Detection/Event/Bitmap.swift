// A run of bits, one per row. Bit i is bit (i % 64) of word (i / 64): the layout of Arrow on little-endian machines,
// so a bitmap crosses to Arrow without conversion. Invariant: bits at and beyond `count` are zero, so whole-word
// operations, population counts and equality need no special last word.

/// One bit per row of a batch.
public struct Bitmap: Sendable, Hashable {
  /// Number of rows.
  public let count: Int
  /// `(count + 63) / 64` words; bits beyond `count` are zero.
  public private(set) var words: [UInt64]

  /// A bitmap of `count` rows that are all `value`.
  public init(repeating value: Bool, count: Int) {
    precondition(count >= 0, "a bitmap cannot have a negative count")
    self.count = count
    words = [UInt64](repeating: value ? .max : 0, count: (count + 63) / 64)
    clearTail()
  }

  /// A bitmap over existing words; bits beyond `count` are cleared. `words` must hold exactly `(count + 63) / 64`.
  public init(count: Int, words: [UInt64]) {
    precondition(words.count == (count + 63) / 64, "a bitmap of \(count) rows cannot have \(words.count) words")
    self.count = count
    self.words = words
    clearTail()
  }

  /// A bitmap whose row i is `predicate(i)`, built one word at a time.
  @inline(__always)
  public init(count: Int, where predicate: (Int) -> Bool) {
    precondition(count >= 0, "a bitmap cannot have a negative count")
    self.count = count
    // SAFETY: the loop writes each of the `(count + 63) / 64` words once; `predicate` cannot throw.
    words = [UInt64](unsafeUninitializedCapacity: (count + 63) / 64) { buffer, initialized in
      var row = 0
      while row < count {
        let end = min(row + 64, count)
        var word: UInt64 = 0
        var bit = row
        while bit < end {
          word |= (predicate(bit) ? 1 : 0) << UInt64(bit - row)
          bit += 1
        }
        buffer[row / 64] = word
        row = end
      }
      initialized = (count + 63) / 64
    }
  }

  public subscript(row: Int) -> Bool {
    @inline(__always) get {
      precondition(row >= 0 && row < count, "row outside the bitmap")
      return words[row >> 6] >> UInt64(row & 63) & 1 != 0
    }
    @inline(__always) set {
      precondition(row >= 0 && row < count, "row outside the bitmap")
      let mask = UInt64(1) << UInt64(row & 63)
      if newValue { words[row >> 6] |= mask } else { words[row >> 6] &= ~mask }
    }
  }

  /// Number of set rows.
  public var setCount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Whether no row is set.
  public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  /// Whether every row is set.
  public var isFull: Bool { setCount == count }

  /// Calls `body` with the index of every set row, in ascending order.
  @inline(__always)
  public func forEachSet(_ body: (Int) throws -> Void) rethrows {
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        try body(index << 6 + rest.trailingZeroBitCount)
        rest &= rest &- 1
      }
    }
  }

  public static func & (a: Bitmap, b: Bitmap) -> Bitmap { combine(a, b) { $0 & $1 } }
  public static func | (a: Bitmap, b: Bitmap) -> Bitmap { combine(a, b) { $0 | $1 } }
  public static prefix func ~ (a: Bitmap) -> Bitmap {
    Bitmap(count: a.count, words: a.words.map { ~$0 })
  }

  /// Rows set in `self` and not in `other`.
  public func subtracting(_ other: Bitmap) -> Bitmap { Self.combine(self, other) { $0 & ~$1 } }

  @inline(__always)
  private static func combine(_ a: Bitmap, _ b: Bitmap, _ operation: (UInt64, UInt64) -> UInt64) -> Bitmap {
    precondition(a.count == b.count, "bitmaps of different lengths")
    var result = a
    for index in result.words.indices { result.words[index] = operation(a.words[index], b.words[index]) }
    return result
  }

  private mutating func clearTail() {
    let tail = count & 63
    if tail != 0 { words[words.count - 1] &= (1 << UInt64(tail)) - 1 }
  }
}

/// The rows valid in both columns; nil stands for "all rows valid".
public func intersection(_ a: Bitmap?, _ b: Bitmap?) -> Bitmap? {
  guard let a else { return b }
  guard let b else { return a }
  return a & b
}
