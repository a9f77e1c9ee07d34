// Reads values out of YAML nodes and collects everything that is wrong on the way. Shared by `pipeline.yaml` and
// `pulse.yaml`. A reader never stops at an error: what cannot be read is nil, and reported.

internal import Detection

/// Typed access to YAML nodes, with errors collected.
struct NodeReader {
  var diagnostics: [Diagnostic] = []

  mutating func report(
    _ location: SourceLocation, _ message: String, expected: String? = nil, found: String? = nil,
    suggestion: String? = nil
  ) {
    diagnostics.append(
      Diagnostic(location: location, message: message, expected: expected, found: found, suggestion: suggestion))
  }

  // MARK: Collections

  /// The values of a mapping by key. Keys outside `known` are reported with the nearest known one. Nil when the node is
  /// not a mapping.
  mutating func keys(of node: YAMLNode, in place: String, known: [String]) -> Keys? {
    guard let entries = mapping(node, what: place) else { return nil }
    var values: [String: YAMLEntry] = [:]
    for entry in entries {
      let key = entry.key.text
      if !known.contains(key) {
        let near = nearest(to: key, among: known)
        report(
          entry.key.location, "unknown key \(excerpt(key)) in \(place)",
          expected: near == nil ? "one of \(known.joined(separator: ", "))" : nil, suggestion: near)
      }
      values[key] = entry
    }
    return Keys(place: place, location: node.location, values: values)
  }

  /// The entries of a mapping with names of the user's own, in order.
  mutating func mapping(_ node: YAMLNode, what: String) -> [YAMLEntry]? {
    if case .mapping(let entries) = node.content { return entries }
    report(node.location, "\(what) is not a mapping", expected: "`key: value` lines", found: node.description)
    return nil
  }

  /// The items of a list.
  mutating func list(_ node: YAMLNode, what: String) -> [YAMLNode]? {
    if case .sequence(let items) = node.content { return items }
    report(node.location, "\(what) is not a list", expected: "`- item` lines or [item, …]", found: node.description)
    return nil
  }

  // MARK: Scalars

  /// The text of a scalar.
  mutating func text(_ node: YAMLNode, what: String, expected: String) -> LocatedText? {
    if case .scalar(let text, _) = node.content { return text }
    report(node.location, "\(what) is not \(expected)", expected: expected, found: node.description)
    return nil
  }

  /// An expression or template: text that is not empty, without the line end of a block.
  mutating func expression(_ node: YAMLNode, what: String) -> LocatedText? {
    guard var text = text(node, what: what, expected: "an expression") else { return nil }
    while let last = text.text.last, last.isWhitespace { text.text.removeLast() }
    guard !text.text.isEmpty else {
      report(node.location, "\(what) is empty", expected: "an expression")
      return nil
    }
    return text
  }

  /// `true` or `false`.
  mutating func flag(_ node: YAMLNode, what: String) -> Bool? {
    if case .scalar(let text, _) = node.content {
      switch text.text {
      case "true": return true
      case "false": return false
      default: break
      }
      let suggestion = ["yes": "true", "on": "true", "no": "false", "off": "false"][text.text.lowercased()]
      let near = suggestion ?? nearest(to: text.text, among: ["true", "false"])
      report(
        node.location, "\(what) is not true or false", expected: "true or false", found: node.description,
        suggestion: near)
      return nil
    }
    report(node.location, "\(what) is not true or false", expected: "true or false", found: node.description)
    return nil
  }

  /// A whole number in a range.
  mutating func integer(_ node: YAMLNode, what: String, in range: ClosedRange<Int>) -> Int? {
    if case .scalar(let text, _) = node.content, let value = Int(text.text), range.contains(value) { return value }
    let bounds = range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
    report(
      node.location, "\(what) is not in range", expected: "a whole number, \(bounds)", found: node.description)
    return nil
  }

  /// An amount of memory in bytes.
  mutating func size(_ node: YAMLNode, what: String, in range: ClosedRange<Int>) -> Int? {
    let bounds = "\(ByteSizeText.format(range.lowerBound)) to \(ByteSizeText.format(range.upperBound))"
    guard case .scalar(let text, _) = node.content, let bytes = ByteSizeText.parse(text.text) else {
      report(
        node.location, "\(what) is not an amount of memory", expected: "an amount such as 512MB or 2GiB",
        found: node.description)
      return nil
    }
    if range.contains(bytes) { return bytes }
    report(node.location, "\(what) is not in range", expected: bounds, found: node.description)
    return nil
  }

  /// A duration in microseconds.
  mutating func duration(_ node: YAMLNode, what: String, positive: Bool = false) -> Int64? {
    let expected = "a duration such as 500ms, 10m, 1h30m or 8d"
    if case .scalar(let text, _) = node.content {
      if let value = DurationText.parse(text.text) {
        if value > 0 || !positive { return value }
        report(node.location, "\(what) must be longer than nothing", expected: expected, found: node.description)
        return nil
      }
      if DurationText.isTooLong(text.text) {
        report(
          node.location, "\(what) is too long", expected: "at most \(DurationText.format(DurationText.longest))",
          found: node.description)
        return nil
      }
      let number = Int64(text.text)
      report(
        node.location, "\(what) is not a duration", expected: expected, found: node.description,
        suggestion: number.map { "\($0)s" })
      return nil
    }
    report(node.location, "\(what) is not a duration", expected: expected, found: node.description)
    return nil
  }

  /// One of a few words.
  mutating func word(_ node: YAMLNode, what: String, of words: [String]) -> String? {
    if case .scalar(let text, _) = node.content, words.contains(text.text) { return text.text }
    var near: String?
    if case .scalar(let text, _) = node.content { near = nearest(to: text.text, among: words) }
    if let same = words.first(where: { "`\($0)`" == node.description.lowercased() }) { near = same }
    report(
      node.location, "\(what) is not known", expected: "one of \(words.joined(separator: ", "))",
      found: node.description, suggestion: near)
    return nil
  }

  /// A name of the use case's own: a small letter, then small letters, digits, `_` and, where allowed, `-`.
  mutating func name(_ text: LocatedText, what: String, dashes: Bool = false) -> String? {
    func fits(_ name: String) -> Bool {
      guard let first = name.unicodeScalars.first, ("a"..."z").contains(first), name.utf8.count <= 100 else {
        return false
      }
      return name.unicodeScalars.allSatisfy {
        ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "_" || (dashes && $0 == "-")
      }
    }
    if fits(text.text) { return text.text }
    let repaired = String(
      text.text.lowercased().map { character in
        character.isASCII && (character.isLetter || character.isNumber || (dashes && character == "-"))
          ? character : "_"
      })
    report(
      text.location, "\(what) is not a name",
      expected: "a small letter, then small letters, digits\(dashes ? ", `_` or `-`" : " or `_`"), at most 100",
      found: excerpt(text.text), suggestion: fits(repaired) ? repaired : nil)
    return nil
  }
}
