// Committed results as changes, to be followed from a cursor: what live views and outgoing sinks are made of.
//
// A partition has one writer at a time, its claim, and every change of it gets the next number of the partition in the
// transaction that commits it. So within a partition the numbers are in the order of the commits, in any database, which
// the numbers of a sequence that several writers share are not: there a reader could see 8 before 7 is committed, and would
// never read 7. The cursor is therefore a number for each partition.

public import Detection

/// A result that was committed, changed or retracted.
public struct ResultChange: Sendable, Hashable {
  /// What has changed.
  public enum Content: Sendable, Hashable {
    /// A finding that is new, or says something else than before.
    case anomaly(StoredAnomaly)
    /// A dead letter that is new, or says something else than before.
    case deadLetter(StoredDeadLetter)
    /// A part of a window that has closed, or that says something else than when it closed. Open ones are no results yet.
    case window(StoredWindowPart)
    /// A result that does not hold any more: its events are scored again under another activation, or their input has
    /// changed, or its window went up in another. What is removed because it is old is not retracted.
    case retraction(Retracted)
    /// Everything that was known of the partition is to be forgotten: it was started over, or the reader has been away
    /// longer than retractions are kept. What there is follows.
    case reset
  }

  /// What names a result that was retracted.
  public enum Retracted: Sendable, Hashable {
    case anomaly(RetractedAnomaly)
    case deadLetter(DeadLetterID)
    case window(WindowPartID)

    public var description: String {
      switch self {
      case .anomaly(let anomaly): anomaly.identity.description
      case .deadLetter(let id): id.description
      case .window(let id): id.description
      }
    }
  }

  public var useCase: String
  public var partition: PartitionID
  /// Ascending within the partition.
  public var number: Int64
  public var content: Content

  public init(useCase: String, partition: PartitionID, number: Int64, content: Content) {
    self.useCase = useCase
    self.partition = partition
    self.number = number
    self.content = content
  }

  /// The identity of the result; that of a reset is its partition's.
  public var id: String {
    switch content {
    case .anomaly(let anomaly): anomaly.id
    case .deadLetter(let letter): letter.id
    case .window(let part): part.id
    case .retraction(let retracted): retracted.description
    case .reset: "\(useCase).\(partition.source).\(partition.number)"
    }
  }

  /// The change as a JSON object: `change` says which kind it is (`anomaly`, `dead_letter`, `window`, `retraction` with
  /// the kind of what was retracted as `of`, and the entity of an anomaly as `key`, `reset`), `result` is the result as lists have it.
  public var json: String {
    func object(_ kind: String, _ more: [(String, String)]) -> String {
      JSONText.object(
        [("change", JSONText.string(kind)), ("id", JSONText.string(id)), ("number", String(number))] + more)
    }
    let place = [
      ("use_case", JSONText.string(useCase)), ("source", JSONText.string(partition.source)),
      ("partition", String(partition.number)),
    ]
    switch content {
    case .anomaly(let anomaly): return object("anomaly", [("result", anomaly.json)])
    case .deadLetter(let letter): return object("dead_letter", [("result", letter.json)])
    case .window(let part): return object("window", [("result", part.json)])
    case .retraction(let retracted):
      var more: [(String, String)]
      switch retracted {
      case .anomaly(let anomaly):
        more = [("of", JSONText.string("anomaly"))]
        if let key = anomaly.key { more.append(("key", JSONText.string(key))) }
      case .deadLetter: more = [("of", JSONText.string("dead_letter"))]
      case .window: more = [("of", JSONText.string("window"))]
      }
      return object("retraction", more + place)
    case .reset: return object("reset", place)
    }
  }

  /// Where its event lies. Nil for what a restart does not find again: windows, which close with a checkpoint, and what was
  /// taken back.
  var position: Position? {
    switch content {
    case .anomaly(let anomaly): anomaly.position
    case .deadLetter(let letter): letter.position
    case .window, .retraction, .reset: nil
    }
  }

  /// Bytes of what is large in it.
  public var bytes: Int {
    switch content {
    case .anomaly(let anomaly): anomaly.event.utf8.count + anomaly.explanation.utf8.count + 512
    case .deadLetter(let letter): letter.raw.count + letter.message.utf8.count + 512
    case .window(let part): part.aggregates.utf8.count + part.by.utf8.count + part.classes.utf8.count + 512
    case .retraction, .reset: 512
    }
  }
}

/// A finding that was taken back.
public struct RetractedAnomaly: Sendable, Hashable {
  public var identity: AnomalyID
  /// The entity it was about; nil where a version of the store that did not keep it has written the retraction.
  public var key: String?
  /// Microseconds; nil where the store does not say.
  public var eventTime: Int64?

  public init(_ identity: AnomalyID, key: String?, eventTime: Int64?) {
    (self.identity, self.key, self.eventTime) = (identity, key, eventTime)
  }
}

/// How far a reader has followed the changes: for each partition the number of the last one seen. Partitions that it does
/// not know begin at their first change.
public struct ChangeCursor: Sendable, Hashable {
  /// A partition of a use case.
  public struct Place: Sendable, Hashable, Comparable {
    public var useCase: String
    public var partition: PartitionID

    public init(useCase: String, partition: PartitionID) {
      self.useCase = useCase
      self.partition = partition
    }

    public static func < (a: Place, b: Place) -> Bool {
      (a.useCase, a.partition) < (b.useCase, b.partition)
    }
  }

  /// The numbers that were seen last; for stores. Others pass the text around.
  public private(set) var numbers: [Place: Int64] = [:]

  /// Before all changes.
  public init() {}

  public subscript(place: Place) -> Int64 {
    get { numbers[place] ?? 0 }
    set { numbers[place] = newValue == 0 ? nil : newValue }
  }

  /// Goes on behind a change.
  public mutating func pass(_ change: ResultChange) {
    self[Place(useCase: change.useCase, partition: change.partition)] = change.number
  }

  private static let version: UInt8 = 1

  /// The cursor as one opaque word.
  public var text: String {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    for (place, number) in numbers.sorted(by: { $0.key < $1.key }) {
      writer.write(string: place.useCase)
      writer.write(string: place.partition.source)
      writer.write(signed: Int64(place.partition.number))
      writer.write(signed: number)
    }
    return OpaqueText.encode(writer.bytes)
  }

  /// - Throws: `CodingError` where the text is no cursor.
  public init(_ text: String) throws(CodingError) {
    if text.isEmpty { return }
    guard let bytes = OpaqueText.decode(text) else { throw CodingError("the cursor of changes is damaged") }
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("the cursor of changes has version \(version), expected \(Self.version)")
    }
    while !reader.isAtEnd {
      let (useCase, source) = (try reader.readString(), try reader.readString())
      guard let number = Int32(exactly: try reader.readSigned()) else {
        throw CodingError("the cursor of changes has no such partition")
      }
      let last = try reader.readSigned()
      guard last >= 0 else { throw CodingError("the cursor of changes is before all changes") }
      self[Place(useCase: useCase, partition: PartitionID(source: source, number: number))] = last
    }
  }
}

/// Some changes, those of a partition in order.
public struct ChangePage: Sendable {
  public var changes: [ResultChange]
  /// Behind the last of them.
  public var next: ChangeCursor
  /// Whether there were more when they were read.
  public var hasMore: Bool

  public init(changes: [ResultChange], next: ChangeCursor, hasMore: Bool) {
    self.changes = changes
    self.next = next
    self.hasMore = hasMore
  }
}

/// Bytes as a word that fits into addresses and JSON: base64url without padding (RFC 4648, section 5).
enum OpaqueText {
  private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var (buffer, bits): (UInt32, UInt32) = (0, 0)
    for byte in bytes {
      buffer = buffer << 8 | UInt32(byte)
      bits += 8
      while bits >= 6 {
        bits -= 6
        text.append(digits[Int(buffer >> bits & 63)])
      }
    }
    if bits > 0 { text.append(digits[Int(buffer << (6 - bits) & 63)]) }
    return String(decoding: text, as: UTF8.self)
  }

  /// The inverse; nil where the text is none.
  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (buffer, bits): (UInt32, UInt32) = (0, 0)
    for digit in text.utf8 {
      guard let value = digits.firstIndex(of: digit) else { return nil }
      buffer = buffer << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: buffer >> bits))
      }
    }
    return buffer & (1 << bits - 1) == 0 && bits < 6 ? bytes : nil
  }
}
