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
  /// What a segment weighs: some bytes, as they are in memory.
  private static let segmentBytes = 1 << 20

  private let name: String
  private let grid: WindowGrid
  private let keys: WindowKeys
  private let aggregates: AggregateSet
  private var table = WindowTable()
  private var queue = ClosingQueue()
  private var entries = WindowEntries()
  /// Which segment has which window.
  private var ledger = SegmentLedger(size: segmentBytes)
  /// What is to be stored of all of them, and what is.
  private var head: WindowSpaceHead
  private var storedHead: WindowSpaceHead
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
    head = WindowSpaceHead(window.definition, byNames: window.by.map(\.name))
    storedHead = head
  }

  var count: Int { table.openCount }
  var arguments: [Expression] { aggregates.arguments }

  /// Bytes of an open window beside its aggregates and a key of bytes, nearly.
  static let bytesPerWindow = WindowTable.bytesPerWindow + ClosingQueue.bytesPerWindow + MemoryLayout<UInt32>.stride

  /// Bytes in memory.
  var heldBytes: Int {
    table.heldBytes + queue.heldBytes + aggregates.heldBytes + ledger.heldBytes
      + closed.reduce(0) { $0 + $1.heldBytes }
  }

  /// Adds events; returns those that were too late for one of their windows at least.
  mutating func add(_ work: WindowWork) -> Bitmap? {
    let late = assign(work)
    fold(work)
    return late
  }

  /// The windows that closed since the last call, each once, by start and then in a fixed order of keys.
  mutating func takeClosed() -> WindowChanges {
    defer { closed = [] }
    return WindowChanges(of: name, size: grid.size, keys: keys, closed)
  }

  /// The open windows as they are, in the order of `takeClosed`.
  var openWindows: WindowChanges {
    let open = table.slots.indices.filter { table.slots[$0].isOpen }.map { Int32($0) }
    return WindowChanges(of: name, size: grid.size, keys: keys, [snapshot(of: open, areClosed: false)])
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
    table.markChanged(entries.slots, in: &ledger)
    aggregates.fold(work.values, classColumn: work.classColumn, times: work.times, entries)
  }

  /// Emits and drops the windows that take no more events at a watermark.
  mutating func close(upTo watermark: Int64) {
    close { grid, start in grid.closing(start) <= watermark }
  }

  private mutating func close(where isDue: (WindowGrid, Int64) -> Bool) {
    var due: [Int32] = []
    while let start = queue.earliest, isDue(grid, start) {
      due.append(Int32(queue.removeEarliest()))
      head.closedThrough = max(head.closedThrough, start)
    }
    if due.isEmpty { return }
    for slot in due { overflows += aggregates.overflows(Int(slot)) }
    closed.append(snapshot(of: due, areClosed: true))
    for slot in due { drop(Int(slot)) }
  }

  /// Drops the windows that start after a time, as if no event had been added to them.
  mutating func discard(startingAfter bound: Int64) {
    let slots = queue.removeAll(startingAfter: bound)
    if slots.isEmpty { return }
    for slot in slots { drop(slot) }
    head.discard(startingAfter: bound, lastSegment: ledger.lastNumber)
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
    let segment = table.slots[slot].segment
    if segment != SegmentLedger.moving { ledger.lose(segment) }
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

// MARK: - Stored windows

extension OpenWindows {
  /// What changed of the stored open windows since the last call or restore.
  mutating func takeStateChanges() -> WindowStateChanges {
    var moved = take(from: SegmentLedger.open)
    let round = ledger.round(new: moved.reduce(0) { $0 + self.weight(of: $1) }, old: head.surplusDiscards)
    for source in round.sources where source != SegmentLedger.open { moved += take(from: source) }
    var segments = WindowSegments(keys)
    var (piece, bytes): ([UInt32], Int) = ([], 0)
    for slot in moved {
      let more = weight(of: slot)
      if !piece.isEmpty, bytes + more > ledger.size {
        store(piece, weighing: bytes, into: &segments)
        (piece, bytes) = ([], 0)
      }
      piece.append(slot)
      bytes += more
    }
    if !piece.isEmpty { store(piece, weighing: bytes, into: &segments) }
    var changes = StateChanges()
    ledger.end(round, into: &changes)
    head.forgetDiscards(before: ledger.oldestNumber)
    head.openCount = table.openCount
    head.latestStart = table.openCount == 0 ? .min : queue.latest
    if head != storedHead { changes.puts.append(StateEntry(key: WindowSpace.headKey, value: head.bytes)) }
    storedHead = head
    return WindowStateChanges(changes: changes, segments: segments)
  }

  /// What a window weighs in a segment.
  private func weight(of slot: UInt32) -> Int {
    aggregates.bytes(of: Int(slot)) + table.keys[Int(slot)].count + MemoryLayout<WindowTable.Slot>.stride
  }

  /// The windows that a segment has and that are to be written again.
  private mutating func take(from segment: UInt32) -> [UInt32] {
    // Moving keeps out what is listed twice: a slot that was freed and used again.
    let content = ledger.segments[Int(segment)].content
    var taken: [UInt32] = []
    for slot in content.records where table.move(slot, from: segment, to: SegmentLedger.moving) { taken.append(slot) }
    return taken
  }

  /// Makes a segment of some windows.
  private mutating func store(_ slots: [UInt32], weighing weight: Int, into segments: inout WindowSegments) {
    let target = ledger.place()
    for slot in slots { _ = table.move(slot, from: SegmentLedger.moving, to: target) }
    ledger.fill(target, SegmentContent(records: slots), stored: slots.count, weight: weight)
    segments.append(
      snapshot(of: slots.map { Int32($0) }, areClosed: false), number: ledger.segments[Int(target)].number)
  }

  /// Replaces the open windows by stored ones.
  /// - Parameters:
  ///   - entries: of the state space, ascending by key.
  ///   - parts: what earlier versions have stored, in any order; it becomes changes of the state.
  ///   - closedThrough: the latest start of a window that is known to have closed; nil where none is.
  /// - Throws: `CodingError` when something cannot be read, or a part is closed or none of this definition; the operator is
  ///   then of no further use.
  mutating func restore(
    from entries: [StateEntry], parts: some Sequence<WindowPart>, closedThrough: Int64?
  ) throws(CodingError) {
    while queue.earliest != nil { drop(queue.removeEarliest()) }
    closed.removeAll()
    ledger = SegmentLedger(size: Self.segmentBytes)
    try restore(from: entries)
    for part in parts {
      guard part.window == name, !part.closed, part.end == part.start + grid.size else {
        throw CodingError("stored part \(part.start)..<\(part.end) is no open part of \(name)")
      }
      let record = WindowRecord(start: part.start, by: part.by, events: part.events, state: part.state)
      let (slot, isNew) = try place(record)
      guard isNew else { throw CodingError("window \(part.start) of \(name) is stored twice") }
      table.markChanged([Int32(slot)], in: &ledger)
    }
    self.closedThrough = max(head.closedThrough, closedThrough ?? .min)
  }

  private mutating func restore(from entries: [StateEntry]) throws(CodingError) {
    guard let first = entries.first else { return }
    guard first.key == WindowSpace.headKey else { throw CodingError("open windows of \(name) have no head") }
    storedHead = try WindowSpaceHead(from: first.value)
    guard storedHead.size == head.size, storedHead.byNames == head.byNames else {
      throw CodingError("open windows of \(name) are of another definition")
    }
    head = storedHead
    var stored: [UInt32: Int] = [:]
    for entry in entries.dropFirst() {
      var reader = try WindowSegmentReader(entry, head: head)
      guard reader.number > ledger.lastNumber else {
        throw CodingError("segment \(reader.number) of windows follows segment \(ledger.lastNumber)")
      }
      let segment = ledger.place(number: reader.number)
      stored[segment] = reader.stored
      while let record = try reader.next() {
        let (slot, _) = try place(record)
        table.keep(slot, in: segment)
      }
    }
    var held = [[UInt32]](repeating: [], count: ledger.segments.count)
    for slot in table.slots.indices where table.slots[slot].isOpen {
      held[Int(table.slots[slot].segment)].append(UInt32(slot))
    }
    for (segment, count) in stored {
      let live = held[Int(segment)]
      let weight = live.reduce(0) { $0 + self.weight(of: $1) }
      ledger.fill(
        segment, SegmentContent(records: live), stored: count, weight: live.isEmpty ? 0 : weight * count / live.count)
    }
  }

  /// Puts a stored window into its place, or into that of an earlier state of it.
  private mutating func place(_ record: WindowRecord) throws(CodingError) -> (slot: Int, isNew: Bool) {
    guard record.start == grid.lastStart(grid.bounded(record.start)) else {
      throw CodingError("no window of \(name) starts at \(record.start)")
    }
    let key = try keys.key(of: record.by)
    let hash = hash(record.start, word: key.word, isNull: key.isNull, key.bytes)
    let known =
      keys.areWords
      ? table.find(record.start, word: key.word, isNull: key.isNull, hash) : table.find(record.start, key.bytes, hash)
    let slot = known ?? insert(record.start, word: key.word, isNull: key.isNull, key.bytes, hash)
    try aggregates.decode(slot, record.state, events: record.events)
    return (slot, known == nil)
  }
}
