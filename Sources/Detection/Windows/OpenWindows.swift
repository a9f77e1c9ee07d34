// The open windows of an operator and the two passes of a batch over them: the first finds the slot of the window(s) of
// each event, the second folds column by column into the slots, so no per-event dispatch is left. A value with one
// owner: a class here would check exclusive access at every event.

/// What the passes over one batch share.
struct WindowWork {
  let times: [Int64]
  /// Watermark before each event.
  let watermarks: [Int64]
  /// Rows that are not added; nil where all are.
  let left: Bitmap?
  /// The evaluated values of `by`.
  let by: [Column]
  /// The evaluated arguments of the aggregates.
  let values: [Column]
  let classColumn: Column?
}

/// Open windows by start and values of `by`, their aggregates, and what changed.
struct OpenWindows {
  private let name: String
  private let grid: WindowGrid
  private let keys: WindowKeys
  private let aggregates: AggregateSet
  private var table = WindowTable()
  private var queue = ClosingQueue()
  private var entries = WindowEntries()
  private var dirty: [Int32] = []
  /// Windows that closed since changes were taken, those that closed together in one.
  private var closed: [WindowSnapshot] = []
  private var scratch: [UInt8] = []
  /// Windows that events were too late for, each event counted once for each.
  private(set) var missed: Int64 = 0
  /// Sums that were NULL when their window closed because they do not fit into their type.
  private(set) var overflows = 0
  /// Windows that start here or earlier were closed under an earlier, shorter lateness, or at the end of an input, and take
  /// no more events.
  private var closedThrough = Int64.min

  init(_ window: CompiledWindow) {
    name = window.definition.name
    grid = WindowGrid(window.definition)
    keys = WindowKeys(window.by.map(\.expression.type))
    aggregates = AggregateSet(window)
  }

  var count: Int { table.openCount }
  var arguments: [Expression] { aggregates.arguments }

  /// Bytes of an open window beside its aggregates and a key of bytes, nearly.
  static let bytesPerWindow = WindowTable.bytesPerWindow + ClosingQueue.bytesPerWindow + MemoryLayout<Int32>.stride

  /// Bytes in memory.
  var heldBytes: Int {
    table.heldBytes + queue.heldBytes + aggregates.heldBytes + dirty.heldBytes
      + closed.reduce(0) { $0 + $1.heldBytes }
  }

  /// Adds events; returns those that were too late for one of their windows at least.
  mutating func add(_ work: WindowWork) -> Bitmap? {
    let late = assign(work)
    fold(work)
    return late
  }

  /// The parts that changed since the last call or restore, each once, by start and then in a fixed order of keys.
  mutating func takeChanges() -> WindowChanges {
    var snapshots = closed
    closed = []
    var changed: [Int32] = []
    for slot in dirty where table.slots[Int(slot)].isDirty {
      table.clearDirty(Int(slot))
      changed.append(slot)
    }
    dirty.removeAll(keepingCapacity: true)
    if !changed.isEmpty { snapshots.append(snapshot(of: changed, areClosed: false)) }
    return WindowChanges(of: name, size: grid.size, keys: keys, snapshots)
  }

  /// Replaces the open windows by stored ones, in any order.
  /// - Throws: `CodingError` when a part cannot be read, is closed or is none of this definition; the operator is then of
  ///   no further use.
  mutating func restore(_ openParts: some Sequence<WindowPart>, closedThrough: Int64?) throws(CodingError) {
    self.closedThrough = closedThrough ?? .min
    while queue.earliest != nil { drop(queue.removeEarliest()) }
    dirty.removeAll()
    closed.removeAll()
    for part in openParts {
      guard part.window == name, !part.closed, part.start == grid.lastStart(grid.bounded(part.start)),
        part.end == part.start + grid.size
      else {
        throw CodingError("stored part \(part.start)..<\(part.end) is no open part of \(name)")
      }
      let key = try keys.key(of: part.by)
      let hash = hash(part.start, word: key.word, isNull: key.isNull, key.bytes)
      let known =
        keys.areWords
        ? table.find(part.start, word: key.word, isNull: key.isNull, hash) : table.find(part.start, key.bytes, hash)
      guard known == nil else { throw CodingError("window \(part.start) of \(part.window) is stored twice") }
      let slot = insert(part.start, word: key.word, isNull: key.isNull, key.bytes, hash)
      try aggregates.decode(slot, part.state, events: part.events)
    }
  }
}

// MARK: - First pass: the slot of each event's window

extension OpenWindows {
  private mutating func assign(_ work: WindowWork) -> Bitmap? {
    keys.areWords ? assignWords(work) : assignGroups(work)
  }

  private mutating func assignWords(_ work: WindowWork) -> Bitmap? {
    let words = work.by.isEmpty ? [Int64](repeating: 0, count: work.times.count) : WindowKeys.words(work.by[0])
    let validity = work.by.first?.validity
    // Neighbours often belong to the same window.
    var last = (start: Int64.min, word: Int64(0), isNull: false, slot: -1)
    return Self.assignEach(work, &self) { windows, row, start in
      let word = words[row]
      let isNull = if let validity { !validity[row] } else { false }
      if last.start == start, last.word == word, last.isNull == isNull, last.slot >= 0 { return last.slot }
      let hash = windows.hash(start, word: word, isNull: isNull, [])
      let slot: Int
      if let known = windows.table.find(start, word: word, isNull: isNull, hash) {
        slot = known
      } else {
        slot = windows.insert(start, word: word, isNull: isNull, [], hash)
      }
      last = (start, word, isNull, slot)
      return slot
    }
  }

  /// Keys of bytes: the slot is remembered for each group of equal values in the batch.
  private mutating func assignGroups(_ work: WindowWork) -> Bitmap? {
    let groups = WindowGroups(work.by)
    var known = [(start: Int64, slot: Int32)](repeating: (0, -1), count: groups.count)
    return Self.assignEach(work, &self) { windows, row, start in
      let group = Int(groups.codes[row])
      if known[group].start == start, known[group].slot >= 0 { return Int(known[group].slot) }
      let slot = windows.slot(start, row, work)
      known[group] = (start, Int32(slot))
      return slot
    }
  }

  /// Appends the windows of all events to the entries; `slotOf` gives the slot of the row's window with a start.
  @inline(__always)
  private static func assignEach(
    _ work: WindowWork, _ windows: inout OpenWindows,
    _ slotOf: (_ windows: inout OpenWindows, _ row: Int, _ start: Int64) -> Int
  ) -> Bitmap? {
    windows.entries.removeAll()
    var late: Bitmap?
    let grid = windows.grid
    var low: Int64 = 0
    var high: Int64 = 0
    for row in 0..<work.times.count {
      if let left = work.left, left[row] { continue }
      let time = grid.bounded(work.times[row])
      if time < low || time >= high {
        low = grid.lastStart(time)
        high = low + grid.every
      }
      let watermark = work.watermarks[row]
      let oldest = time - grid.size
      var start = low
      // From the latest window that holds the event to the earliest; once one has closed, so have those before it.
      while start > oldest, grid.closing(start) > watermark, start > windows.closedThrough {
        let slot = slotOf(&windows, row, start)
        windows.entries.append(row: row, slot: slot)
        start -= grid.every
      }
      if start > oldest {
        windows.missed += (start - oldest - 1) / grid.every + 1
        if late == nil { late = Bitmap(repeating: false, count: work.times.count) }
        late?[row] = true
      }
    }
    return late
  }

  /// The slot of a row's window with a key of bytes, opened if need be.
  private mutating func slot(_ start: Int64, _ row: Int, _ work: WindowWork) -> Int {
    WindowKeys.write(work.by, row, into: &scratch)
    let hash = hash(start, word: 0, isNull: false, scratch)
    if let known = table.find(start, scratch, hash) { return known }
    return insert(start, word: 0, isNull: false, scratch, hash)
  }

  @inline(__always)
  private func hash(_ start: Int64, word: Int64, isNull: Bool, _ key: [UInt8]) -> UInt64 {
    if !keys.areWords { return WindowTable.hash(TableHash.hash(key, key.indices), start) }
    return WindowTable.hash(isNull ? 0x5851_F42D_4C95_7F2D : UInt64(bitPattern: word), start)
  }

  private mutating func insert(_ start: Int64, word: Int64, isNull: Bool, _ key: [UInt8], _ hash: UInt64) -> Int {
    let slot = table.insert(start, word: word, isNull: isNull, key: key, hash)
    aggregates.grow(to: table.slots.count)
    queue.insert(start, slot: slot)
    return slot
  }
}

// MARK: - Second pass, closing

extension OpenWindows {
  private mutating func fold(_ work: WindowWork) {
    table.markDirty(entries.slots, new: &dirty)
    aggregates.fold(work.values, classColumn: work.classColumn, times: work.times, entries)
  }

  /// Emits and drops the windows that take no more events at a watermark.
  mutating func close(upTo watermark: Int64) {
    close { grid, start in grid.closing(start) <= watermark }
  }

  private mutating func close(where isDue: (WindowGrid, Int64) -> Bool) {
    var due: [Int32] = []
    while let start = queue.earliest, isDue(grid, start) { due.append(Int32(queue.removeEarliest())) }
    if due.isEmpty { return }
    for slot in due { overflows += aggregates.overflows(Int(slot)) }
    closed.append(snapshot(of: due, areClosed: true))
    for slot in due { drop(Int(slot)) }
  }

  /// Drops the windows that start after a time, as if no event had been added to them.
  /// - Returns: whether there were any.
  mutating func discard(startingAfter bound: Int64) -> Bool {
    let slots = queue.removeAll(startingAfter: bound)
    for slot in slots { drop(slot) }
    return !slots.isEmpty
  }

  /// Emits and drops the windows that start up to a time, and takes no more events for those that do.
  mutating func closeAll(startingUpTo time: Int64) {
    var last = closedThrough
    close { _, start in
      guard start <= time else { return false }
      last = max(last, start)
      return true
    }
    closedThrough = last
  }

  private mutating func drop(_ slot: Int) {
    table.remove(slot)
    aggregates.reset(slot)
  }

  private func snapshot(of slots: [Int32], areClosed: Bool) -> WindowSnapshot {
    let taken = slots.map { slot -> WindowSnapshot.Key in
      let (key, bytes) = (table.slots[Int(slot)], table.keys[Int(slot)])
      // That of the table differs between processes.
      let order = keys.areWords ? key.word : Int64(bitPattern: ValueHash.hash(bytes, bytes.indices))
      return WindowSnapshot.Key(start: key.start, order: order, word: key.word, isNull: key.isNull, bytes: bytes)
    }
    return WindowSnapshot(keys: taken, areClosed: areClosed, aggregates: aggregates.snapshot(of: slots))
  }
}
