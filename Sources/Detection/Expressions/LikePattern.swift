// LIKE and ILIKE. A pattern is cut at its `%` once. Each piece is taken where it first occurs behind the one before, and
// the last one at the end, so nothing is tried twice: without `_` the cost is proportional to the text, with it at worst to
// the text times a sixty-fourth of the pattern.

/// A compiled LIKE pattern.
struct LikePattern: Sendable {
  private typealias Element = LikePiece.Element

  private enum Shape: Sendable {
    case equal([UInt8])
    case prefix([UInt8])
    case suffix([UInt8])
    case contains([UInt8])
    /// The pieces between `%`; the first is tied to the beginning, the last to the end.
    case general([LikePiece])
  }

  /// As written, for printing.
  let text: String
  let escape: UInt8?
  let ignoresCase: Bool
  private let shape: Shape

  /// nil where the pattern ends in its escape character.
  init?(_ text: String, escape: UInt8?, ignoringCase: Bool) {
    self.text = text
    self.escape = escape
    ignoresCase = ignoringCase
    var pieces: [[Element]] = [[]]
    var bytes = Array(text.utf8)[...]
    while let byte = bytes.popFirst() {
      if byte == escape {
        guard let next = bytes.popFirst() else { return nil }
        pieces[pieces.count - 1].append(.byte(next))
      } else if byte == UInt8(ascii: "%") {
        pieces.append([])
      } else if byte == UInt8(ascii: "_") {
        pieces[pieces.count - 1].append(.any)
      } else {
        pieces[pieces.count - 1].append(.byte(byte))
      }
    }
    if ignoringCase { pieces = pieces.map(Self.lowered) }
    shape = Self.shape(of: pieces)
  }

  private static func lowered(_ piece: [Element]) -> [Element] {
    var result: [Element] = []
    var literal: [UInt8] = []
    func flush(_ result: inout [Element], _ literal: inout [UInt8]) {
      var lowered: [UInt8] = []
      // SAFETY: lent for the call, which writes to another array.
      literal.withUnsafeBufferPointer { CaseMapping.lower($0, into: &lowered) }
      result += lowered.map { .byte($0) }
      literal = []
    }
    for element in piece {
      if case .byte(let byte) = element {
        literal.append(byte)
      } else {
        flush(&result, &literal)
        result.append(.any)
      }
    }
    flush(&result, &literal)
    return result
  }

  private static func shape(of elements: [[Element]]) -> Shape {
    let pieces = elements.map { LikePiece($0) }
    // Pieces that `%%` leaves empty in the middle say nothing.
    let inner = pieces.dropFirst().dropLast().filter { !$0.isEmpty }
    let first = pieces[0]
    let last = pieces[pieces.count - 1]
    if pieces.count == 1 { return first.literal.map { .equal($0) } ?? .general(pieces) }
    if inner.isEmpty, last.isEmpty, let bytes = first.literal { return .prefix(bytes) }
    if inner.isEmpty, first.isEmpty, let bytes = last.literal { return .suffix(bytes) }
    if inner.count == 1, first.isEmpty, last.isEmpty, let bytes = inner[0].literal { return .contains(bytes) }
    return .general([first] + inner + [last])
  }

  /// Whether the whole text matches.
  func matches(_ text: Text) -> Bool {
    guard ignoresCase else { return matchesExactly(text) }
    var lowered: [UInt8] = []
    CaseMapping.lower(text, into: &lowered)
    // SAFETY: a local array, lent for the call, which returns a Bool.
    return lowered.withUnsafeBufferPointer(matchesExactly)
  }

  private func matchesExactly(_ text: Text) -> Bool {
    // SAFETY: the literals are lent for a comparison each; indices stay below `text.count`, which is looked at first.
    switch shape {
    case .equal(let bytes): return bytes.withUnsafeBufferPointer { TextOrder.equal($0, text) }
    case .prefix(let bytes): return text.starts(with: bytes)
    case .suffix(let bytes):
      return text.count >= bytes.count && text[(text.count - bytes.count)...].elementsEqual(bytes)
    case .contains(let bytes): return bytes.withUnsafeBufferPointer { TextSearch.find($0, in: text) != nil }
    case .general(let pieces): return Self.matches(text, pieces)
    }
  }

  private static func matches(_ text: Text, _ pieces: [LikePiece]) -> Bool {
    guard var at = pieces[0].end(in: text, at: 0) else { return false }
    if pieces.count == 1 { return at == text.count }
    for piece in pieces.dropFirst().dropLast() {
      guard let end = piece.firstEnd(in: text, from: at) else { return false }
      at = end
    }
    return pieces[pieces.count - 1].isSuffix(of: text, from: at)
  }
}
