// A parsed YAML document with the place of everything in it. Invariants: no aliases (they are refused, so the tree is
// as large as its text), keys of a mapping are distinct scalars, nesting is bounded.

package import Detection

/// A node of a YAML document.
package struct YAMLNode: Sendable {
  package indirect enum Content: Sendable {
    /// An empty value, `null` or `~`, not quoted, as it is written.
    case null(LocatedText)
    case scalar(LocatedText, quoted: Bool)
    case sequence([YAMLNode])
    case mapping([YAMLEntry])
  }

  package var content: Content
  /// Where the node begins; for a quoted or block scalar its quote or indicator.
  package var location: SourceLocation

  /// What is written, where the node is a scalar: of null, too.
  package var text: LocatedText? {
    switch content {
    case .null(let text), .scalar(let text, _): text
    case .sequence, .mapping: nil
    }
  }

  /// What a scalar means in YAML's core schema; nil for lists and mappings. What is quoted is text, and so is what the schema
  /// does not know: times, `yes` and `no`.
  package var scalar: Scalar? {
    switch content {
    case .sequence, .mapping: return nil
    case .null: return .null
    case .scalar(let text, quoted: true): return .string(text.text)
    case .scalar(let text, quoted: false):
      switch text.text {
      case "true", "True", "TRUE": return .bool(true)
      case "false", "False", "FALSE": return .bool(false)
      default: return Self.number(text.text) ?? .string(text.text)
      }
    }
  }

  /// An integer too large for 64 bits is the nearest number.
  private static func number(_ text: String) -> Scalar? {
    let unsigned = text.first == "-" || text.first == "+" ? text.dropFirst() : text[...]
    switch unsigned {
    case ".inf", ".Inf", ".INF": return .double(text.first == "-" ? -.infinity : .infinity)
    case ".nan", ".NaN", ".NAN": return unsigned.count == text.count ? .double(.nan) : nil
    default: break
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] where text.hasPrefix(prefix) {
      guard text.dropFirst(2).utf8.first.map({ $0 >= UInt8(ascii: "0") }) == true else { return nil }
      return Int64(text.dropFirst(2), radix: radix).map { .int($0) }
    }
    if let value = Int64(text) { return .int(value) }
    // Swift reads more as a number than the schema does: words and hexadecimal fractions.
    guard text.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }), let value = Double(text) else { return nil }
    return .double(value)
  }

  /// What the node is, for "found …".
  package var description: String {
    switch content {
    case .null: "nothing"
    case .scalar(let text, let quoted): quoted ? "the text \(excerpt(text.text))" : excerpt(text.text)
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}

/// A key of a mapping and its value.
package struct YAMLEntry: Sendable {
  package var key: LocatedText
  package var value: YAMLNode
}

/// Text in backquotes, shortened to fit a message.
func excerpt(_ text: String) -> String {
  let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
  return line.count <= 60 ? "`\(line)`" : "`\(line.prefix(57))…`"
}
