// Events of one partition that wait because their time is in doubt: what rules and windows will need of them when it is
// believed. They are kept row by row; derived columns are computed again when an event is released, because they are
// functions of its fields. What waits is bounded in bytes, counted event by event in the order of the partition, so which
// events are given up at the bound does not depend on batches.

/// The waiting events of one partition, in its order.
public final class WaitingEvents: Stateful {
  /// An event that waits.
  struct Event: Sendable {
    /// Ascending within the partition.
    var number: UInt64
    var run: UInt64
    /// Whether its window has seen it already.
    var isInWindows: Bool
    var position: Position
    var time: Int64
    /// What it counts for the bound.
    var bytes: Int
    /// Its row in the batch at hand, which has its fields; nil for one that waits beyond its batch.
    var row: Int?
    /// The fields, in the order of the schema; none while the batch at hand has them.
    var values: [Scalar] = []
  }

  /// The events of one run, ascending by number.
  private struct Queue {
    var events: [Event] = []
    /// Those before it were given up.
    var first = 0

    var waiting: ArraySlice<Event> { events[first...] }

    mutating func dropFirst() {
      first += 1
      guard first > events.count / 2 + 64 else { return }
      events.removeFirst(first)
      first = 0
    }
  }

  private let partition: PartitionID
  private let schema: Schema
  private let maxBytes: Int
  private var queues: [UInt64: Queue] = [:]
  /// Numbers and runs of all events, ascending by number; and of some that wait no more.
  private var order: [(number: UInt64, run: UInt64)] = []
  /// Entries of `order` before it are done with.
  private var oldest = 0
  private var bytes = 0
  private var nextNumber: UInt64 = 0
  private var firstUnstored: UInt64 = 0
  private var deletes: [[UInt8]] = []

  /// How many events wait.
  public private(set) var count = 0

  /// - Parameter maxBytes: of the events that wait; beyond, those that wait longest are given up.
  public init(partition: PartitionID, schema: Schema, maxBytes: Int = Limits.maxWaitingEventBytes) {
    self.partition = partition
    self.schema = schema
    self.maxBytes = maxBytes
  }

  public var heldBytes: Int { bytes + order.heldBytes }

  /// Where the events that wait came from.
  public var positions: [Position] { order[oldest...].compactMap { event($0)?.position } }

  /// Takes in the events of a batch that wait, and follows the decisions within it, in their order.
  /// - Parameter marks: those of the batch; events of it that are dismissed with a later one are marked as such.
  public func follow(_ batch: EventBatch, _ marks: inout EventTimeMarks) -> WaitingOutcome {
    var outcome = WaitingOutcome()
    if marks.waiting.isEmpty && marks.decisions.isEmpty { return outcome }
    var touched: Set<UInt64> = []
    var next = 0
    func add(before row: Int) {
      while next < marks.waiting.count, marks.waiting[next].row < row {
        let waiting = marks.waiting[next]
        next += 1
        touched.insert(waiting.run)
        append(waiting, batch, isInWindows: !marks.outsideWindows[waiting.row])
        outcome.undecided += giveUpSurplus(batch)
      }
    }
    for (index, decision) in marks.decisions.enumerated() {
      // A decision holds before the event of its row is counted.
      add(before: decision.row)
      switch decision.kind {
      case .believed(let run, let latest):
        let taken = marks.latestTaken(at: marks.watermarks[decision.row])
        let events = take(run: run, until: min(latest, taken), batch)
        if !events.believed.isEmpty { outcome.believed[index] = events.believed }
        outcome.dismissed += events.absurd
      case .dismissed(let run, heard: nil):
        let events = remove(run)
        for event in events { if let row = event.row { marks.dismissed[row] = true } }
        outcome.dismissed += released(events.filter { $0.row == nil }, batch)
      case .dismissed, .opened: break
      }
    }
    add(before: batch.count)
    keep(touched, of: batch)
    compact()
    return outcome
  }

  /// Takes out the events of a run, in their order, when the input is at its end.
  /// - Parameter latest: later ones are not to be believed.
  public func take(run: UInt64, until latest: Int64 = .max) -> TakenEvents {
    take(run: run, until: latest, nil)
  }

  /// Takes out the events of runs that are not among the given ones.
  public func take(exceptRuns runs: Set<UInt64>) -> [ReleasedEvents] {
    let gone = queues.keys.filter { !runs.contains($0) }.sorted()
    let events = gone.flatMap { remove($0) }
    return released(events.sorted { $0.number < $1.number }, nil)
  }

  // MARK: The queues

  private func append(_ waiting: EventTimeMarks.Waiting, _ batch: EventBatch, isInWindows: Bool) {
    let row = waiting.row
    let event = Event(
      number: nextNumber, run: waiting.run, isInWindows: isInWindows, position: batch.positions[row],
      time: batch.eventTimes[row],
      bytes: schema.fields.indices.reduce(64) { $0 + batch.columns[$1].waitingBytes(row) }, row: row)
    nextNumber += 1
    order.append((event.number, event.run))
    queues[event.run, default: Queue()].events.append(event)
    bytes += event.bytes
    count += 1
  }

  /// Takes out the events of a run.
  private func remove(_ run: UInt64) -> ArraySlice<Event> {
    guard let queue = queues.removeValue(forKey: run) else { return [] }
    for event in queue.waiting { forget(event) }
    return queue.waiting
  }

  private func forget(_ event: Event) {
    bytes -= event.bytes
    count -= 1
    if event.number < firstUnstored { deletes.append(Self.key(event.number)) }
  }

  /// Takes out those that wait longest while there are too many bytes.
  private func giveUpSurplus(_ batch: EventBatch) -> [ReleasedEvents] {
    var surplus: [Event] = []
    while bytes > maxBytes, oldest < order.count {
      let entry = order[oldest]
      oldest += 1
      guard let event = event(entry) else { continue }
      queues[entry.run]?.dropFirst()
      if queues[entry.run]?.waiting.isEmpty == true { queues[entry.run] = nil }
      forget(event)
      surplus.append(event)
    }
    return released(surplus[...], batch)
  }

  /// The event of an entry of `order`; nil where it waits no more.
  private func event(_ entry: (number: UInt64, run: UInt64)) -> Event? {
    guard let queue = queues[entry.run] else { return nil }
    var (low, high) = (queue.first, queue.events.count)
    while low < high {
      let middle = (low + high) / 2
      if queue.events[middle].number < entry.number { low = middle + 1 } else { high = middle }
    }
    return low < queue.events.count && queue.events[low].number == entry.number ? queue.events[low] : nil
  }

  /// Copies the fields of what waits beyond its batch.
  private func keep(_ runs: Set<UInt64>, of batch: EventBatch) {
    for run in runs {
      guard var queue = queues.removeValue(forKey: run) else { continue }
      var index = queue.events.count
      while index > queue.first, let row = queue.events[index - 1].row {
        index -= 1
        queue.events[index].values = values(of: batch, row)
        queue.events[index].row = nil
      }
      queues[run] = queue
    }
  }

  /// Drops what is done with, once it is most of what there is.
  private func compact() {
    if order.count - oldest > 2 * count + 64 {
      order = order[oldest...].filter { event($0) != nil }
      oldest = 0
    } else if oldest > order.count / 2 + 64 {
      order.removeFirst(oldest)
      oldest = 0
    }
  }

  // MARK: Release

  private func take(run: UInt64, until latest: Int64, _ batch: EventBatch?) -> TakenEvents {
    let events = remove(run)
    guard events.contains(where: { $0.time > latest }) else {
      return TakenEvents(believed: released(events, batch), absurd: [])
    }
    return TakenEvents(
      believed: released(events.filter { $0.time <= latest }, batch),
      absurd: released(events.filter { $0.time > latest }, batch))
  }

  private func values(of batch: EventBatch, _ row: Int) -> [Scalar] {
    schema.fields.indices.map { batch.columns[$0][row] }
  }

  /// The events that wait, by run, as they are when they are released.
  public var released: [ReleasedEvents] {
    queues.sorted { $0.key < $1.key }.flatMap { released($0.value.waiting, nil) }
  }

  private func released(_ events: [Event], _ batch: EventBatch?) -> [ReleasedEvents] { released(events[...], batch) }

  private func released(_ events: ArraySlice<Event>, _ batch: EventBatch?) -> [ReleasedEvents] {
    // A batch has the positions of one segment.
    events.chunked { $0.position.segment == $1.position.segment }.map { chunk in
      var positions = RecordPositions(segment: chunk[0].position.segment)
      positions.offsets = chunk.map(\.position.offset)
      positions.rows = chunk.map(\.position.row)
      let rows = chunk.map { event in
        if let row = event.row, let batch { values(of: batch, row) } else { event.values }
      }
      let columns = schema.fields.enumerated().map { index, field in
        Column(field.type.valueType, rows.map { $0[index] })
      }
      return ReleasedEvents(
        batch: EventBatch(partition: partition, positions: positions, eventTimes: chunk.map(\.time), columns: columns),
        areInWindows: Bitmap(count: chunk.count) { chunk[$0].isInWindows })
    }
  }
}

/// What became of events that waited, in a batch.
public struct WaitingOutcome: Sendable {
  /// The events that count from a decision on, by its index among those of the batch.
  public var believed: [Int: [ReleasedEvents]] = [:]
  /// Events whose time turned out to be wrong, without those that the batch's marks name.
  public var dismissed: [ReleasedEvents] = []
  /// Events that were given up undecided, because too many bytes waited.
  public var undecided: [ReleasedEvents] = []
}

/// The events of a run, told apart by whether their time is to be believed.
public struct TakenEvents: Sendable {
  public var believed: [ReleasedEvents]
  public var absurd: [ReleasedEvents]
}

/// Events that wait no more: a batch without derived columns.
public struct ReleasedEvents: Sendable {
  public var batch: EventBatch
  /// The events that windows have seen already.
  public var areInWindows: Bitmap

  /// Marks under which rules and windows take them in.
  /// - Parameters:
  ///   - watermark: before the event with which they were believed.
  ///   - believed: the latest time that is believed with it.
  public func marks(watermark: Int64, believed: Int64) -> EventTimeMarks {
    var marks = EventTimeMarks(
      watermarks: [Int64](repeating: watermark, count: batch.count),
      believed: [Int64](repeating: believed, count: batch.count), outsideWindows: areInWindows,
      watermarkAfter: watermark)
    marks.areReleased = true
    return marks
  }

  /// Marks under which rules count them as left out.
  /// - Parameter areUndecided: whether nothing was decided about their time.
  public func marksOfLeftOut(areUndecided: Bool) -> EventTimeMarks {
    let all = Bitmap(repeating: true, count: batch.count)
    var marks = EventTimeMarks(
      watermarks: [Int64](repeating: .min, count: batch.count), doubtful: all, outsideWindows: all,
      watermarkAfter: .min)
    marks.dismissed = all
    marks.areReleased = true
    marks.areUndecided = areUndecided
    return marks
  }
}

extension Scalar {
  /// Whether a column of a type can hold the value.
  fileprivate func fits(_ type: ValueType) -> Bool {
    switch self {
    case .null: true
    case .int: type == .int
    case .double: type == .double
    case .bool: type == .bool
    case .string: type == .string
    case .timestamp: type == .timestamp
    }
  }
}

extension Column {
  /// What a row counts for the bound of waiting events: its place, and the text of a string.
  @inline(__always)
  fileprivate func waitingBytes(_ row: Int) -> Int {
    guard case .string(let strings) = values, !isNull(row) else { return 16 }
    return 16 + strings.range(of: row).count
  }
}

extension Scalar {
  /// The same of a value.
  fileprivate var waitingBytes: Int {
    if case .string(let text) = self { return 16 + text.utf8.count }
    return 16
  }
}

extension ArraySlice {
  /// Runs of neighbours that belong together.
  fileprivate func chunked(by belong: (Element, Element) -> Bool) -> [[Element]] {
    var chunks: [[Element]] = []
    for element in self {
      if let last = chunks.last?.last, belong(last, element) {
        chunks[chunks.count - 1].append(element)
      } else {
        chunks.append([element])
      }
    }
    return chunks
  }
}

// MARK: - State

extension WaitingEvents {
  private static let version: UInt8 = 1

  public var stateName: String { "waiting" }

  /// With the fields: what waits has no others.
  public var stateFingerprint: String {
    let fields = schema.fields.map { "\($0.name) \($0.type.valueType.rawValue)" }
    return "waiting \(Self.version): " + fields.joined(separator: ", ")
  }

  /// The number, big-endian, so that keys ascend with it.
  private static func key(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
  }

  public func takeChanges() -> StateChanges {
    var changes = StateChanges(deletes: deletes)
    deletes = []
    let unstored = order[(order.lastIndex { $0.number < firstUnstored }.map { $0 + 1 } ?? 0)...]
    for event in unstored.compactMap({ event($0) }) {
      var writer = ByteWriter()
      writer.write(byte: Self.version)
      writer.write(unsigned: event.run)
      writer.write(bool: event.isInWindows)
      writer.write(unsigned: UInt64(event.position.segment))
      writer.write(signed: event.position.offset)
      writer.write(signed: event.position.row)
      writer.write(signed: event.time)
      for value in event.values { writer.write(scalar: value) }
      changes.puts.append(StateEntry(key: Self.key(event.number), value: writer.bytes))
    }
    firstUnstored = nextNumber
    return changes
  }

  public func restore(from entries: [StateEntry]) throws {
    queues = [:]
    order = []
    (oldest, bytes, count) = (0, 0, 0)
    for entry in entries {
      guard entry.key.count == 8 else {
        throw CodingError("the key of a waiting event has \(entry.key.count) bytes, expected 8")
      }
      var reader = ByteReader(entry.value)
      let version = try reader.readByte()
      guard version == Self.version else {
        throw CodingError("a waiting event has version \(version), expected \(Self.version)")
      }
      var event = Event(
        number: entry.key.reduce(0) { $0 << 8 | UInt64($1) }, run: try reader.readUnsigned(),
        isInWindows: try reader.readBool(),
        position: Position(
          segment: UInt32(try reader.readCount(upTo: Int(UInt32.max))), offset: try reader.readSigned(),
          row: try reader.readSigned()),
        time: try reader.readSigned(), bytes: 64)
      for field in schema.fields {
        let value = try reader.readScalar()
        guard value.fits(field.type.valueType) else {
          throw CodingError("a waiting event has another type than the field \(field.name)")
        }
        event.values.append(value)
        event.bytes += value.waitingBytes
      }
      guard reader.isAtEnd else { throw CodingError("a waiting event has \(reader.remaining) bytes too many") }
      order.append((event.number, event.run))
      queues[event.run, default: Queue()].events.append(event)
      bytes += event.bytes
      count += 1
    }
    nextNumber = order.last.map { $0.number + 1 } ?? 0
    firstUnstored = nextNumber
    deletes = []
  }
}
