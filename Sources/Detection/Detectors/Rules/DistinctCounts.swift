// Exact numbers of distinct values by slot: how often each value is inside, in one table for all slots. Invariant: a
// value that is inside no more has no entry; `counts[slot]` is the number of entries of the slot.

/// Counted sets of values by slot.
struct DistinctCounts: Sendable {
  private struct Member: Hashable {
    var slot: UInt32
    var value: EntityKey
  }

  private var occurrences: [Member: UInt32] = [:]
  private var counts: [UInt32] = []

  var heldBytes: Int { occurrences.heldBytes + counts.heldBytes }

  /// Makes room for slots below `count`; new ones are empty.
  mutating func grow(to count: Int) {
    guard count > counts.count else { return }
    counts.append(contentsOf: repeatElement(0, count: count - counts.count))
  }

  mutating func add(_ value: EntityKey, to slot: Int) {
    let occurrence = occurrences[Member(slot: UInt32(slot), value: value), default: 0]
    occurrences[Member(slot: UInt32(slot), value: value)] = occurrence + 1
    if occurrence == 0 { counts[slot] += 1 }
  }

  /// Takes away one occurrence of a value that is inside.
  mutating func remove(_ value: EntityKey, from slot: Int) {
    let member = Member(slot: UInt32(slot), value: value)
    guard let occurrence = occurrences[member] else { preconditionFailure("the value is not in the set") }
    if occurrence == 1 {
      occurrences[member] = nil
      counts[slot] -= 1
    } else {
      occurrences[member] = occurrence - 1
    }
  }

  /// How many different values are inside.
  @inline(__always)
  func count(of slot: Int) -> Int { Int(counts[slot]) }
}
