// Which slot an entity is in: a hash table with open addressing and linear probing, removal by shifting back (D. E. Knuth,
// "The Art of Computer Programming" 3, 6.4, algorithm R). It holds slots only; the keys stay with the entities. It is
// never walked through, so its order, which differs between processes, cannot show in any result. Invariant: at most half
// of the buckets are in use.

/// Finds slots by key. `keyOf` must give the key of a slot that is inside.
struct EntityTable: Sendable {
  private static let empty = UInt32.max

  private var buckets = [UInt32](repeating: empty, count: 16)
  private(set) var count = 0

  var heldBytes: Int { buckets.heldBytes }

  @inline(__always)
  private func home(_ key: EntityKey) -> Int {
    Int(truncatingIfNeeded: TableHash.hash(key.low, key.high)) & (buckets.count - 1)
  }

  /// The slot of an entity; nil when it is not inside.
  @inline(__always)
  func find(_ key: EntityKey, keyOf: (UInt32) -> EntityKey) -> UInt32? {
    var bucket = home(key)
    while true {
      let slot = buckets[bucket]
      if slot == Self.empty { return nil }
      if keyOf(slot) == key { return slot }
      bucket = (bucket + 1) & (buckets.count - 1)
    }
  }

  /// Adds an entity that is not inside.
  @inline(__always)
  mutating func insert(_ key: EntityKey, slot: UInt32, keyOf: (UInt32) -> EntityKey) {
    if count * 2 >= buckets.count { grow(keyOf) }
    place(key, slot)
    count += 1
  }

  /// Removes an entity that is inside.
  mutating func remove(_ key: EntityKey, keyOf: (UInt32) -> EntityKey) {
    let mask = buckets.count - 1
    var hole = home(key)
    while buckets[hole] == Self.empty || keyOf(buckets[hole]) != key {
      precondition(buckets[hole] != Self.empty, "the entity is not in the table")
      hole = (hole + 1) & mask
    }
    // What follows moves up if its home does not lie between the hole and itself.
    var bucket = (hole + 1) & mask
    while buckets[bucket] != Self.empty {
      let distance = (bucket - home(keyOf(buckets[bucket]))) & mask
      if distance >= (bucket - hole) & mask {
        buckets[hole] = buckets[bucket]
        hole = bucket
      }
      bucket = (bucket + 1) & mask
    }
    buckets[hole] = Self.empty
    count -= 1
  }

  @inline(__always)
  private mutating func place(_ key: EntityKey, _ slot: UInt32) {
    var bucket = home(key)
    while buckets[bucket] != Self.empty { bucket = (bucket + 1) & (buckets.count - 1) }
    buckets[bucket] = slot
  }

  private mutating func grow(_ keyOf: (UInt32) -> EntityKey) {
    let old = buckets
    buckets = [UInt32](repeating: Self.empty, count: old.count * 2)
    for slot in old where slot != Self.empty { place(keyOf(slot), slot) }
  }
}
