// What names a result: a function of the input, so that whoever was told of a result twice knows that it is one.

internal import Crypto
public import Detection

/// What names an anomaly.
public struct AnomalyID: Sendable, Hashable, CustomStringConvertible {
  public var useCase: String
  public var partition: PartitionID
  /// Its row follows from the rest: it is no part of the text.
  public var position: Position
  /// Name of the detector or rule.
  public var detector: String
  /// See `Anomaly.subject`.
  public var subject: String

  public init(useCase: String, partition: PartitionID, position: Position, detector: String, subject: String = "") {
    self.useCase = useCase
    self.partition = partition
    self.position = position
    self.detector = detector
    self.subject = subject
  }

  /// One word: use case, source, partition, position (segment-offset), detector, with dots between them; where there is a
  /// subject, `~` and the subject, percent-encoded.
  public var description: String {
    let place = "\(useCase).\(partition.source).\(partition.number).\(position.segment)-\(position.offset).\(detector)"
    return subject.isEmpty ? place : place + "~" + subject.percentEncoded
  }

  /// An id taken apart as far as that is possible without knowing the names.
  public struct Parts: Sendable, Hashable {
    /// Use case and source with a dot between them: both may have dots in their names.
    public var place: String
    public var partition: Int32
    public var segment: UInt32
    public var offset: Int64
    public var detector: String
    public var subject: String
  }

  /// Takes an id apart. Detectors have no dots in their names, and an encoded subject has none: the end is unambiguous.
  /// - Returns: nil where the text is no id.
  public static func parts(of id: String) -> Parts? {
    guard
      let match = id.wholeMatch(
        of: /(.+)\.([0-9]{1,10})\.([0-9]{1,10})-([0-9]{1,18})\.([^.~]+)(?:~([A-Za-z0-9_%-]+))?/),
      let partition = Int32(match.2), let segment = UInt32(match.3), let offset = Int64(match.4),
      let subject = String(match.6 ?? "").percentDecoded
    else { return nil }
    return Parts(
      place: String(match.1), partition: partition, segment: segment, offset: offset, detector: String(match.5),
      subject: subject)
  }
}

/// What names a dead letter.
public struct DeadLetterID: Sendable, Hashable, CustomStringConvertible {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position

  public init(useCase: String, partition: PartitionID, position: Position) {
    self.useCase = useCase
    self.partition = partition
    self.position = position
  }

  /// One word: use case, source, partition, position (segment-offset).
  public var description: String {
    "\(useCase).\(partition.source).\(partition.number).\(position.segment)-\(position.offset)"
  }
}

/// What names the part of a window that one partition has.
public struct WindowPartID: Sendable, Hashable, CustomStringConvertible {
  public var useCase: String
  public var partition: PartitionID
  public var window: String
  /// Microseconds.
  public var start: Int64
  /// The values the window is grouped by, as `ByteWriter` writes them.
  public var by: [UInt8]
  /// Fingerprint of the definition.
  public var definition: String

  public init(
    useCase: String, partition: PartitionID, window: String, start: Int64, by: [UInt8], definition: String
  ) {
    self.useCase = useCase
    self.partition = partition
    self.window = window
    self.start = start
    self.by = by
    self.definition = definition
  }

  /// One word: use case, source, partition, window, start, and a hash (the first 16 bytes of SHA-256) of the definition
  /// and the values of `by`.
  public var description: String {
    var hash = SHA256()
    hash.update(data: Array(definition.utf8))
    hash.update(data: [0])
    hash.update(data: by)
    let digits = hash.finalize().prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return "\(useCase).\(partition.source).\(partition.number).\(window).\(start).\(digits)"
  }
}

extension String {
  /// With everything but ASCII letters, digits, `-` and `_` as the `%XX` of its UTF-8.
  fileprivate var percentEncoded: String {
    var text = ""
    for byte in utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default: text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return text
  }

  /// The inverse; nil where it is none.
  fileprivate var percentDecoded: String? {
    var bytes: [UInt8] = []
    var rest = utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let value = UInt8(Substring(rest.prefix(2)), radix: 16), rest.count >= 2 else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
