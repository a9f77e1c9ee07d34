// A small priority queue: a binary heap.

/// Slots by stamp, the lowest on top: a binary heap.
struct StampHeap: Sendable {
  struct Item: Sendable {
    var stamp: Int64
    var slot: UInt32
    /// The entity in the slot when the item was put here.
    var id: UInt64
  }

  private var items: [Item] = []

  @inline(__always)
  var top: Item? { items.first }

  mutating func insert(stamp: Int64, slot: UInt32, id: UInt64) {
    var index = items.count
    items.append(Item(stamp: stamp, slot: slot, id: id))
    while index > 0 {
      let parent = (index - 1) / 2
      guard items[index].stamp < items[parent].stamp else { break }
      items.swapAt(index, parent)
      index = parent
    }
  }

  var count: Int { items.count }
  var heldBytes: Int { items.heldBytes }

  /// Removes items. Looks at all of them.
  mutating func removeAll(where isRemoved: (Item) -> Bool) {
    let kept = items.filter { !isRemoved($0) }
    items = []
    for item in kept { insert(stamp: item.stamp, slot: item.slot, id: item.id) }
  }

  /// Raises the stamp of the item on top.
  mutating func replaceTop(stamp: Int64) {
    items[0].stamp = stamp
    siftDown()
  }

  mutating func removeTop() {
    items.swapAt(0, items.count - 1)
    items.removeLast()
    siftDown()
  }

  private mutating func siftDown() {
    var index = 0
    while true {
      let left = 2 * index + 1
      guard left < items.count else { return }
      let right = left + 1
      let child = right < items.count && items[right].stamp < items[left].stamp ? right : left
      guard items[child].stamp < items[index].stamp else { return }
      items.swapAt(index, child)
      index = child
    }
  }
}
