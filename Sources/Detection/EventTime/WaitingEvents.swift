// Events of one partition that wait because their time is in doubt: what rules and windows will need of them when it is
// believed. They are few (`EventClock` decides within a thousand events) and kept row by row; derived columns are computed
// again when an event is released, because they are functions of its fields.

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
    /// The fields, in the order of the schema.
    var values: [Scalar]

    var bytes: Int {
      values.reduce(64) { sum, value in
        if case .string(let text) = value { return sum + text.utf8.count + 16 }
        return sum + 16
      }
    }
  }

  private let partition: PartitionID
  private let schema: Schema
  private let maxBytes: Int
  private var events: [Event] = []
  private var bytes = 0
  private var nextNumber: UInt64 = 0
  private var firstUnstored: UInt64 = 0
  private var deletes: [[UInt8]] = []

  /// - Parameter maxBytes: of the events that wait; beyond, those that wait longest are given up.
  public init(partition: PartitionID, schema: Schema, maxBytes: Int = Limits.maxWaitingEventBytes) {
    self.partition = partition
    self.schema = schema
    self.maxBytes = maxBytes
  }

  /// Where the events that wait came from.
  public var positions: [Position] { events.map(\.position) }

  /// How many events wait.
  public var count: Int { events.count }

  /// Takes in the events of a batch that wait beyond its end, or until a decision within it.
  /// - Returns: events that were given up because too many bytes wait.
  public func add(_ batch: EventBatch, _ marks: EventTimeMarks) -> [ReleasedEvents] {
    for waiting in marks.waiting where !marks.dismissed[waiting.row] {
      let row = waiting.row
      let event = Event(
        number: nextNumber, run: waiting.run, isInWindows: !marks.outsideWindows[row],
        position: batch.positions[row], time: batch.eventTimes[row],
        values: schema.fields.indices.map { batch.columns[$0][row] })
      nextNumber += 1
      bytes += event.bytes
      events.append(event)
    }
    var surplus = 0
    var excess = bytes
    while excess > maxBytes, surplus < events.count {
      excess -= events[surplus].bytes
      surplus += 1
    }
    guard surplus > 0 else { return [] }
    let bound = events[surplus - 1].number
    return take { $0.number <= bound }
  }

  /// Takes out the events of a run, in their order.
  public func take(run: UInt64) -> [ReleasedEvents] { take { $0.run == run } }

  /// Drops the events of runs that are not among the given ones.
  /// - Returns: how many.
  public func giveUp(exceptRuns runs: Set<UInt64>) -> Int {
    take { !runs.contains($0.run) }.reduce(0) { $0 + $1.batch.count }
  }

  private func take(where isTaken: (Event) -> Bool) -> [ReleasedEvents] {
    guard events.contains(where: isTaken) else { return [] }
    let taken = events.filter(isTaken)
    events.removeAll(where: isTaken)
    for event in taken {
      bytes -= event.bytes
      if event.number < firstUnstored { deletes.append(Self.key(event.number)) }
    }
    // A batch has the positions of one segment.
    return taken.chunked { $0.position.segment == $1.position.segment }.map { chunk in
      var positions = RecordPositions(segment: chunk[0].position.segment)
      positions.offsets = chunk.map(\.position.offset)
      positions.rows = chunk.map(\.position.row)
      let columns = schema.fields.enumerated().map { index, field in
        Column(field.type.valueType, chunk.map { $0.values[index] })
      }
      return ReleasedEvents(
        batch: EventBatch(partition: partition, positions: positions, eventTimes: chunk.map(\.time), columns: columns),
        areInWindows: Bitmap(count: chunk.count) { chunk[$0].isInWindows })
    }
  }
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
  public var marksOfDismissed: EventTimeMarks {
    let all = Bitmap(repeating: true, count: batch.count)
    var marks = EventTimeMarks(
      watermarks: [Int64](repeating: .min, count: batch.count), doubtful: all, outsideWindows: all,
      watermarkAfter: .min)
    marks.dismissed = all
    marks.areReleased = true
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

extension Array {
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
    for event in events where event.number >= firstUnstored {
      var writer = ByteWriter()
      writer.write(byte: Self.version)
      writer.write(unsigned: event.run)
      writer.write(bool: event.isInWindows)
      writer.write(unsigned: UInt64(event.position.segment))
      writer.write(signed: event.position.offset)
      writer.write(signed: event.position.row)
      writer.write(signed: event.time)
      for value in event.values { writer.write(scalar: value) }
      changes.puts.append((key: Self.key(event.number), value: writer.bytes))
    }
    firstUnstored = nextNumber
    return changes
  }

  public func restore(from entries: [(key: [UInt8], value: [UInt8])]) throws {
    var restored: [Event] = []
    for (key, value) in entries {
      guard key.count == 8 else { throw CodingError("the key of a waiting event has \(key.count) bytes, expected 8") }
      var reader = ByteReader(value)
      let version = try reader.readByte()
      guard version == Self.version else {
        throw CodingError("a waiting event has version \(version), expected \(Self.version)")
      }
      var event = Event(
        number: key.reduce(0) { $0 << 8 | UInt64($1) }, run: try reader.readUnsigned(),
        isInWindows: try reader.readBool(),
        position: Position(
          segment: UInt32(try reader.readCount(upTo: Int(UInt32.max))), offset: try reader.readSigned(),
          row: try reader.readSigned()),
        time: try reader.readSigned(), values: [])
      for field in schema.fields {
        let value = try reader.readScalar()
        guard value.fits(field.type.valueType) else {
          throw CodingError("a waiting event has another type than the field \(field.name)")
        }
        event.values.append(value)
      }
      guard reader.isAtEnd else { throw CodingError("a waiting event has \(reader.remaining) bytes too many") }
      restored.append(event)
    }
    events = restored
    bytes = restored.reduce(0) { $0 + $1.bytes }
    nextNumber = restored.last.map { $0.number + 1 } ?? 0
    firstUnstored = nextNumber
    deletes = []
  }
}
