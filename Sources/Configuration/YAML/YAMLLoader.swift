// Text to `YAMLNode`s by way of Yams. Everything that is wrong with a document as YAML ends here: syntax and duplicate
// keys, and what `YAMLBounds` refuses.

package import Detection
internal import Yams

/// Loads YAML documents.
package struct YAMLLoader {
  /// Duplicate keys reported before giving up. Each takes another pass over the text: of a large one fewer are reported.
  static let maxDuplicates = 50
  /// Bytes that are read for them in all.
  private static let maxDuplicateBytes = 4 << 20

  private(set) var diagnostics: [Diagnostic] = []
  private let source: SourceText
  /// Scalars that stand in for a key that occurs twice, to let the parser go on; by mangled text.
  private var mangled: [String: String] = [:]

  /// The document in `text`; nil when it has none. Problems are appended to `diagnostics`.
  package static func load(_ text: String, diagnostics: inout [Diagnostic]) -> YAMLNode? {
    var loader = YAMLLoader(source: SourceText(text))
    let documents = loader.load { try $0.singleRoot().map { [$0] } ?? [] }
    diagnostics += loader.diagnostics
    if documents?.isEmpty == true {
      let start = SourceLocation(line: 1, column: 1)
      diagnostics.append(
        Diagnostic(location: start, message: "the file is empty", expected: "a mapping that begins with `name:`"))
    }
    return documents?.first
  }

  /// The documents in `text`, in order: none where it is not YAML. Problems are appended to `diagnostics`.
  package static func documents(in text: String, diagnostics: inout [Diagnostic]) -> [YAMLNode] {
    var loader = YAMLLoader(source: SourceText(text))
    let documents = loader.load { parser in
      var roots: [Node] = []
      while let root = try parser.nextRoot() { roots.append(root) }
      return roots
    }
    diagnostics += loader.diagnostics
    return documents ?? []
  }

  private init(source: SourceText) { self.source = source }

  /// - Parameter compose: takes the roots of the documents out of a parser.
  private mutating func load(_ compose: (Parser) throws -> [Node]) -> [YAMLNode]? {
    do { try YAMLBounds.check(source.text) } catch {
      diagnostics.append(error)
      return nil
    }
    var lines = source
    let most = min(Self.maxDuplicates, Self.maxDuplicateBytes / max(1, source.text.utf8.count))
    for attempt in 0...most {
      do {
        return try compose(Parser(yaml: lines.text, encoding: .utf8)).map { convert($0) }
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        guard attempt < most, let key = keys.first, mangle(key, at: context.mark, in: &lines) else {
          report(location(context.mark), "the key \(excerpt(keys.first ?? "")) is there more than once")
          return nil
        }
      } catch {
        report(error)
        return nil
      }
    }
    return nil
  }

  /// Replaces the first of two equal keys by private-use characters of the same number, so that every location stays
  /// right, and remembers it. False when the key does not stand there as it is.
  private mutating func mangle(_ key: String, at mark: Mark, in lines: inout SourceText) -> Bool {
    var stand = ""
    for (index, scalar) in key.unicodeScalars.enumerated() {
      // Which duplicate it is goes into the first character; the others stay ASCII-free so that no style changes.
      let offset = index == 0 ? mangled.count : Int(scalar.value) % 0x100
      guard let replacement = Unicode.Scalar(0xE100 + UInt32(offset)) else { return false }
      stand.unicodeScalars.append(replacement)
    }
    guard !stand.isEmpty, lines.replace(key, with: stand, line: mark.line, column: mark.column) else { return false }
    mangled[stand] = key
    return true
  }

  // MARK: Conversion

  private mutating func convert(_ node: Node) -> YAMLNode {
    let place = location(node.mark)
    switch node {
    case .scalar(let scalar):
      return YAMLNode(content: content(of: scalar, at: place), location: place)
    case .sequence(let sequence):
      return YAMLNode(content: .sequence(sequence.map { convert($0) }), location: place)
    case .mapping(let mapping):
      return YAMLNode(content: .mapping(entries(of: mapping)), location: place)
    case .alias: preconditionFailure("a text with aliases is refused before it is composed")
    }
  }

  private func content(of scalar: Node.Scalar, at place: SourceLocation) -> YAMLNode.Content {
    let plain = scalar.style == .plain || scalar.style == .any
    let text = source.locate(scalar.string, style: scalar.style, at: place)
    if plain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) { return .null(text) }
    return .scalar(text, quoted: !plain)
  }

  private mutating func entries(of mapping: Node.Mapping) -> [YAMLEntry] {
    var entries: [YAMLEntry] = []
    var places: [String: SourceLocation] = [:]
    var taken: Set<String> = []
    let pairs = Array(mapping)
    let start = location(mapping.mark)
    // The parser does not say reliably how a mapping is written.
    let isFlow = source.character(at: start) == "{"
    var next = 0
    while next < pairs.count {
      let (key, value) = pairs[next]
      next += 1
      guard case .scalar(let scalar) = key else {
        report(location(key.mark), "a key must be a name", found: key.sequence == nil ? "a mapping" : "a list")
        continue
      }
      let place = location(key.mark)
      var cut: YAMLNode?
      if isFlow, let (whole, pieces) = Self.cutExpression(pairs[(next - 1)...], mangled) {
        cut = reportCut(whole, at: location(value.mark))
        next += pieces
      }
      if let original = mangled[scalar.string] {
        // One of several: keep the first's place for the message at the others, and let the last stand for all.
        if let first = places[original] { reportDuplicate(original, at: place, first: first) }
        places[original] = places[original] ?? place
        if cut == nil { _ = convert(value) }
        continue
      }
      if let first = places[scalar.string] { reportDuplicate(scalar.string, at: place, first: first) }
      places[scalar.string] = places[scalar.string] ?? place
      guard taken.insert(scalar.string).inserted else { continue }
      let text = source.locate(scalar.string, style: scalar.style, at: place)
      entries.append(YAMLEntry(key: text, value: cut ?? convert(value)))
    }
    return entries
  }

  // MARK: Commas in expressions

  /// An expression that a comma inside `{ }` has cut, `{a: quantile(x, 0.99)}`: the value of the first pair leaves a
  /// parenthesis open, and the keys behind it have no values, up to one that closes it.
  /// - Returns: the expression as it was meant, and how many further pairs are pieces of it.
  private static func cutExpression(
    _ pairs: ArraySlice<(key: Node, value: Node)>, _ mangled: [String: String]
  ) -> (whole: String, pieces: Int)? {
    func plain(_ node: Node) -> String? {
      guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any else { return nil }
      return scalar.string
    }
    guard var whole = pairs.first.flatMap({ plain($0.value) }) else { return nil }
    var open = openParentheses(whole)
    for (index, pair) in pairs.dropFirst().enumerated() where open > 0 {
      guard let key = plain(pair.key), plain(pair.value) == "" else { return nil }
      let piece = mangled[key] ?? key
      whole += ", " + piece
      open += openParentheses(piece)
      if open <= 0 { return (whole, index + 1) }
    }
    return nil
  }

  private static func openParentheses(_ text: String) -> Int {
    text.utf8.reduce(0) { $0 + ($1 == UInt8(ascii: "(") ? 1 : $1 == UInt8(ascii: ")") ? -1 : 0) }
  }

  /// Reports the one cause instead of every piece; the expression is read on as it was meant.
  private mutating func reportCut(_ whole: String, at place: SourceLocation) -> YAMLNode {
    let quoted = "'" + whole.replacing("'", with: "''") + "'"
    diagnostics.append(
      Diagnostic(
        location: place, message: "quote expressions that contain a comma inside { }",
        expected: "the expression in quotes, or on a line of its own", suggestion: quoted))
    return YAMLNode(
      content: .scalar(source.locate(whole, style: .plain, at: place), quoted: false), location: place)
  }

  // MARK: Reporting

  private func location(_ mark: Mark?) -> SourceLocation {
    SourceLocation(line: max(1, mark?.line ?? 1), column: max(1, mark?.column ?? 1))
  }

  private mutating func report(
    _ place: SourceLocation, _ message: String, expected: String? = nil, found: String? = nil
  ) {
    diagnostics.append(Diagnostic(location: place, message: message, expected: expected, found: found))
  }

  private mutating func reportDuplicate(_ key: String, at place: SourceLocation, first: SourceLocation) {
    report(place, "the key \(excerpt(key)) is there more than once", found: "the first in line \(first.line)")
  }

  private mutating func report(_ error: any Error) {
    switch error {
    case YamlError.scanner(let context, let problem, let mark, _),
      YamlError.parser(let context, let problem, let mark, _),
      YamlError.composer(let context, let problem, let mark, _):
      if let tab = source.tabInIndentation(upTo: mark.line) {
        report(tab, "a tab cannot indent YAML", expected: "spaces", found: "a tab")
      } else if problem.contains("another document") {
        report(location(mark), "the file holds more than one document", expected: "one document")
      } else {
        let place = context.map { ", \($0.text) in line \($0.mark.line)" } ?? ""
        report(location(mark), "this is not YAML: \(problem)\(place)")
      }
    case YamlError.reader(let problem, let offset, _, _):
      report(source.location(ofUTF8Offset: offset ?? 0), "this is not YAML: \(problem)")
    default:
      report(SourceLocation(line: 1, column: 1), "this is not YAML: \(error)")
    }
  }
}
