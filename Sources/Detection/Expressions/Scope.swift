// What an expression may refer to, and what is said when it cannot be understood.

/// The columns an expression can name, in the order of the batch: column i of the scope is column i of the batch.
public struct Scope: Sendable {
  /// Name and type of each column.
  public let columns: [(name: String, type: ValueType)]
  private let indices: [String: Int]
  /// Names of columns that are declared, but not rightly: their types are not known, and fit everywhere.
  let unclear: Set<String>

  /// A scope of these columns. Where a name occurs twice the first one is meant.
  public init(_ columns: [(name: String, type: ValueType)]) { self.init(columns, unclear: []) }

  /// - Parameter unclear: those whose types are guesses. Expressions over them are checked, and must not be run.
  init(_ columns: [(name: String, type: ValueType)], unclear: Set<String>) {
    self.columns = columns
    self.unclear = unclear
    indices = Dictionary(columns.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The column with this name; names are case-sensitive.
  public func index(of name: String) -> Int? { indices[name] }

  /// The scope with columns more.
  func adding(_ more: (name: String, type: ValueType)..., unclear: Set<String> = []) -> Scope {
    Scope(columns + more, unclear: self.unclear.union(unclear))
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

/// Suggests what a misspelt name may have meant.
enum NearestName {
  /// The candidate at the smallest edit distance of at most 2 (1 for names of up to three characters), the first of
  /// several in order; nil when there is none. Upper and lower case count as a third of a change.
  static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
    let limit = (name.utf8.count <= 3 ? 1 : 2) * 3
    var best: (name: String, distance: Int)?
    for candidate in candidates {
      guard abs(candidate.utf8.count - name.utf8.count) <= 2 else { continue }
      let distance = distance(Array(name.utf8), Array(candidate.utf8))
      if distance <= limit && distance < (best?.distance ?? .max) { best = (candidate, distance) }
    }
    return best?.name
  }

  /// Optimal string alignment distance (insertions, deletions, substitutions, swaps of neighbours), times three.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    func cost(_ x: UInt8, _ y: UInt8) -> Int {
      if x == y { return 0 }
      let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
      return x | 0x20 == y | 0x20 && letters.contains(x | 0x20) ? 1 : 3
    }
    var beforeLast: [Int] = []
    var last = (0...b.count).map { $0 * 3 }
    for i in 0..<a.count {
      var row = [(i + 1) * 3]
      for j in 0..<b.count {
        var value = min(last[j] + cost(a[i], b[j]), last[j + 1] + 3, row[j] + 3)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { value = min(value, beforeLast[j - 1] + 3) }
        row.append(value)
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }
}
