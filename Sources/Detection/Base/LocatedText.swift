// Text that a person wrote, with the place where it stands, so that an error can name file, line and column.

/// A line and column of a file, both from 1.
public struct SourceLocation: Sendable, Hashable, Comparable {
  public var line: Int
  public var column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  public static func < (a: Self, b: Self) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// Text with the place where it stands: an expression's first character.
public struct LocatedText: Sendable, Hashable {
  /// From this byte of the text on, the characters stand from this location on: behind an escape, a line end or the
  /// indentation of a block, where the text and the file part ways.
  public struct Jump: Sendable, Hashable {
    public var offset: Int
    public var location: SourceLocation

    public init(offset: Int, location: SourceLocation) {
      self.offset = offset
      self.location = location
    }
  }

  public var text: String
  public var location: SourceLocation
  /// Ascending by offset; empty for text that stands in one line as it is.
  public var jumps: [Jump]

  public init(
    _ text: String, at location: SourceLocation = SourceLocation(line: 1, column: 1), jumps: [Jump] = []
  ) {
    self.text = text
    self.location = location
    self.jumps = jumps
  }

  /// Where the character at a byte of the text's UTF-8 stands. Columns count Unicode scalars, as YAML does.
  public func location(ofOffset offset: Int) -> SourceLocation {
    var from = 0
    var start = location
    for jump in jumps where jump.offset <= offset { (from, start) = (jump.offset, jump.location) }
    let leading = text.utf8.dropFirst(from).prefix(max(0, offset - from)).count { $0 & 0xC0 != 0x80 }
    return SourceLocation(line: start.line, column: start.column + leading)
  }
}
