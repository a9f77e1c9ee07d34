// LIKE and ILIKE. A pattern is cut at its `%` once; the frequent shapes (equal, prefix, suffix, contains) need no
// backtracking, and the general one backtracks to the last `%` only, so the cost is bounded by text times pattern.

/// A compiled LIKE pattern.
struct LikePattern: Sendable {
  private enum Element: Sendable {
    case byte(UInt8)
    /// `_`: one code point.
    case any
  }

  private enum Shape: Sendable {
    case equal([UInt8])
    case prefix([UInt8])
    case suffix([UInt8])
    case contains([UInt8])
    /// The pieces between `%`; the first is tied to the beginning, the last to the end.
    case general([[Element]])
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

  private static func shape(of pieces: [[Element]]) -> Shape {
    func literal(_ piece: [Element]) -> [UInt8]? {
      var bytes: [UInt8] = []
      for element in piece {
        guard case .byte(let byte) = element else { return nil }
        bytes.append(byte)
      }
      return bytes
    }
    // Pieces that `%%` leaves empty in the middle say nothing.
    let inner = pieces.dropFirst().dropLast().filter { !$0.isEmpty }
    let first = pieces[0]
    let last = pieces[pieces.count - 1]
    if pieces.count == 1 { return literal(first).map { .equal($0) } ?? .general(pieces) }
    if inner.isEmpty, last.isEmpty, let bytes = literal(first) { return .prefix(bytes) }
    if inner.isEmpty, first.isEmpty, let bytes = literal(last) { return .suffix(bytes) }
    if inner.count == 1, first.isEmpty, last.isEmpty, let bytes = literal(inner[0]) { return .contains(bytes) }
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
    case .contains(let bytes): return bytes.withUnsafeBufferPointer { TextOrder.find($0, in: text) != nil }
    case .general(let pieces): return Self.matches(text, pieces)
    }
  }

  private static func matches(_ text: Text, _ pieces: [[Element]]) -> Bool {
    guard var at = end(of: pieces[0], in: text, from: 0) else { return false }
    if pieces.count == 1 { return at == text.count }
    for piece in pieces.dropFirst().dropLast() {
      var start = at
      while true {
        if let end = end(of: piece, in: text, from: start) {
          at = end
          break
        }
        guard start < text.count else { return false }
        start = next(text, start)
      }
    }
    // The last piece must end where the text ends; its length in bytes varies with `_`.
    let last = pieces[pieces.count - 1]
    var start = at
    while true {
      if end(of: last, in: text, from: start) == text.count { return true }
      guard start < text.count else { return false }
      start = next(text, start)
    }
  }

  /// Where the piece ends if it stands at `start`.
  private static func end(of piece: [Element], in text: Text, from start: Int) -> Int? {
    var at = start
    for element in piece {
      guard at < text.count else { return nil }
      switch element {
      case .byte(let byte):
        guard text[at] == byte else { return nil }
        at += 1
      case .any: at = next(text, at)
      }
    }
    return at
  }

  /// The beginning of the code point behind the one at `at`.
  private static func next(_ text: Text, _ at: Int) -> Int {
    var at = at + 1
    while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
    return at
  }
}
