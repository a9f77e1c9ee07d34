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
