// The aggregates of every entity's sliding window, kept up to date as entries come and go. Each result is a function of
// the entries inside and not of how they got there: integers add in 128 bits, doubles exactly (`ExactSums`), extremes are
// the top of a heap, distinct values are counted. So a window rebuilt after a crash answers bit for bit the same.

/// What a rule wants to know about one argument of its aggregates.
struct ArgumentPlan: Sendable, Hashable {
  /// What is kept for an argument; counting the values that are not null always is.
  struct Uses: OptionSet, Sendable, Hashable {
    let rawValue: UInt8
    static let sum = Uses(rawValue: 1)
    static let minimum = Uses(rawValue: 2)
    static let maximum = Uses(rawValue: 4)
    static let distinct = Uses(rawValue: 8)
  }

  var type: ValueType
  var uses: Uses = []
  /// Where the argument's words begin in those of an entry.
  var offset = 0

  /// Words an entry keeps of a value: none where only its being null matters, two for the identity of a string.
  var words: Int { uses.isEmpty ? 0 : type == .string ? 2 : 1 }

  /// Bytes kept for each entry beside its words: a node of a heap for an extreme, a place in a hash table for a value that
  /// is counted.
  var bytesPerEntry: Int {
    (uses.contains(.minimum) ? 20 : 0) + (uses.contains(.maximum) ? 20 : 0) + (uses.contains(.distinct) ? 48 : 0)
  }

  /// Bytes kept for each entity.
  var bytesPerEntity: Int {
    let sum = uses.contains(.sum) ? type == .double ? 33 : 16 : 0
    let roots = (uses.contains(.minimum) ? 4 : 0) + (uses.contains(.maximum) ? 4 : 0)
    return 4 + sum + roots + (uses.contains(.distinct) ? 4 : 0)
  }
}

/// One argument's part of the windows of all entities. Entities are slots, entries are nodes.
struct ArgumentWindows: Sendable {
  let plan: ArgumentPlan
  private var present: [UInt32] = []
  private var integers: [Int128] = []
  private var doubles = ExactSums()
  private var smallest = PairingHeap()
  private var largest = PairingHeap()
  private var smallestRoots: [UInt32] = []
  private var largestRoots: [UInt32] = []
  private var distinct = DistinctCounts()

  init(_ plan: ArgumentPlan) { self.plan = plan }

  var heldBytes: Int {
    present.heldBytes + integers.heldBytes + doubles.heldBytes + smallest.heldBytes + largest.heldBytes
      + smallestRoots.heldBytes + largestRoots.heldBytes + distinct.heldBytes
  }

  mutating func growSlots(to count: Int) {
    let more = count - present.count
    guard more > 0 else { return }
    present.append(contentsOf: repeatElement(0, count: more))
    if plan.uses.contains(.sum) {
      if plan.type == .double {
        doubles.grow(to: count)
      } else {
        integers.append(contentsOf: repeatElement(0, count: more))
      }
    }
    if plan.uses.contains(.minimum) { smallestRoots.append(contentsOf: repeatElement(PairingHeap.none, count: more)) }
    if plan.uses.contains(.maximum) { largestRoots.append(contentsOf: repeatElement(PairingHeap.none, count: more)) }
    if plan.uses.contains(.distinct) { distinct.grow(to: count) }
  }

  mutating func growNodes(to count: Int) {
    if plan.uses.contains(.minimum) { smallest.grow(to: count) }
    if plan.uses.contains(.maximum) { largest.grow(to: count) }
  }

  /// Takes in the value of an entry that is not null.
  @inline(__always)
  mutating func add(_ value: EntityKey, node: UInt32, slot: Int) {
    present[slot] += 1
    let uses = plan.uses
    if uses.contains(.sum) {
      if plan.type == .double {
        doubles.add(Double(bitPattern: value.low), to: slot)
      } else {
        integers[slot] += Int128(Int64(bitPattern: value.low))
      }
    }
    if uses.contains(.minimum) {
      smallestRoots[slot] = smallest.insert(node, key: rank(of: value), into: smallestRoots[slot])
    }
    if uses.contains(.maximum) {
      largestRoots[slot] = largest.insert(node, key: ~rank(of: value), into: largestRoots[slot])
    }
    if uses.contains(.distinct) { distinct.add(value, to: slot) }
  }

  /// Takes out the value of an entry.
  @inline(__always)
  mutating func remove(_ value: EntityKey, node: UInt32, slot: Int) {
    present[slot] -= 1
    let uses = plan.uses
    if uses.contains(.sum) {
      if plan.type == .double {
        doubles.subtract(Double(bitPattern: value.low), from: slot)
        if present[slot] == 0 { doubles.clear(slot) }
      } else {
        integers[slot] -= Int128(Int64(bitPattern: value.low))
      }
    }
    if uses.contains(.minimum) { smallestRoots[slot] = smallest.remove(node, from: smallestRoots[slot]) }
    if uses.contains(.maximum) { largestRoots[slot] = largest.remove(node, from: largestRoots[slot]) }
    if uses.contains(.distinct) { distinct.remove(value, from: slot) }
  }

  // MARK: Results

  @inline(__always)
  func count(of slot: Int) -> Int { Int(present[slot]) }

  @inline(__always)
  func integerSum(of slot: Int) -> Int128 { integers[slot] }

  @inline(__always)
  func doubleSum(of slot: Int) -> Double { doubles.value(of: slot) }

  func distinctCount(of slot: Int) -> Int { distinct.count(of: slot) }

  /// The word of the smallest or largest value inside; nil when there is none.
  func extreme(of slot: Int, largest wantsLargest: Bool) -> UInt64? {
    let root = wantsLargest ? largestRoots[slot] : smallestRoots[slot]
    guard root != PairingHeap.none else { return nil }
    return word(ofRank: wantsLargest ? ~largest.key(of: root) : smallest.key(of: root))
  }

  // MARK: Order

  /// An integer that orders values as SQL does: NaN above infinity.
  @inline(__always)
  private func rank(of value: EntityKey) -> Int64 {
    let bits = Int64(bitPattern: value.low)
    guard plan.type == .double else { return bits }
    return bits < 0 ? bits ^ Int64.max : bits
  }

  @inline(__always)
  private func word(ofRank rank: Int64) -> UInt64 {
    guard plan.type == .double else { return UInt64(bitPattern: rank) }
    return UInt64(bitPattern: rank < 0 ? rank ^ Int64.max : rank)
  }
}

/// The arguments of a batch's chosen rows as words, row by row, ready to become entries.
struct StagedArguments: Sendable {
  /// `width` words a row.
  private(set) var words: [UInt64]
  /// Bit a of a row's mask: argument a is null.
  private(set) var nulls: [UInt32]
  let width: Int

  /// Columns are the arguments in the order of `plans`, over the whole batch.
  init(_ columns: [Column], plans: [ArgumentPlan], rows: [Int]) {
    width = plans.reduce(0) { $0 + $1.words }
    words = [UInt64](repeating: 0, count: width * rows.count)
    nulls = [UInt32](repeating: 0, count: rows.count)
    for (index, (column, plan)) in zip(columns, plans).enumerated() {
      if let validity = column.validity {
        for (ordinal, row) in rows.enumerated() where !validity[row] { nulls[ordinal] |= 1 << UInt32(index) }
      }
      if plan.words > 0 { fill(EntityKeys.keys(of: column, rows: rows), plan) }
    }
  }

  private mutating func fill(_ keys: [EntityKey], _ plan: ArgumentPlan) {
    for (ordinal, key) in keys.enumerated() {
      words[ordinal * width + plan.offset] = key.low
      if plan.words == 2 { words[ordinal * width + plan.offset + 1] = key.high }
    }
  }
}
