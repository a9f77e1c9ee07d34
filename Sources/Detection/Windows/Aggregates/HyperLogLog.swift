// HyperLogLog: the number of distinct values. Flajolet, Fusy, Gandouet, Meunier: "HyperLogLog: the analysis of a
// near-optimal cardinality estimation algorithm", AofA 2007; the estimator is the improved raw estimator of Ertl: "New
// cardinality estimation algorithms for HyperLogLog sketches", arXiv 1702.01284, algorithm 6, which needs no table of
// biases. 2^12 registers of a 64-bit hash: the standard error is 1.04/√4096 = 1.6 %.
//
// A small set is a list, as in HLL++ (Heule, Nunkesser, Hall, EDBT 2013): each entry is the first 26 bits of a hash and
// the rank (leading zeros + 1) of the other 38, which is all the registers will ever need of it. Up to `maxEntries`
// entries the count is their number, wrong only where two hashes share 26 bits: an expected 0.004 of 768. Beyond,
// entries are entered into registers.
//
// Invariant: the content, and so its bytes, is a function of the set of values, whatever their order, their repetition
// and however sketches were merged: a sketch has registers if and only if its values have more than `maxEntries`
// different first 26 bits.

/// A mergeable sketch of a set that answers its size: nearly exact up to 768, then with a standard error of 1.6 %.
public struct HyperLogLog: Sendable, Equatable {
  /// Bits of the hash that choose a register.
  public static let precision = 12
  /// Largest number of entries of a small set: as many bytes as the registers.
  public static let maxEntries = 768
  /// Standard error of a large count, relative.
  public static let standardError = 0.016_25

  static let registerCount = 1 << precision
  private static let maxRank = 64 - precision + 1
  private static let entryBits = 26

  /// A small set: ascending, the first 26 bits of the hash above 6 bits of rank; one entry for each 26 bits. Empty in
  /// a large one.
  private var entries: [UInt32] = []
  /// A large set: a rank per register; empty in a small one.
  private var registers: [UInt8] = []

  public init() {}

  /// Whether nothing was added.
  public var isEmpty: Bool { entries.isEmpty && registers.isEmpty }

  /// Adds a value by its hash: 64 well-mixed bits.
  @inline(__always)
  mutating func add(hash: UInt64) {
    if registers.isEmpty {
      // The guard bit stops the count of zeros: rank 39 for 38 zeros.
      let rank = (hash << UInt64(Self.entryBits) | 1 << UInt64(Self.entryBits - 1)).leadingZeroBitCount + 1
      insert(UInt32(truncatingIfNeeded: hash >> UInt64(64 - Self.entryBits)) << 6 | UInt32(truncatingIfNeeded: rank))
    } else {
      let rank = (hash << UInt64(Self.precision) | 1 << UInt64(Self.precision - 1)).leadingZeroBitCount + 1
      let register = Int(truncatingIfNeeded: hash >> UInt64(64 - Self.precision))
      if registers[register] < rank { registers[register] = UInt8(truncatingIfNeeded: rank) }
    }
  }

  /// Bytes of its own allocations.
  var allocatedBytes: Int { Allocation.bytes(entries.capacity * 4) + Allocation.bytes(registers.count) }

  /// Adds an integer.
  public mutating func add(_ value: Int64) { add(hash: ValueHash.hash(word: UInt64(bitPattern: value))) }

  /// Adds a double; the two zeros are one value, and so are all NaN.
  public mutating func add(_ value: Double) { add(hash: ValueHash.hash(word: ValueHash.word(of: value))) }

  /// Adds a string by its UTF-8.
  public mutating func add(_ bytes: [UInt8]) { add(hash: ValueHash.hash(bytes, bytes.indices)) }

  /// Adds everything that `other` holds.
  public mutating func merge(_ other: HyperLogLog) {
    if other.registers.isEmpty {
      for entry in other.entries {
        if registers.isEmpty { insert(entry) } else { enter(entry) }
      }
    } else {
      if registers.isEmpty { makeRegisters() }
      for (index, rank) in other.registers.enumerated() where registers[index] < rank { registers[index] = rank }
    }
  }

  /// The estimated number of distinct values.
  public var estimate: Int64 {
    if registers.isEmpty { return Int64(entries.count) }
    var numbers = [Int](repeating: 0, count: Self.maxRank + 1)
    for rank in registers { numbers[Int(rank)] += 1 }
    let m = Double(Self.registerCount)
    var z = m * Self.tau(1 - Double(numbers[Self.maxRank]) / m)
    for rank in stride(from: Self.maxRank - 1, through: 1, by: -1) { z = (z + Double(numbers[rank])) * 0.5 }
    z += m * Self.sigma(Double(numbers[0]) / m)
    let estimate = 0.721_347_520_444_481_7 * m * m / z  // 1 / (2 ln 2)
    return estimate < 9e18 ? Int64(estimate.rounded()) : .max
  }

  /// Ertl's σ: x + Σ x^(2^k)·2^(k−1).
  private static func sigma(_ argument: Double) -> Double {
    if argument == 1 { return .infinity }
    var x = argument
    var y = 1.0
    var z = x
    while true {
      x *= x
      let previous = z
      z += x * y
      y += y
      if z == previous { return z }
    }
  }

  /// Ertl's τ: (1 − x − Σ (1 − x^(2^−k))²·2^(−k)) / 3.
  private static func tau(_ argument: Double) -> Double {
    if argument == 0 || argument == 1 { return 0 }
    var x = argument
    var y = 1.0
    var z = 1 - x
    while true {
      x = x.squareRoot()
      let previous = z
      y *= 0.5
      z -= (1 - x) * (1 - x) * y
      if z == previous { return z / 3 }
    }
  }
}

// MARK: - Small sets

extension HyperLogLog {
  private mutating func insert(_ entry: UInt32) {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle] < entry { low = middle + 1 } else { high = middle }
    }
    // Of the entries that share their 26 bits only the highest rank is kept, so it is this place or the one before.
    if low < entries.count, entries[low] >> 6 == entry >> 6 { return }
    if low > 0, entries[low - 1] >> 6 == entry >> 6 {
      entries[low - 1] = entry
      return
    }
    if entries.count < Self.maxEntries {
      entries.insert(entry, at: low)
    } else {
      makeRegisters()
      enter(entry)
    }
  }

  private mutating func makeRegisters() {
    let small = entries
    entries = []
    registers = [UInt8](repeating: 0, count: Self.registerCount)
    for entry in small { enter(entry) }
  }

  /// Enters a small set's entry into the registers.
  private mutating func enter(_ entry: UInt32) {
    let (register, rank) = Self.place(of: entry)
    registers[register] = max(registers[register], rank)
  }

  /// The register of an entry and its rank there: the zeros after the register's 12 bits, which end within the other
  /// 14 bits of the entry or go on into the ones its rank counts.
  private static func place(of entry: UInt32) -> (register: Int, rank: UInt8) {
    let rest = entry >> 6 & (1 << 14 - 1)
    let rank = rest == 0 ? 14 + entry & 63 : UInt32(rest.leadingZeroBitCount - 18 + 1)
    return (Int(entry >> 20), UInt8(rank))
  }
}

// MARK: - Encoding

extension HyperLogLog {
  /// Appends the sketch: the entries of a small set (their number, then the distance from the one before), or
  /// `maxEntries` + 1 and the registers at 6 bits each, the first in the lowest bits. Equal sketches give equal bytes.
  public func encode(into writer: inout ByteWriter) {
    guard !registers.isEmpty else {
      writer.write(unsigned: UInt64(entries.count))
      var previous: UInt32 = 0
      for entry in entries {
        writer.write(unsigned: UInt64(entry - previous))
        previous = entry
      }
      return
    }
    writer.write(unsigned: UInt64(Self.maxEntries + 1))
    for group in stride(from: 0, to: Self.registerCount, by: 4) {
      var word: UInt32 = 0
      for index in 0..<4 { word |= UInt32(registers[group + index]) << UInt32(6 * index) }
      for shift in [0, 8, 16] as [UInt32] { writer.write(byte: UInt8(truncatingIfNeeded: word >> shift)) }
    }
  }

  /// Reads what `encode` wrote.
  /// - Throws: `CodingError` on bytes that are not a sketch.
  public init(from reader: inout ByteReader) throws(CodingError) {
    let count = try reader.readCount(upTo: Self.maxEntries + 1)
    guard count > Self.maxEntries else {
      entries.reserveCapacity(count)
      var entry: UInt64 = 0
      for position in 0..<count {
        let previous = entry
        entry += UInt64(try reader.readCount(upTo: Int(UInt32.max)))
        let isNext = position == 0 || entry >> 6 > previous >> 6
        guard isNext, entry <= UInt32.max, (1...39).contains(entry & 63) else {
          throw CodingError("entry \(position) of a distinct count is out of order or has no possible rank")
        }
        entries.append(UInt32(entry))
      }
      return
    }
    registers.reserveCapacity(Self.registerCount)
    for _ in stride(from: 0, to: Self.registerCount, by: 4) {
      var word: UInt32 = 0
      for shift in [0, 8, 16] as [UInt32] { word |= UInt32(try reader.readByte()) << shift }
      for index in 0..<4 as Range<UInt32> {
        let rank = word >> (6 * index) & 63
        guard rank <= Self.maxRank else { throw CodingError("a register of a distinct count has rank \(rank)") }
        registers.append(UInt8(rank))
      }
    }
  }
}
