// What separates the cells of a CSV record: RFC 4180 says a comma, and files say other things as well.

/// A separator of cells.
public enum CSVDelimiter: String, Sendable, Hashable, CaseIterable {
  case comma = ","
  case semicolon = ";"
  case tab
  case bar = "|"

  /// The separator that a configuration or flag says: itself, or `tab` or `\t` for the one that cannot be seen.
  public init?(text: String) {
    self.init(rawValue: ["\t", "\\t"].contains(text) ? "tab" : text)
  }

  /// The separator that a header most likely has: the one that stands outside of its quotes most often, a comma where none
  /// does.
  /// - Parameter text: text that begins with the header.
  public init(header text: some StringProtocol) {
    var counts: [UInt8: Int] = [:]
    var isQuoted = false
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      if isQuoted { continue }
      if byte == UInt8(ascii: "\n") { break }
      counts[byte, default: 0] += 1
    }
    self = Self.allCases.reduce(.comma) { best, next in
      counts[next.byte] ?? 0 > counts[best.byte] ?? 0 ? next : best
    }
  }

  /// The separator of a file whose header is not looked at: a tab where its name ends in `.tsv`.
  public init(name: String) { self = name.lowercased().hasSuffix(".tsv") ? .tab : .comma }

  /// The character, which is ASCII.
  public var byte: UInt8 {
    switch self {
    case .comma: UInt8(ascii: ",")
    case .semicolon: UInt8(ascii: ";")
    case .tab: UInt8(ascii: "\t")
    case .bar: UInt8(ascii: "|")
    }
  }

  /// What a person calls it.
  public var title: String {
    switch self {
    case .comma: "a comma"
    case .semicolon: "a semicolon"
    case .tab: "a tab"
    case .bar: "a bar"
    }
  }
}
