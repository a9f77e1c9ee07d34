// What an expression may refer to, and what is said when it cannot be understood.

/// The columns an expression can name, in the order of the batch: column i of the scope is column i of the batch.
public struct Scope: Sendable {
  /// A column that can be named.
  public struct Column: Sendable, Hashable {
    public let name: String
    public let type: ValueType
  }

  public let columns: [Column]
  private let indices: [String: Int]
  /// Names of columns that are declared, but not rightly: their types are not known, and fit everywhere.
  let unclear: Set<String>

  /// A scope of these columns. Where a name occurs twice the first one is meant.
  public init(_ columns: [(name: String, type: ValueType)]) { self.init(columns, unclear: []) }

  /// - Parameter unclear: those whose types are guesses. Expressions over them are checked, and must not be run.
  init(_ columns: [(name: String, type: ValueType)], unclear: Set<String>) {
    self.columns = columns.map { Column(name: $0.name, type: $0.type) }
    self.unclear = unclear
    indices = Dictionary(self.columns.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The column with this name; names are case-sensitive.
  public func index(of name: String) -> Int? { indices[name] }

  /// The scope with columns more.
  func adding(_ more: (name: String, type: ValueType)..., unclear: Set<String> = []) -> Scope {
    Scope(columns.map { ($0.name, $0.type) } + more, unclear: self.unclear.union(unclear))
  }
}

/// Why a text is not an expression of the expected kind, and where.
public struct ExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
  /// UTF-8 offset in the text of the first wrong character.
  public var offset: Int
  /// Bytes that are wrong; 0 where something is missing.
  public var length: Int
  /// One sentence: what was expected and what was found.
  public var message: String
  /// What would have been right there.
  public var expected: String?
  /// What stands there.
  public var found: String?
  /// The nearest known name, where a name is unknown.
  public var suggestion: String?

  public init(
    offset: Int, length: Int, message: String, expected: String? = nil, found: String? = nil,
    suggestion: String? = nil
  ) {
    self.offset = offset
    self.length = length
    self.message = message
    self.expected = expected
    self.found = found
    self.suggestion = suggestion
  }

  /// "expected …, found …" at a place.
  init(_ span: TextSpan, expected: String, found: String, suggestion: String? = nil) {
    let hint = suggestion.map { "; did you mean \($0)?" } ?? ""
    self.init(
      offset: span.offset, length: span.length, message: "expected \(expected), found \(found)\(hint)",
      expected: expected, found: found, suggestion: suggestion)
  }

  /// Any other complaint about a place.
  init(_ span: TextSpan, _ message: String) {
    self.init(offset: span.offset, length: span.length, message: message)
  }

  public var description: String { "at byte \(offset): \(message)" }
}

/// A piece of an expression's text, in bytes of UTF-8.
struct TextSpan: Sendable, Hashable {
  var offset: Int
  var length: Int

  var end: Int { offset + length }

  /// From the beginning of one to the end of the other.
  func through(_ other: TextSpan) -> TextSpan { TextSpan(offset: offset, length: max(other.end - offset, 0)) }
}

extension TextSpan {
  /// How an error names a column that was written in double quotes.
  static func quotedName(_ name: String) -> String { "the name \"\(name)\" (in double quotes)" }
}
