// DDSketch: quantiles with a relative error bound. Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
// sketch with relative-error guarantees", PVLDB 12 (12), 2019.
//
// Each octave [2^e, 2^(e+1)) is cut into 35 bins by the cubic 35·P(s) = 6s³ − 21s² + 50s of s = x/2^e − 1, an
// interpolation of log2 (the paper, section 2.2, trades bins for speed this way). With it d(ln x)/dP = 1/((1+s)P'(s)),
// which is largest, 7/10, at s = 0 and s = 2/3, so the ends of a bin differ at most by the factor exp(0.7/35) = exp(0.02)
// and the point 2·lo·hi/(lo+hi) is at most tanh(0.01) < 0.01 away from every value of the bin, relatively. Only
// additions, multiplications and comparisons are used, so the bin of a value is the same on every machine.
//
// Guarantee: a quantile is the double nearest to a number that is within 1 % of the value at the 0-based rank
// floor(q·(n − 1)) of the sorted input, for all doubles: every bin that a double can have is kept, so nothing collapses.
// Only occupied bins take memory: 8 to 24 bytes for each, of which there are never more than values, and at most
// `maxBins` of each sign. An infinity is a bin, NaN is counted apart and takes no part.
//
// Sketches of before kept 2048 bins of each sign and counted smaller magnitudes in the lowest one. Where one of them is
// read, the quantiles that this may concern are not known and nil.
//
// Invariant: the content is a function of the multiset of values, whatever their order and however sketches were
// merged, and equal contents have equal bytes.

/// A mergeable sketch of a distribution that answers quantiles with a relative error of at most 1 %.
public struct DDSketch: Sendable, Equatable {
  /// Bins per octave.
  static let octaveBins = 35
  /// Indexes that a bin can have: of the smallest positive double, of infinity.
  static let indexes = -1074 * octaveBins...1024 * octaveBins
  /// Bins that there can be of one sign.
  static let maxBins = indexes.count
  /// Bins of one sign that earlier versions kept, 58 octaves.
  static let earlierMaxBins = 2048

  private var positive = DDSketchBins()
  private var negative = DDSketchBins()
  private var zeros: UInt64 = 0
  /// Bytes of its own allocations.
  var allocatedBytes: Int { positive.allocatedBytes + negative.allocatedBytes }

  /// Puts what has come into its bins, so that reading them off costs no more than that.
  mutating func sortIn() {
    positive.sortIn()
    negative.sortIn()
  }
  /// NaN values seen, which take no part in quantiles.
  public private(set) var notNumbers: UInt64 = 0

  public init() {}

  /// Values that take part in quantiles.
  public var count: UInt64 { positive.total + negative.total + zeros }

  /// Adds a value.
  @inline(__always)
  public mutating func add(_ value: Double) {
    let magnitude = value.magnitude
    if magnitude > 0 {
      if value > 0 { positive.add(Self.index(of: magnitude)) } else { negative.add(Self.index(of: magnitude)) }
    } else if value.isNaN {
      notNumbers = min(notNumbers + 1, DDSketchBins.maxCount)
    } else {
      zeros = min(zeros + 1, DDSketchBins.maxCount)
    }
  }

  /// Adds everything that `other` holds.
  public mutating func merge(_ other: DDSketch) {
    positive.merge(other.positive)
    negative.merge(other.negative)
    zeros = min(zeros + other.zeros, DDSketchBins.maxCount)
    notNumbers = min(notNumbers + other.notNumbers, DDSketchBins.maxCount)
  }

  /// The value at a fraction (0...1) of the sorted input; nil for an empty sketch, and where an earlier version has
  /// counted values of which the wanted one may be one in a bin that is not theirs.
  public func quantile(_ fraction: Double) -> Double? {
    precondition(fraction >= 0 && fraction <= 1, "the fraction of a quantile lies between 0 and 1")
    let count = count
    guard count > 0 else { return nil }
    let rank = fraction * Double(count - 1)
    var passed: UInt64 = 0
    for entry in negative.ascending.reversed() {
      passed += DDSketchBins.count(of: entry)
      if Double(passed) > rank { return negative.value(of: entry).map { -$0 } }
    }
    if zeros > 0 {
      passed += zeros
      if Double(passed) > rank { return 0 }
    }
    let bins = positive.ascending
    for entry in bins {
      passed += DDSketchBins.count(of: entry)
      if Double(passed) > rank { return positive.value(of: entry) }
    }
    // Beyond 2^53 values the comparison of doubles may miss the last one.
    if let last = bins.last { return positive.value(of: last) }
    return zeros > 0 ? 0 : negative.ascending.first.flatMap { negative.value(of: $0).map { -$0 } }
  }

  /// Whether both hold the same.
  public static func == (a: DDSketch, b: DDSketch) -> Bool {
    a.zeros == b.zeros && a.notNumbers == b.notNumbers
      && a.positive.ascending == b.positive.ascending && a.negative.ascending == b.negative.ascending
      && a.positive.floor == b.positive.floor && a.negative.floor == b.negative.floor
  }
}

// MARK: - Mapping

extension DDSketch {
  /// The bin of a positive value.
  @inline(__always)
  static func index(of magnitude: Double) -> Int {
    // A subnormal value is made a normal one, which is exact.
    if magnitude < .leastNormalMagnitude { return index(ofNormal: magnitude * 0x1p52) - 52 * octaveBins }
    return index(ofNormal: magnitude)
  }

  @inline(__always)
  private static func index(ofNormal magnitude: Double) -> Int {
    let bits = magnitude.bitPattern
    let exponent = Int(bits >> 52) - 1023
    let s = Double(bitPattern: bits & 0x000F_FFFF_FFFF_FFFF | 0x3FF0_0000_0000_0000) - 1
    // Just below the end of an octave the polynomial may round up to 35.
    return exponent * octaveBins + min(Int(cubic(s)), octaveBins - 1)
  }

  @inline(__always)
  private static func cubic(_ s: Double) -> Double { s * (50 + s * (6 * s - 21)) }

  /// The lower ends of the bins of an octave, as significands in 1...2, and the upper end of the last one.
  private static let significands: [Double] = (0...octaveBins).map { bin in
    // Bisection over all doubles in 1...2 by their bit patterns: the smallest that lies in the bin.
    var low = (1.0).bitPattern
    var high = (2.0).bitPattern
    while low < high {
      let middle = low + (high - low) / 2
      if cubic(Double(bitPattern: middle) - 1) >= Double(bin) { high = middle } else { low = middle + 1 }
    }
    return bin == octaveBins ? 2 : Double(bitPattern: low)
  }

  /// The value that stands for a bin.
  static func value(of index: Int) -> Double {
    let bin = (index % octaveBins + octaveBins) % octaveBins
    let exponent = (index - bin) / octaveBins
    let low = significands[bin]
    let high = significands[bin + 1]
    return Double(sign: .plus, exponent: exponent, significand: 2 * low * high / (low + high))
  }
}

// MARK: - Encoding

extension DDSketch {
  /// Appends the sketch. Equal sketches give equal bytes.
  public mutating func encode(into writer: inout ByteWriter) { encode(into: &writer, isEarlier: false) }

  /// - Parameter isEarlier: whether in the form that says nothing of floors; only where `fitsEarlierForm`.
  mutating func encode(into writer: inout ByteWriter, isEarlier: Bool) {
    writer.write(unsigned: zeros)
    writer.write(unsigned: notNumbers)
    positive.encode(into: &writer, isEarlier: isEarlier)
    negative.encode(into: &writer, isEarlier: isEarlier)
  }

  /// Whether the form of earlier versions says everything: what it was full of stands for more than is in it.
  var fitsEarlierForm: Bool { mutating get { positive.fitsEarlierForm && negative.fitsEarlierForm } }

  /// Reads what `encode` wrote.
  /// - Throws: `CodingError` on bytes that are not a sketch.
  public init(from reader: inout ByteReader) throws(CodingError) { try self.init(from: &reader, isEarlier: false) }

  /// - Parameter isEarlier: whether the bytes are of the form that kept 2048 bins and did not say what it left out.
  init(from reader: inout ByteReader, isEarlier: Bool) throws(CodingError) {
    zeros = UInt64(try reader.readCount(upTo: Int(DDSketchBins.maxCount)))
    notNumbers = UInt64(try reader.readCount(upTo: Int(DDSketchBins.maxCount)))
    positive = try DDSketchBins(from: &reader, isEarlier: isEarlier)
    negative = try DDSketchBins(from: &reader, isEarlier: isEarlier)
  }
}

// MARK: - Bins

/// The bins of one sign: sorted ones, then values and bins of others that came since and are not yet sorted in. An entry is a word,
/// index above and count below, so an addition is one append and most of a sketch is one allocation.
struct DDSketchBins: Sendable {
  /// The first `sorted` have ascending, distinct indexes.
  private var entries: [UInt64] = []
  private var sorted = 0
  /// The bin in which an earlier version may have counted smaller magnitudes: of it and those below nobody knows which
  /// values they hold. Nil where everything is in its bin.
  private(set) var floor: Int?

  private static let countBits: UInt64 = 44
  /// Largest count of a bin; more are not counted.
  static let maxCount: UInt64 = 1 << countBits - 1
  private static let bias = -DDSketch.indexes.lowerBound
  /// Fewest unsorted entries worth sorting in.
  private static let minPending = 32

  init() {}

  /// Bytes of its own allocation.
  var allocatedBytes: Int { Allocation.bytes(entries.capacity * 8) }

  /// At most 3 · `maxBins` entries, below 2^18, of `maxCount` each: no overflow.
  var total: UInt64 { entries.reduce(0) { $0 + $1 & Self.maxCount } }

  @inline(__always)
  mutating func add(_ index: Int) {
    entries.append(UInt64(truncatingIfNeeded: index &+ Self.bias) << Self.countBits | 1)
    sortWherePending()
  }

  @inline(__always)
  private mutating func sortWherePending() {
    let pending = entries.count - sorted
    if pending >= Self.minPending && pending * 2 >= sorted { sortIn() }
  }

  mutating func merge(_ other: DDSketchBins) {
    guard !other.entries.isEmpty else { return }
    floor = [floor, other.floor].compactMap { $0 }.max()
    entries.append(contentsOf: other.entries)
    sortWherePending()
  }

  /// The value that stands for the bin of an entry; nil where the floor leaves it open.
  func value(of entry: UInt64) -> Double? {
    let index = Self.index(of: entry)
    if let floor, index <= floor { return nil }
    return DDSketch.value(of: index)
  }

  /// The bins in ascending order, as entries; not a copy where nothing came since they were sorted.
  var ascending: [UInt64] {
    if sorted == entries.count { return entries }
    var copy = self
    copy.sortIn()
    return copy.entries
  }

  @inline(__always)
  static func index(of entry: UInt64) -> Int { Int(entry >> countBits) - bias }

  @inline(__always)
  static func count(of entry: UInt64) -> UInt64 { entry & maxCount }

  /// Widest range of indexes over which entries are counted rather than sorted, and the fewest for which that pays.
  private static let maxSpan = 4096
  private static let minCounted = 17

  /// Sorts all entries and adds up those of one bin.
  mutating func sortIn() {
    guard sorted < entries.count else { return }
    var low = UInt64.max
    var high: UInt64 = 0
    for entry in entries {
      low = min(low, entry >> Self.countBits)
      high = max(high, entry >> Self.countBits)
    }
    if entries.count >= Self.minCounted, high - low < UInt64(Self.maxSpan) {
      countSort(low, high)
    } else {
      entries.sort()
      addUp()
    }
    sorted = entries.count
  }

  private mutating func countSort(_ low: UInt64, _ high: UInt64) {
    var counts = [UInt64](repeating: 0, count: Int(high - low) + 1)
    for entry in entries {
      let bin = Int(truncatingIfNeeded: entry >> Self.countBits - low)
      counts[bin] = min(counts[bin] + entry & Self.maxCount, Self.maxCount)
    }
    entries.removeAll(keepingCapacity: true)
    for (bin, count) in counts.enumerated() where count > 0 {
      entries.append((low + UInt64(bin)) << Self.countBits | count)
    }
  }

  /// Makes one entry of neighbours of the same bin.
  private mutating func addUp() {
    var last = 0
    for entry in entries[1...] {
      if entry >> Self.countBits == entries[last] >> Self.countBits {
        entries[last] = Self.sum(entries[last], entry)
      } else {
        last += 1
        entries[last] = entry
      }
    }
    entries.removeSubrange((last + 1)...)
  }

  /// The bin of the first entry with the counts of both.
  private static func sum(_ entry: UInt64, _ other: UInt64) -> UInt64 {
    entry & ~maxCount | min(entry & maxCount + other & maxCount, maxCount)
  }

  /// Nothing is open, there are fewer bins than once were kept, and none of a subnormal value.
  var fitsEarlierForm: Bool {
    mutating get {
      sortIn()
      let lowest = entries.first.map(Self.index(of:)) ?? 0
      return floor == nil && entries.count < DDSketch.earlierMaxBins && lowest >= -1022 * DDSketch.octaveBins
    }
  }

  /// The floor, counted from the lowest possible bin and from 1, or 0; number of bins; then index (the first as it is,
  /// the others as distance to the one before) and count of each.
  mutating func encode(into writer: inout ByteWriter, isEarlier: Bool) {
    sortIn()
    if !isEarlier { writer.write(unsigned: floor.map { UInt64($0 + Self.bias + 1) } ?? 0) }
    writer.write(unsigned: UInt64(entries.count))
    var previous = 0
    for (position, entry) in entries.enumerated() {
      let index = Int(entry >> Self.countBits) - Self.bias
      if position == 0 {
        writer.write(signed: Int64(index))
      } else {
        writer.write(unsigned: UInt64(index - previous))
      }
      writer.write(unsigned: entry & Self.maxCount)
      previous = index
    }
  }

  init(from reader: inout ByteReader, isEarlier: Bool) throws(CodingError) {
    if !isEarlier {
      let place = try reader.readCount(upTo: DDSketch.maxBins)
      if place > 0 { floor = place - 1 - Self.bias }
    }
    let count = try reader.readCount(upTo: isEarlier ? DDSketch.earlierMaxBins : DDSketch.maxBins)
    entries.reserveCapacity(count)
    var index = 0
    for position in 0..<count {
      if position == 0 {
        index = Int(try reader.readSigned())
      } else {
        let distance = try reader.readCount(upTo: DDSketch.indexes.count)
        guard distance > 0 else { throw CodingError("a sketch has bin \(index) twice") }
        index += distance
      }
      guard DDSketch.indexes.contains(index) else { throw CodingError("a sketch cannot have bin \(index)") }
      let number = try reader.readUnsigned()
      guard number > 0, number <= Self.maxCount else { throw CodingError("a bin of a sketch counts \(number)") }
      entries.append(UInt64(index + Self.bias) << Self.countBits | number)
    }
    sorted = count
    // All bins in use: the lowest one may stand for smaller magnitudes.
    if isEarlier, count == DDSketch.earlierMaxBins { floor = entries.first.map(Self.index(of:)) }
  }
}
