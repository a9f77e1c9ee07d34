// The open windows that earlier versions have stored one by one, as a restart finds them, packed: what they take until they
// are restored is what they take in the store.

public import Detection

/// Open windows of a partition, by definition.
public struct StoredWindows: Sendable {
  /// Those of one definition.
  public struct Group: Sequence, Sendable {
    /// Name of the window.
    public let window: String
    /// Its fingerprint.
    public let definition: String
    fileprivate var chunks: [[UInt8]] = []

    private static let chunkBytes = 1 << 18

    fileprivate mutating func append(_ part: WindowPart) {
      var writer = ByteWriter()
      writer.write(signed: part.start)
      writer.write(signed: part.end)
      writer.write(unsigned: UInt64(part.by.count))
      for value in part.by { writer.write(scalar: value) }
      writer.write(blob: part.state)
      writer.write(signed: part.events)
      if chunks.isEmpty || chunks[chunks.count - 1].count >= Self.chunkBytes { chunks.append([]) }
      chunks[chunks.count - 1] += writer.bytes
    }

    public func makeIterator() -> AnyIterator<WindowPart> {
      var (next, reader) = (0, ByteReader([]))
      return AnyIterator {
        if reader.isAtEnd {
          guard next < chunks.count else { return nil }
          reader = ByteReader(chunks[next])
          next += 1
        }
        do { return try Self.read(window, from: &reader) } catch { preconditionFailure("what was packed is whole") }
      }
    }

    private static func read(_ window: String, from reader: inout ByteReader) throws(CodingError) -> WindowPart {
      let (start, end) = (try reader.readSigned(), try reader.readSigned())
      var by: [Scalar] = []
      for _ in 0..<(try reader.readCount(upTo: reader.remaining)) { by.append(try reader.readScalar()) }
      return WindowPart(
        window: window, start: start, end: end, by: by, closed: false, state: try reader.readBlob(),
        events: try reader.readSigned())
    }
  }

  public private(set) var groups: [Group] = []

  public init() {}

  /// Adds a window.
  /// - Precondition: it is open.
  public mutating func append(_ part: WindowPart, definition: String) {
    precondition(!part.closed, "a closed window is not restored")
    // Those of one definition mostly follow each other.
    func isOf(_ group: Group) -> Bool { group.window == part.window && group.definition == definition }
    if let index = groups.lastIndex(where: isOf) { return groups[index].append(part) }
    groups.append(Group(window: part.window, definition: definition))
    groups[groups.count - 1].append(part)
  }

  /// Those of a definition.
  func group(of window: String, definition: String) -> Group {
    groups.first { $0.window == window && $0.definition == definition } ?? Group(window: window, definition: definition)
  }
}
