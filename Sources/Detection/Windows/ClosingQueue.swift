// The open windows by start, the earliest first: a binary heap, so that closing costs what closes and not what is open.

/// A priority queue of slots by the start of their window.
struct ClosingQueue {
  private var heap: [(start: Int64, slot: Int32)] = []
  static let bytesPerWindow = MemoryLayout<(start: Int64, slot: Int32)>.stride
  var heldBytes: Int { heap.heldBytes }
  /// No window starts later.
  private(set) var latest = Int64.min

  /// The earliest start; nil when no window is open.
  var earliest: Int64? { heap.first?.start }

  /// Removes the windows that start after a time and returns their slots. Looks at all of them.
  mutating func removeAll(startingAfter bound: Int64) -> [Int] {
    if latest <= bound { return [] }
    let removed = heap.filter { $0.start > bound }
    guard !removed.isEmpty else { return [] }
    let kept = heap.filter { $0.start <= bound }
    heap.removeAll(keepingCapacity: true)
    latest = .min
    for window in kept { insert(window.start, slot: Int(window.slot)) }
    return removed.map { Int($0.slot) }
  }

  mutating func insert(_ start: Int64, slot: Int) {
    latest = max(latest, start)
    var at = heap.count
    heap.append((start, Int32(slot)))
    while at > 0 {
      let parent = (at - 1) / 2
      if heap[parent].start <= start { break }
      heap.swapAt(parent, at)
      at = parent
    }
  }

  /// Removes a window with the earliest start and returns its slot. The queue must not be empty.
  mutating func removeEarliest() -> Int {
    let slot = Int(heap[0].slot)
    let last = heap.removeLast()
    guard !heap.isEmpty else { return slot }
    heap[0] = last
    var at = 0
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child].start < heap[least].start {
        least = child
      }
      if least == at { return slot }
      heap.swapAt(least, at)
      at = least
    }
  }
}
