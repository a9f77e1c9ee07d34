// Fixed-size identities of entities and of distinct values, the same on every machine and in every run. One number, or
// two, is itself. Anything with a string in it is its SipHash-2-4 of 128 bits (J.-P. Aumasson, D. J. Bernstein,
// "SipHash: a fast short-input PRF", 2012) under a fixed key: at a million entities two of them meet with a probability
// below 2^-88. So the memory of a rule does not depend on the length of strings.

/// The identity of an entity or a value, among those of one type.
struct EntityKey: Sendable, Hashable {
  var low: UInt64
  var high: UInt64 = 0

  /// The identity of a string of the given UTF-8.
  @inline(__always)
  init(hashing bytes: [UInt8], _ range: Range<Int>) {
    var hash = SipHash128()
    (low, high) = hash.digest(of: bytes, range)
  }

  /// The identity of two values together.
  init(hashing a: EntityKey, _ b: EntityKey) {
    var hash = SipHash128()
    for word in [a.low, a.high, b.low, b.high] { hash.absorb(word) }
    (low, high) = hash.finish(byteCount: 32)
  }

  @inline(__always)
  init(low: UInt64, high: UInt64 = 0) {
    self.low = low
    self.high = high
  }
}

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

/// The entities of chosen rows of a batch, computed column by column.
struct EntityKeys: Sendable {
  /// One per chosen row.
  private(set) var keys: [EntityKey]
  /// Chosen rows (by their ordinal) that have no entity because one of its fields is null; nil when there is none.
  private(set) var missing: Bitmap?

  /// The keys of `rows` by the given columns, in their order. No column makes all rows one entity.
  init(_ columns: [Column], rows: [Int]) {
    keys = [EntityKey](repeating: EntityKey(low: 0), count: rows.count)
    for (index, column) in columns.enumerated() {
      let part = Self.keys(of: column, rows: rows)
      if index == 0 {
        keys = part
      } else if index == 1 && columns[0].type != .string && column.type != .string {
        for ordinal in rows.indices { keys[ordinal].high = part[ordinal].low }
      } else {
        for ordinal in rows.indices { keys[ordinal] = EntityKey(hashing: keys[ordinal], part[ordinal]) }
      }
      guard let validity = column.validity else { continue }
      let absent = Bitmap(count: rows.count) { !validity[rows[$0]] }
      if !absent.isEmpty { missing = missing.map { $0 | absent } ?? absent }
    }
  }

  /// The identity of each chosen row's value.
  static func keys(of column: Column, rows: [Int]) -> [EntityKey] {
    switch column.values {
    case .int(let values), .timestamp(let values):
      return rows.map { EntityKey(low: UInt64(bitPattern: values[$0])) }
    case .double(let values): return rows.map { EntityKey(low: ValueHash.word(of: values[$0])) }
    case .bool(let values): return rows.map { EntityKey(low: values[$0] ? 1 : 0) }
    case .string(let values): return keys(of: values, rows: rows)
    }
  }

  private static func keys(of strings: StringColumn, rows: [Int]) -> [EntityKey] {
    // Of a dictionary that is smaller than the rows, each entry is hashed once.
    guard strings.codes != nil, strings.entryCount <= rows.count else {
      return rows.map { EntityKey(hashing: strings.bytes, strings.range(of: $0)) }
    }
    let entries = (0..<strings.entryCount).map { EntityKey(hashing: strings.bytes, strings.range(ofEntry: $0)) }
    return rows.map { entries[strings.entry(of: $0)] }
  }
}
