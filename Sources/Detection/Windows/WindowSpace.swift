// How the open windows of one definition are stored in one partition: in segments (`SegmentLedger`) of the state space
// `window/<name>`. A segment's key is its number, 8 bytes big-endian; its value, by `ByteWriter`:
//
//   version       byte, 1
//   base          signed; starts below are differences from it, wrapping
//   by            unsigned: number of values of `by`
//   windows       count, then for each: start - base (signed), its values of `by` (a scalar each), events (unsigned), state
//                 (blob, `AggregateSnapshot`)
//
// Reading. Of several segments that have a window the one with the highest number is right: what is written is what the
// window holds then. Windows that have closed or were discarded are still in segments, and the head, under the key 0, says
// which they are: those that start up to the latest that has closed, since windows close in the order of their starts, and
// those that start behind a bound in segments of before the time when what lay behind it was discarded.

/// What the space of a definition's open windows says of all of them, under the key 0.
public struct WindowSpaceHead: Sendable, Equatable {
  private static let version: UInt8 = 1
  /// Discards that segments may be kept for.
  static let maxDiscards = 64

  /// That windows which start behind a time do not count in segments up to a number.
  struct Discard: Sendable, Equatable {
    var startsAfter: Int64
    var lastSegment: UInt64
  }

  /// Length of a window, microseconds.
  public let size: Int64
  /// Names of the values that windows are grouped by.
  public let byNames: [String]
  /// How many windows are open.
  public internal(set) var openCount = 0
  /// No open window starts later, microseconds; `Int64.min` where there is none.
  public internal(set) var latestStart = Int64.min
  /// The latest start of a window that has closed, microseconds; `Int64.min` where none has.
  public internal(set) var closedThrough = Int64.min
  /// Later ones have a higher bound and a higher number.
  private(set) var discards: [Discard] = []

  init(_ window: WindowDefinition, byNames: [String]) {
    size = window.size
    self.byNames = byNames
  }

  /// - Throws: `CodingError` where the bytes are no head.
  public init(from bytes: [UInt8]) throws(CodingError) {
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("the head of open windows has version \(version), expected \(Self.version)")
    }
    size = try reader.readSigned()
    guard size > 0 else { throw CodingError("the head of open windows has the size \(size)") }
    var names: [String] = []
    for _ in 0..<(try reader.readCount(upTo: reader.remaining)) { names.append(try reader.readString()) }
    byNames = names
    openCount = try reader.readCount(upTo: .max)
    latestStart = try reader.readSigned()
    closedThrough = try reader.readSigned()
    for _ in 0..<(try reader.readCount(upTo: reader.remaining)) {
      discards.append(Discard(startsAfter: try reader.readSigned(), lastSegment: try reader.readUnsigned()))
    }
    guard reader.isAtEnd else { throw CodingError("the head of open windows has \(reader.remaining) bytes too many") }
  }

  /// The head as it is stored.
  var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(signed: size)
    writer.write(unsigned: UInt64(byNames.count))
    for name in byNames { writer.write(string: name) }
    writer.write(unsigned: UInt64(openCount))
    writer.write(signed: latestStart)
    writer.write(signed: closedThrough)
    writer.write(unsigned: UInt64(discards.count))
    for discard in discards {
      writer.write(signed: discard.startsAfter)
      writer.write(unsigned: discard.lastSegment)
    }
    return writer.bytes
  }

  /// Whether a window that starts at a time and is in a segment may be open.
  func counts(_ start: Int64, in segment: UInt64) -> Bool {
    start > closedThrough && !discards.contains { start > $0.startsAfter && segment <= $0.lastSegment }
  }

  /// Windows that start behind a time do not count in the segments that are stored.
  mutating func discard(startingAfter bound: Int64, lastSegment: UInt64) {
    discards.removeAll { $0.startsAfter >= bound }
    discards.append(Discard(startsAfter: bound, lastSegment: lastSegment))
  }

  /// The last segment that one of too many discards is for: what is open in those up to it is to be written again.
  var surplusDiscards: UInt64 { discards.dropLast(Self.maxDiscards).last?.lastSegment ?? 0 }

  /// Forgets what no stored segment needs.
  mutating func forgetDiscards(before oldest: UInt64?) {
    discards.removeAll { $0.lastSegment < oldest ?? .max }
  }
}

/// An open window as a segment has it.
public struct WindowRecord: Sendable, Equatable {
  /// Microseconds.
  public var start: Int64
  /// The values of `by`, in the order of the definition.
  public var by: [Scalar]
  /// Number of events.
  public var events: Int64
  /// The aggregates, as `WindowPart.state` has them.
  public var state: [UInt8]

  /// The values of `by` as stores have them in keys: a scalar each.
  public var key: [UInt8] {
    var writer = ByteWriter()
    for value in by { writer.write(scalar: value) }
    return writer.bytes
  }
}

/// Reads the windows of a segment that may be open, one after another. Others in segments with a higher number are later.
public struct WindowSegmentReader {
  private static let version: UInt8 = 1

  private var reader: ByteReader
  private let head: WindowSpaceHead
  /// Number of the segment.
  public let number: UInt64
  private let base: Int64
  private let values: Int
  /// Windows in the segment, those that have closed among them.
  let stored: Int
  private var left: Int

  /// - Throws: `CodingError` where it is no segment.
  public init(_ entry: StateEntry, head: WindowSpaceHead) throws(CodingError) {
    guard let number = SegmentLedger.number(of: entry.key), number > 0 else {
      throw CodingError("the key of a segment of windows has \(entry.key.count) bytes, expected 8")
    }
    self.number = number
    self.head = head
    reader = ByteReader(entry.value)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("a segment of windows has version \(version), expected \(Self.version)")
    }
    base = try reader.readSigned()
    values = try reader.readCount(upTo: .max)
    guard values == head.byNames.count else {
      throw CodingError("a segment of windows has \(values) values of `by`, expected \(head.byNames.count)")
    }
    stored = try reader.readCount(upTo: reader.remaining)
    left = stored
  }

  /// The next window that may be open; nil behind the last one.
  /// - Throws: `CodingError` where the segment is damaged.
  public mutating func next() throws(CodingError) -> WindowRecord? {
    while left > 0 {
      left -= 1
      let start = base &+ (try reader.readSigned())
      var by: [Scalar] = []
      by.reserveCapacity(values)
      for _ in 0..<values { by.append(try reader.readScalar()) }
      let events = try reader.readTally()
      let state = try reader.readBlob()
      if head.counts(start, in: number) { return WindowRecord(start: start, by: by, events: events, state: state) }
    }
    guard reader.isAtEnd else { throw CodingError("a segment of windows has \(reader.remaining) bytes too many") }
    return nil
  }

  /// The value of a segment with the windows of a snapshot.
  static func encode(_ windows: WindowSnapshot, _ keys: WindowKeys) -> [UInt8] {
    var writer = ByteWriter()
    let base = windows.keys.first?.start ?? 0
    writer.write(byte: version)
    writer.write(signed: base)
    writer.write(unsigned: UInt64(keys.count))
    writer.write(unsigned: UInt64(windows.keys.count))
    for (index, key) in windows.keys.enumerated() {
      writer.write(signed: key.start &- base)
      for value in keys.scalars(word: key.word, isNull: key.isNull, bytes: key.bytes) { writer.write(scalar: value) }
      writer.write(unsigned: UInt64(windows.aggregates.events[index]))
      writer.write(blob: windows.aggregates.encode(index))
    }
    return writer.bytes
  }
}

/// The state space of a definition's open windows.
public enum WindowSpace {
  /// What the names of these spaces begin with; the name of the window follows.
  public static let prefix = "window/"
  /// Where the head is.
  public static let headKey = SegmentLedger.key(0)
}

/// The open windows that a space holds: for looking at few.
public struct StoredOpenWindows: Sendable {
  public let head: WindowSpaceHead
  /// By start and then by the bytes of their values.
  public let parts: [WindowPart]

  /// - Parameters:
  ///   - entries: of the space, ascending by key; at least the head.
  ///   - window: name of the window.
  /// - Throws: `CodingError` where they cannot be read.
  public init(_ entries: [StateEntry], of window: String) throws(CodingError) {
    guard let first = entries.first, first.key == WindowSpace.headKey else {
      throw CodingError("open windows of \(window) have no head")
    }
    head = try WindowSpaceHead(from: first.value)
    struct Place: Hashable {
      var start: Int64
      var by: [UInt8]
    }
    var latest: [Place: WindowPart] = [:]
    for entry in entries.dropFirst() {
      var reader = try WindowSegmentReader(entry, head: head)
      while let record = try reader.next() {
        latest[Place(start: record.start, by: record.key)] = WindowPart(
          window: window, start: record.start, end: record.start.addingSaturated(head.size), by: record.by,
          closed: false, state: record.state, events: record.events)
      }
    }
    parts = latest.sorted { a, b in
      a.key.start == b.key.start ? a.key.by.lexicographicallyPrecedes(b.key.by) : a.key.start < b.key.start
    }.map(\.value)
  }
}

/// Segments of open windows that are to be stored: each is encoded when it is asked for, so that a checkpoint takes what the
/// accumulators take, and one segment.
public struct WindowSegments: Sequence, Sendable {
  /// Without any, keys do not matter.
  private var keys = WindowKeys([])
  private var segments: [(number: UInt64, windows: WindowSnapshot)] = []

  /// No segments.
  public init() {}

  init(_ keys: WindowKeys) { self.keys = keys }

  mutating func append(_ windows: WindowSnapshot, number: UInt64) { segments.append((number, windows)) }

  /// Bytes of memory that they take until they are let go.
  public var heldBytes: Int { segments.reduce(0) { $0 + $1.windows.heldBytes } }

  public func makeIterator() -> AnyIterator<StateEntry> {
    var rest = segments.makeIterator()
    return AnyIterator {
      rest.next().map {
        StateEntry(key: SegmentLedger.key($0.number), value: WindowSegmentReader.encode($0.windows, keys))
      }
    }
  }
}

/// What changed of the stored open windows of a definition.
public struct WindowStateChanges: Sendable {
  /// Everything but the segments to insert.
  public var changes: StateChanges
  public var segments: WindowSegments
}
