// The reason of a finding: a text with places for values. `{name}` is a field or feature of the event, `{sum(x)}` an
// aggregate of the window, `{within}` and `{cool_down}` the rule's durations; `{{` and `}}` are braces.

/// A compiled reason.
struct ReasonTemplate: Sendable {
  enum Piece: Sendable, Hashable {
    case text(String)
    /// A column of the batch.
    case column(Int)
    /// An aggregate of the rule.
    case aggregate(Int)
  }

  let pieces: [Piece]

  /// The reason for one finding.
  func render(column: (Int) -> Scalar, aggregate: (Int) -> Scalar) -> String {
    var reason = ""
    for piece in pieces {
      switch piece {
      case .text(let text): reason += text
      case .column(let index): reason += RuleText.text(of: column(index))
      case .aggregate(let index): reason += RuleText.text(of: aggregate(index))
      }
    }
    return reason
  }

  /// A part of a template as it is written, with the byte offset of its content.
  enum Part: Hashable {
    case text(String)
    case place(name: String, offset: Int)
  }

  /// What is wrong with the form of a template.
  struct FormError: Error {
    var offset: Int
    var message: String
  }

  /// The parts of a template.
  static func parts(of template: String) throws(FormError) -> [Part] {
    let bytes = Array(template.utf8)
    var parts: [Part] = []
    var text: [UInt8] = []
    var index = 0
    func isDoubled(_ byte: UInt8) -> Bool { index + 1 < bytes.count && bytes[index + 1] == byte }
    let (open, close) = (UInt8(ascii: "{"), UInt8(ascii: "}"))
    while index < bytes.count {
      let byte = bytes[index]
      if byte == open && !isDoubled(open) {
        guard let end = bytes[index...].firstIndex(of: close) else {
          throw FormError(offset: index, message: "`{` has no `}`; a brace itself is written `{{`")
        }
        if !text.isEmpty { parts.append(.text(String(decoding: text, as: UTF8.self))) }
        text = []
        let blanks = bytes[(index + 1)..<end].prefix { $0 == UInt8(ascii: " ") }.count
        let content = bytes[(index + 1 + blanks)..<end]
        let kept = content.reversed().drop { $0 == UInt8(ascii: " ") }.reversed()
        guard !kept.isEmpty else { throw FormError(offset: index, message: "`{}` names nothing") }
        parts.append(.place(name: String(decoding: kept, as: UTF8.self), offset: index + 1 + blanks))
        index = end + 1
        continue
      }
      if byte == close && !isDoubled(close) {
        throw FormError(offset: index, message: "`}` has no `{`; a brace itself is written `}}`")
      }
      index += byte == open || byte == close ? 2 : 1
      text.append(byte)
    }
    if !text.isEmpty { parts.append(.text(String(decoding: text, as: UTF8.self))) }
    return parts
  }
}
