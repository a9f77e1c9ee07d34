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
  private let maxOpen: Int
  private var table = WindowTable()
  private var queue = ClosingQueue()
  private var entries = WindowEntries()
  private var dirty: [Int32] = []
  private var closed: [ChangedPart] = []
  private var scratch: [UInt8] = []
  /// Windows that events were too late for, each event counted once for each.
  private(set) var missed: Int64 = 0
  /// Sums that were NULL when their window closed because they do not fit into their type.
  private(set) var overflows = 0
  /// Windows that start here or earlier were closed under an earlier, shorter lateness, or at the end of an input, and take
  /// no more events.
  private var closedThrough = Int64.min

  /// A changed part with its place in the order of changes.
  private struct ChangedPart {
    /// The key as a word: of strings and several values the hash.
    let word: Int64
    let isNull: Bool
    /// The key of strings and several values.
    let key: [UInt8]
    let change: WindowChange
  }

  /// What changes are sorted by, without anything that is counted by reference.
  private struct Place {
    let start: Int64
    let word: Int64
    let isNull: Bool
    let index: Int32
  }

  init(_ window: CompiledWindow, maxOpen: Int) {
    name = window.definition.name
    self.maxOpen = maxOpen
    grid = WindowGrid(window.definition)
    keys = WindowKeys(window.by.map(\.expression.type))
    aggregates = AggregateSet(window)
  }

  var count: Int { table.openCount }
  var arguments: [Expression] { aggregates.arguments }

  /// Adds events; returns those that were too late for one of their windows at least.
  mutating func add(_ work: WindowWork) throws(WindowError) -> Bitmap? {
    let late = try assign(work)
    fold(work)
    return late
  }

  /// The parts that changed since the last call or restore, each once, by start and then in a fixed order of keys.
  mutating func takeChanges() -> [WindowChange] {
    var changes = closed
    closed.removeAll(keepingCapacity: true)
    for slot in dirty where table.slots[Int(slot)].isDirty {
      table.clearDirty(Int(slot))
      changes.append(changedPart(Int(slot), closed: false))
    }
    dirty.removeAll(keepingCapacity: true)
    var places = changes.indices.map { index in
      let change = changes[index]
      return Place(start: change.change.part.start, word: change.word, isNull: change.isNull, index: Int32(index))
    }
    places.sort { a, b in
      if a.start != b.start { return a.start < b.start }
      if a.word != b.word { return a.word < b.word }
      if a.isNull != b.isNull { return b.isNull }
      return changes[Int(a.index)].key.lexicographicallyPrecedes(changes[Int(b.index)].key)
    }
    return places.map { changes[Int($0.index)].change }
  }

  /// Replaces the open windows by stored ones, in any order.
  /// - Throws: `CodingError` when a part cannot be read, is closed or is none of this definition; the operator is then of
  ///   no further use.
  mutating func restore(_ openParts: [WindowPart], closedThrough: Int64?) throws(CodingError) {
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
  private mutating func assign(_ work: WindowWork) throws(WindowError) -> Bitmap? {
    if keys.areWords { return try assignWords(work) }
    return try assignGroups(work)
  }

  private mutating func assignWords(_ work: WindowWork) throws(WindowError) -> Bitmap? {
    let words = work.by.isEmpty ? [Int64](repeating: 0, count: work.times.count) : WindowKeys.words(work.by[0])
    let validity = work.by.first?.validity
    // Neighbours often belong to the same window.
    var last = (start: Int64.min, word: Int64(0), isNull: false, slot: -1)
    return try Self.assignEach(work, &self) { windows, row, start throws(WindowError) in
      let word = words[row]
      let isNull = if let validity { !validity[row] } else { false }
      if last.start == start, last.word == word, last.isNull == isNull, last.slot >= 0 { return last.slot }
      let hash = windows.hash(start, word: word, isNull: isNull, [])
      let slot: Int
      if let known = windows.table.find(start, word: word, isNull: isNull, hash) {
        slot = known
      } else {
        try windows.makeRoom(row, work)
        slot = windows.insert(start, word: word, isNull: isNull, [], hash)
      }
      last = (start, word, isNull, slot)
      return slot
    }
  }

  /// Keys of bytes: the slot is remembered for each group of equal values in the batch.
  private mutating func assignGroups(_ work: WindowWork) throws(WindowError) -> Bitmap? {
    let groups = WindowGroups(work.by)
    var known = [(start: Int64, slot: Int32)](repeating: (0, -1), count: groups.count)
    return try Self.assignEach(work, &self) { windows, row, start throws(WindowError) in
      let group = Int(groups.codes[row])
      if known[group].start == start, known[group].slot >= 0 { return Int(known[group].slot) }
      let closed = windows.closed.count
      let slot = try windows.slot(start, row, work)
      if windows.closed.count != closed {
        // Making room closed windows: what is remembered may be gone.
        for index in known.indices { known[index].slot = -1 }
      }
      known[group] = (start, Int32(slot))
      return slot
    }
  }

  /// Appends the windows of all events to the entries; `slotOf` gives the slot of the row's window with a start.
  @inline(__always)
  private static func assignEach(
    _ work: WindowWork, _ windows: inout OpenWindows,
    _ slotOf: (_ windows: inout OpenWindows, _ row: Int, _ start: Int64) throws(WindowError) -> Int
  ) throws(WindowError) -> Bitmap? {
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
        let slot = try slotOf(&windows, row, start)
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
  private mutating func slot(_ start: Int64, _ row: Int, _ work: WindowWork) throws(WindowError) -> Int {
    WindowKeys.write(work.by, row, into: &scratch)
    let hash = hash(start, word: 0, isNull: false, scratch)
    if let known = table.find(start, scratch, hash) { return known }
    try makeRoom(row, work)
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

  /// Keeps the bound before a window is opened. At the bound, windows that are closed by the watermark before the row are
  /// closed at once rather than at the end of the batch, so whether the bound is exceeded does not depend on batches.
  private mutating func makeRoom(_ row: Int, _ work: WindowWork) throws(WindowError) {
    guard table.weight >= maxOpen else { return }
    fold(work)
    entries.removeAll()
    close(upTo: work.watermarks[row])
    guard table.weight < maxOpen else {
      throw WindowError(
        description: """
          window \(name): more than \(maxOpen) windows of one partition would be open (each KiB of a key counts as one); \
          fewer or shorter values of `by`, a shorter size or less allowed lateness keep fewer open
          """)
    }
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
    while let start = queue.earliest, grid.closing(start) <= watermark {
      let slot = queue.removeEarliest()
      overflows += aggregates.overflows(slot)
      closed.append(changedPart(slot, closed: true))
      drop(slot)
    }
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
    while let start = queue.earliest, start <= time {
      let slot = queue.removeEarliest()
      overflows += aggregates.overflows(slot)
      closed.append(changedPart(slot, closed: true))
      drop(slot)
      closedThrough = max(closedThrough, start)
    }
  }

  private mutating func drop(_ slot: Int) {
    table.remove(slot)
    aggregates.reset(slot)
  }

  private func changedPart(_ slot: Int, closed: Bool) -> ChangedPart {
    let key = table.slots[slot]
    let part = WindowPart(
      window: name, start: key.start, end: key.start + grid.size,
      by: keys.scalars(word: key.word, isNull: key.isNull, bytes: table.keys[slot]), closed: closed,
      state: aggregates.encode(slot), events: aggregates.eventCount(slot))
    // That of the table differs between processes.
    let bytes = table.keys[slot]
    let word = keys.areWords ? key.word : Int64(bitPattern: ValueHash.hash(bytes, bytes.indices))
    // After `encode`, which leaves sketches sorted: their quantiles are then read off.
    let change = WindowChange(part: part, result: aggregates.result(slot))
    return ChangedPart(word: word, isNull: key.isNull, key: table.keys[slot], change: change)
  }
}
