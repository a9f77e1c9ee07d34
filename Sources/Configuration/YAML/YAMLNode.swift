// A parsed YAML document with the place of everything in it. Invariants: no aliases (they are refused, so the tree is
// as large as its text), keys of a mapping are distinct scalars, nesting is bounded.

internal import Detection

/// A node of a YAML document.
struct YAMLNode: Sendable {
  indirect enum Content: Sendable {
    /// An empty value, `null` or `~`, not quoted.
    case null
    case scalar(LocatedText, quoted: Bool)
    case sequence([YAMLNode])
    case mapping([YAMLEntry])
  }

  var content: Content
  /// Where the node begins; for a quoted or block scalar its quote or indicator.
  var location: SourceLocation

  /// What the node is, for "found …".
  var description: String {
    switch content {
    case .null: "nothing"
    case .scalar(let text, let quoted): quoted ? "the text \(excerpt(text.text))" : excerpt(text.text)
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}

/// A key of a mapping and its value.
struct YAMLEntry: Sendable {
  var key: LocatedText
  var value: YAMLNode
}

/// Text in backquotes, shortened to fit a message.
func excerpt(_ text: String) -> String {
  let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
  return line.count <= 60 ? "`\(line)`" : "`\(line.prefix(57))…`"
}
