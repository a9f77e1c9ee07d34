// What stands between two `%` of a LIKE pattern: bytes, and `_` for any code point. A piece has a fixed number of code
// points, so where it begins earliest it ends earliest. Texts and patterns are UTF-8.

/// A piece of a LIKE pattern.
struct LikePiece: Sendable {
  enum Element: Sendable, Equatable {
    case byte(UInt8)
    /// `_`: one code point.
    case any
  }

  let elements: [Element]
  /// The bytes of a piece without `_`.
  let literal: [UInt8]?

  init(_ elements: [Element]) {
    self.elements = elements
    var bytes: [UInt8] = []
    for case .byte(let byte) in elements { bytes.append(byte) }
    literal = bytes.count == elements.count ? bytes : nil
  }

  var isEmpty: Bool { elements.isEmpty }

  /// Where the piece ends if it stands at `start`.
  func end(in text: Text, at start: Int) -> Int? {
    var at = start
    return matched(text, &at) == elements.count ? at : nil
  }

  /// Whether the text ends in the piece, which begins at or behind `start`.
  func isSuffix(of text: Text, from start: Int) -> Bool {
    var at = text.count
    for element in elements.reversed() {
      guard at > start else { return false }
      at -= 1
      switch element {
      case .byte(let byte): guard text[at] == byte else { return false }
      case .any: while at > start, text[at] & 0xC0 == 0x80 { at -= 1 }
      }
    }
    return true
  }

  /// Where the first occurrence at or behind `start` ends. As in `TextSearch.find`, the piece is compared at every place
  /// until that has taken too long.
  func firstEnd(in text: Text, from start: Int) -> Int? {
    if let literal {
      // SAFETY: lent for the call, which returns a place.
      return literal.withUnsafeBufferPointer { TextSearch.find($0, in: text, from: start) }.map { $0 + literal.count }
    }
    var place = start
    var compared = 0
    while elements.count <= text.count - place {
      var at = place
      let same = matched(text, &at)
      if same == elements.count { return at }
      place = Self.next(text, place)
      compared += same
      if compared > TextSearch.patience + TextSearch.patiencePerPlace * (place - start) {
        return firstEndInParallel(in: text, from: place)
      }
    }
    return nil
  }

  /// How many elements stand at `at`, which is moved behind them.
  @inline(__always)
  private func matched(_ text: Text, _ at: inout Int) -> Int {
    for (index, element) in elements.enumerated() {
      guard at < text.count else { return index }
      switch element {
      case .byte(let byte):
        guard text[at] == byte else { return index }
        at += 1
      case .any: at = Self.next(text, at)
      }
    }
    return elements.count
  }

  /// The beginning of the code point behind the one at `at`.
  @inline(__always)
  private static func next(_ text: Text, _ at: Int) -> Int {
    var at = at + 1
    while at < text.count, text[at] & 0xC0 == 0x80 { at += 1 }
    return at
  }

  /// Shift-And (Baeza-Yates and Gonnet, A new approach to text searching, Communications of the ACM 35, 1992): a bit for
  /// each beginning of the piece says whether it ends at the byte at hand, so 64 of them cost one step. `_` is entered by
  /// the first byte of a code point and kept by the others.
  /// - Returns: where the first occurrence at or behind `start` ends, as `firstEnd`.
  func firstEndInParallel(in text: Text, from start: Int) -> Int? {
    let width = (elements.count + 63) / 64
    let masks = ShiftMasks(elements, width: width)
    var state = [UInt64](repeating: 0, count: width)
    let (last, lastBit) = (width - 1, UInt64(1) << UInt64((elements.count - 1) % 64))
    // SAFETY: both are lent for the loop, which stays within `width` words of the state and of each mask; `used` is at most
    // `width`.
    return state.withUnsafeMutableBufferPointer { state in
      masks.words.withUnsafeBufferPointer { words in
        // Words behind the last one with a bit are passed over: mostly only the first has any.
        var used = 0
        for at in start..<max(start, text.count) {
          let byte = text[at]
          let enters = masks.offsets[Int(byte)]
          // Of the state all of `_` or nothing; and a piece may begin at every byte.
          let keeps: UInt64 = byte & 0xC0 == 0x80 ? .max : 0
          used = min(used &+ 1, width)
          var word = used &- 1
          while word > 0 {
            let carried = state[word &- 1] >> 63
            state[word] =
              (state[word] << 1 | carried) & words[enters &+ word] | state[word] & words[word] & keeps
            word &-= 1
          }
          state[0] = (state[0] << 1 | 1) & words[enters] | state[0] & words[0] & keeps
          while used > 0, state[used - 1] == 0 { used -= 1 }
          if used > last, state[last] & lastBit != 0 { return Self.next(text, at) }
        }
        return nil
      }
    }
  }
}

/// For each byte the elements of a piece that it may stand for, a bit each.
private struct ShiftMasks {
  /// The mask of `_`, one of zeroes, and those of the bytes of the piece.
  private(set) var words: [UInt64]
  /// Where in `words` the mask of a byte begins.
  private(set) var offsets: [Int]

  init(_ elements: [LikePiece.Element], width: Int) {
    words = [UInt64](repeating: 0, count: 2 * width)
    for (index, element) in elements.enumerated() where element == .any {
      words[index / 64] |= 1 << UInt64(index % 64)
    }
    let any = words[..<width]
    // The first byte of a code point that the piece does not have enters `_` alone, another byte nothing.
    offsets = (0..<256).map { $0 & 0xC0 == 0x80 ? width : 0 }
    for (index, element) in elements.enumerated() {
      guard case .byte(let byte) = element else { continue }
      if offsets[Int(byte)] <= width {
        offsets[Int(byte)] = words.count
        words += byte & 0xC0 == 0x80 ? ArraySlice(repeating: 0, count: width) : any
      }
      words[offsets[Int(byte)] + index / 64] |= 1 << UInt64(index % 64)
    }
  }
}
