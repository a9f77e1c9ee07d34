// Entries of `SlidingEntities` that came out of order, by time.

/// Entries by time, the oldest on top; one heap per entity over a pool that is only as large as there are such entries.
struct DisorderedEntries: Sendable {
  private var heap = PairingHeap()
  private var nodes: [UInt32] = []
  private var free: [UInt32] = []

  var heldBytes: Int { heap.heldBytes + nodes.heldBytes + free.heldBytes }

  /// Adds an entry's node; returns the new root.
  mutating func insert(_ node: UInt32, time: Int64, into root: UInt32) -> UInt32 {
    let place: UInt32
    if let last = free.popLast() {
      place = last
      nodes[Int(place)] = node
    } else {
      place = UInt32(nodes.count)
      nodes.append(node)
      heap.grow(to: nodes.count)
    }
    return heap.insert(place, key: time, into: root)
  }

  /// The time of the oldest entry of a heap.
  func time(of root: UInt32) -> Int64 { heap.key(of: root) }

  /// Removes the oldest entry of a heap; returns its node and the new root.
  mutating func pop(_ root: UInt32) -> (node: UInt32, root: UInt32) {
    free.append(root)
    return (nodes[Int(root)], heap.remove(root, from: root))
  }
}
