// Tumbling and sliding windows of one definition in one partition. A batch is taken in two passes: the first finds the
// slot of the window(s) of each event, the second folds column by column into the slots, so no per-event dispatch is
// left. Invariants:
// - what is emitted is a function of the events and of the watermark before and after each, not of batches: an event is
//   late for a window when end + allowed lateness ≤ the watermark before it, and a window closes when that is so after
//   an event; the watermark never goes back, so a closed window takes no more events and is not opened again;
// - an event ahead of the watermark is added to its own window like any other;
// - restored from the open parts it emitted, an operator emits the same bytes as one that never stopped.
// Session windows will be an operator of their own with the same parts and aggregates.

/// The windows of one definition in one partition.
public final class WindowOperator {
  public let window: CompiledWindow
  /// Events that were late for every window they belong to, since this operator was made.
  public private(set) var lateEvents: Int64 = 0

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

  /// A changed part with the key by which changes are ordered.
  private struct ChangedPart {
    let word: Int64
    let isNull: Bool
    let key: [UInt8]
    let part: WindowPart

    static func isBefore(_ a: Self, _ b: Self) -> Bool {
      if a.part.start != b.part.start { return a.part.start < b.part.start }
      if a.isNull != b.isNull { return b.isNull }
      if a.word != b.word { return a.word < b.word }
      return a.key.lexicographicallyPrecedes(b.key)
    }
  }

  /// What the passes over one batch share.
  private struct Work {
    let times: [Int64]
    let watermarks: [Int64]
    let by: [Column]
    let values: [Column]
    let classColumn: Column?
  }

  /// - Parameter maxOpen: bound of open windows.
  public init(_ window: CompiledWindow, maxOpen: Int = Limits.maxOpenWindows) {
    self.window = window
    self.maxOpen = maxOpen
    grid = WindowGrid(window.definition)
    keys = WindowKeys(window.by.map(\.expression.type))
    aggregates = AggregateSet(window)
  }

  /// Number of open windows.
  public var openCount: Int { table.openCount }

  /// Adds the next events of the partition.
  /// - Parameters:
  ///   - batch: the events with all columns the definition uses.
  ///   - marks: what the partition's watermark says about them.
  ///   - failures: is increased by the values that an expression could not compute and made NULL.
  /// - Returns: the rows that were late for every window they belong to; nil when there are none.
  /// - Throws: `WindowError` when more than `maxOpen` windows would be open. The operator is then of no further use.
  public func add(_ batch: EventBatch, marks: EventTimeMarks, failures: inout Int) throws(WindowError) -> Bitmap? {
    precondition(marks.watermarks.count == batch.count, "marks of another batch")
    var late: Bitmap?
    if batch.count > 0 {
      func evaluate(_ expression: Expression) -> Column {
        expression.evaluate(batch.columns, count: batch.count, selection: nil, failures: &failures)
      }
      let work = Work(
        times: batch.eventTimes, watermarks: marks.watermarks, by: window.by.map { evaluate($0.expression) },
        values: aggregates.arguments.map { evaluate($0) }, classColumn: window.classColumn.map { batch.columns[$0] })
      late = try assign(work)
      lateEvents += Int64(late?.setCount ?? 0)
      fold(work)
    }
    close(upTo: marks.watermarkAfter)
    return late
  }

  /// The parts that changed since the last call or restore, each once, by start and values of `by`.
  public func takeChanges() -> [WindowPart] {
    var changes = closed
    closed.removeAll(keepingCapacity: true)
    for slot in dirty where table.slots[Int(slot)].isDirty {
      table.clearDirty(Int(slot))
      changes.append(changedPart(Int(slot), closed: false))
    }
    dirty.removeAll(keepingCapacity: true)
    changes.sort(by: ChangedPart.isBefore)
    return changes.map(\.part)
  }

  /// Replaces the open windows by stored ones, in any order.
  /// - Throws: `CodingError` when a part cannot be read, is closed or is none of this definition; the operator is then of
  ///   no further use.
  public func restore(_ openParts: [WindowPart]) throws(CodingError) {
    while queue.earliest != nil { drop(queue.removeEarliest()) }
    dirty.removeAll()
    closed.removeAll()
    for part in openParts {
      guard part.window == window.definition.name, !part.closed, part.start == grid.lastStart(grid.bounded(part.start)),
        part.end == part.start + grid.size
      else {
        throw CodingError("stored part \(part.start)..<\(part.end) is no open part of \(window.definition.name)")
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

extension WindowOperator {
  private func assign(_ work: Work) throws(WindowError) -> Bitmap? {
    if keys.areWords { return try assignWords(work) }
    if work.by.count == 1, case .string(let strings) = work.by[0].values, strings.codes != nil {
      return try assignDictionary(work, strings)
    }
    return try assignEach(work) { row, start throws(WindowError) in
      WindowKeys.write(work.by, row, into: &self.scratch)
      return try self.slot(start, self.scratch, row, work)
    }
  }

  private func assignWords(_ work: Work) throws(WindowError) -> Bitmap? {
    let words = work.by.isEmpty ? [Int64](repeating: 0, count: work.times.count) : WindowKeys.words(work.by[0])
    let validity = work.by.first?.validity
    // Neighbours often belong to the same window.
    var last = (start: Int64.min, word: Int64(0), isNull: false, slot: -1)
    return try assignEach(work) { row, start throws(WindowError) in
      let word = words[row]
      let isNull = if let validity { !validity[row] } else { false }
      if last.start == start, last.word == word, last.isNull == isNull, last.slot >= 0 { return last.slot }
      let hash = self.hash(start, word: word, isNull: isNull, [])
      let slot: Int
      if let known = self.table.find(start, word: word, isNull: isNull, hash) {
        slot = known
      } else {
        try self.makeRoom(row, work)
        slot = self.insert(start, word: word, isNull: isNull, [], hash)
      }
      last = (start, word, isNull, slot)
      return slot
    }
  }

  /// One dictionary-encoded string: the slot is remembered for each string of the dictionary.
  private func assignDictionary(_ work: Work, _ strings: StringColumn) throws(WindowError) -> Bitmap? {
    let validity = work.by[0].validity
    let nullEntry = strings.entryCount
    var known = [(start: Int64, slot: Int32)](repeating: (0, -1), count: nullEntry + 1)
    return try assignEach(work) { row, start throws(WindowError) in
      let isNull = if let validity { !validity[row] } else { false }
      let entry = isNull ? nullEntry : strings.entry(of: row)
      if known[entry].start == start, known[entry].slot >= 0 { return Int(known[entry].slot) }
      WindowKeys.write(work.by, row, into: &self.scratch)
      let open = self.closed.count
      let slot = try self.slot(start, self.scratch, row, work)
      if self.closed.count != open {
        // Making room closed windows: what is remembered may be gone.
        for index in known.indices { known[index].slot = -1 }
      }
      known[entry] = (start, Int32(slot))
      return slot
    }
  }

  /// Appends the windows of all events to the entries; `slotOf` gives the slot of the row's window with a start.
  @inline(__always)
  private func assignEach(_ work: Work, _ slotOf: (_ row: Int, _ start: Int64) throws(WindowError) -> Int)
    throws(WindowError) -> Bitmap?
  {
    entries.removeAll()
    var late: Bitmap?
    let grid = grid
    var low: Int64 = 0
    var high: Int64 = 0
    for row in 0..<work.times.count {
      let time = grid.bounded(work.times[row])
      if time < low || time >= high {
        low = grid.lastStart(time)
        high = low + grid.every
      }
      let watermark = work.watermarks[row]
      let oldest = time - grid.size
      var start = low
      var isTaken = false
      // From the latest window that holds the event to the earliest; once one has closed, so have those before it.
      while start > oldest, grid.closing(start) > watermark {
        let slot = try slotOf(row, start)
        entries.append(row: row, slot: slot)
        isTaken = true
        start -= grid.every
      }
      // Between windows that start further apart than they are long, an event belongs to none and is not late.
      if !isTaken, start > oldest {
        if late == nil { late = Bitmap(repeating: false, count: work.times.count) }
        late?[row] = true
      }
    }
    return late
  }

  /// The slot of a window with a key of bytes, opened if need be.
  private func slot(_ start: Int64, _ key: [UInt8], _ row: Int, _ work: Work) throws(WindowError) -> Int {
    let hash = hash(start, word: 0, isNull: false, key)
    if let known = table.find(start, key, hash) { return known }
    try makeRoom(row, work)
    return insert(start, word: 0, isNull: false, key, hash)
  }

  @inline(__always)
  private func hash(_ start: Int64, word: Int64, isNull: Bool, _ key: [UInt8]) -> UInt64 {
    if !keys.areWords { return WindowTable.hash(ValueHash.hash(key, key.indices), start) }
    return WindowTable.hash(isNull ? 0x5851_F42D_4C95_7F2D : UInt64(bitPattern: word), start)
  }

  private func insert(_ start: Int64, word: Int64, isNull: Bool, _ key: [UInt8], _ hash: UInt64) -> Int {
    let slot = table.insert(start, word: word, isNull: isNull, key: key, hash)
    aggregates.grow(to: table.slots.count)
    queue.insert(start, slot: slot)
    return slot
  }

  /// Keeps the bound before a window is opened. At the bound, windows that are closed by the watermark before the row are
  /// closed at once rather than at the end of the batch, so whether the bound is exceeded does not depend on batches.
  private func makeRoom(_ row: Int, _ work: Work) throws(WindowError) {
    guard table.openCount >= maxOpen else { return }
    fold(work)
    entries.removeAll()
    close(upTo: work.watermarks[row])
    guard table.openCount < maxOpen else {
      throw WindowError(
        description: """
          window \(window.definition.name): more than \(maxOpen) windows of one partition would be open; \
          fewer values of `by`, a shorter size or less allowed lateness keep fewer open
          """)
    }
  }
}

// MARK: - Second pass, closing

extension WindowOperator {
  private func fold(_ work: Work) {
    for slot in entries.slots where table.markDirty(Int(slot)) { dirty.append(slot) }
    aggregates.fold(work.values, classColumn: work.classColumn, times: work.times, entries)
  }

  /// Emits and drops the windows that take no more events at a watermark.
  private func close(upTo watermark: Int64) {
    while let start = queue.earliest, grid.closing(start) <= watermark {
      let slot = queue.removeEarliest()
      closed.append(changedPart(slot, closed: true))
      drop(slot)
    }
  }

  private func drop(_ slot: Int) {
    table.remove(slot)
    aggregates.reset(slot)
  }

  private func changedPart(_ slot: Int, closed: Bool) -> ChangedPart {
    let key = table.slots[slot]
    let part = WindowPart(
      window: window.definition.name, start: key.start, end: key.start + grid.size,
      by: keys.scalars(word: key.word, isNull: key.isNull, bytes: table.keys[slot]), closed: closed,
      state: aggregates.encode(slot), events: aggregates.eventCount(slot))
    return ChangedPart(word: key.word, isNull: key.isNull, key: table.keys[slot], part: part)
  }
}
