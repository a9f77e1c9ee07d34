// What to list, and how a list goes on.

public import Detection

/// What to list. Absent conditions match everything.
public struct ResultFilter: Sendable, Hashable {
  public var useCase: String?
  /// Detector of anomalies, name of windows, reason of dead letters.
  public var name: String?
  /// Entity keys of anomalies: any of them.
  public var keys: Set<String>?
  /// Severities of anomalies: any of them.
  public var severities: Set<Severity>?
  /// The least score of anomalies.
  public var leastScore: Double?
  /// Words that the reason, the key or the event of an anomaly has, all of them and in any case of ASCII letters.
  public var words: [String] = []
  /// Bounds of the event time (of a window: its start; of a dead letter the watermark before it), microseconds: from
  /// inclusive, to exclusive.
  public var from: Int64?
  public var to: Int64?
  /// Rows at most; 0 for all. A page may have fewer: `ResultPage.next` says whether there are more.
  public var limit = 50

  public init() {}

  /// Keeps severities from one on.
  public mutating func keep(from least: Severity) { severities = Set(Severity.allCases.filter { $0 >= least }) }
}

/// A part of a list.
public struct ResultPage<Row: Sendable>: Sendable {
  public var rows: [Row]
  /// Where the list goes on; nil at its end.
  public var next: PageCursor?

  public init(rows: [Row], next: PageCursor?) {
    self.rows = rows
    self.next = next
  }
}

/// Where a list goes on: behind the last row of a page, by what the list is ordered by, so that rows that come or go
/// between two pages neither repeat nor hide others. Opaque: it belongs to one list of one store, with the same filter.
public struct PageCursor: Sendable, Hashable {
  /// For stores; others pass the text around.
  public let keys: [Scalar]

  public init(_ keys: [Scalar]) { self.keys = keys }

  private static let version: UInt8 = 1

  public var text: String {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    for key in keys { writer.write(scalar: key) }
    return OpaqueText.encode(writer.bytes)
  }

  /// - Throws: `CodingError` where the text is no cursor.
  public init(_ text: String) throws(CodingError) {
    guard let bytes = OpaqueText.decode(text) else { throw CodingError("the cursor of a list is damaged") }
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("the cursor of a list has version \(version), expected \(Self.version)")
    }
    var keys: [Scalar] = []
    while !reader.isAtEnd { keys.append(try reader.readScalar()) }
    self.keys = keys
  }
}

extension PageCursor {
  /// What stores take for a page where the filter asks for more.
  public static let maxRows = 500
  /// Bytes of large values after which a page ends.
  public static let maxBytes = 4 << 20
}
