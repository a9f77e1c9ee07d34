// What a state takes in memory, as it is counted against the memory of a run: what its arrays hold, read off their lengths.
// So counting costs the same however much there is, and is done once per batch.

extension Array {
  /// Bytes of the elements themselves. Room to grow that was never touched is not in memory: large arrays are mappings of
  /// their own.
  var heldBytes: Int { count * MemoryLayout<Element>.stride }
}

extension Dictionary {
  /// Bytes of the keys and values themselves, in a table that is at most three quarters full, and a bit each.
  var heldBytes: Int { capacity * 4 / 3 * (MemoryLayout<Key>.stride + MemoryLayout<Value>.stride) + capacity / 6 }
}

/// What an allocation of its own takes beside its bytes: the header of an array and that of the allocator.
enum Allocation {
  private static let header = 48

  /// The bytes of an array of `count` bytes with an allocation of its own; an empty one has none.
  @inline(__always)
  static func bytes(_ count: Int) -> Int { count == 0 ? 0 : count + header }
}
