// How many columns of a terminal text takes: East Asian wide and fullwidth characters and emoji take two.

extension String {
  /// Columns of a terminal that the text takes.
  var columns: Int { reduce(0) { $0 + $1.columns } }

  /// The longest beginning that takes at most `columns` columns.
  func prefix(columns: Int) -> Substring {
    var left = columns
    return prefix { character in
      left -= character.columns
      return left >= 0
    }
  }
}

extension Character {
  /// U+FE0F after a symbol asks for its emoji, which is wide.
  private static let emojiSelector: Unicode.Scalar = "\u{FE0F}"

  /// Columns of a terminal that the character takes: those of its first scalar, on which marks are put.
  fileprivate var columns: Int {
    if isASCII { return 1 }
    guard let base = unicodeScalars.first else { return 0 }
    return base.isWide || unicodeScalars.dropFirst().first == Self.emojiSelector ? 2 : 1
  }
}

extension Unicode.Scalar {
  /// The scalars that are W or F in EastAsianWidth.txt of Unicode 14 (UAX #11), ascending, except those that are emoji by
  /// default: they are all W, but for the letters that flags are made of, and flags are as wide as other emoji. What is
  /// not assigned within a block is listed with it.
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F,  // Hangul Jamo, initial consonants
    0x2329...0x232A,  // angle brackets
    0x2E80...0x303E,  // CJK radicals, ideographic description, CJK symbols and punctuation
    0x3041...0x3247,  // kana, Bopomofo, Hangul compatibility Jamo, enclosed CJK
    0x3250...0x4DBF,  // enclosed and compatibility CJK, ideographs A
    0x4E00...0xA4CF,  // unified ideographs, Yi
    0xA960...0xA97F,  // Hangul Jamo extended A
    0xAC00...0xD7A3,  // Hangul syllables
    0xF900...0xFAFF,  // compatibility ideographs
    0xFE10...0xFE19,  // vertical forms
    0xFE30...0xFE6F,  // compatibility and small forms
    0xFF01...0xFF60,  // fullwidth forms
    0xFFE0...0xFFE6,  // fullwidth signs
    0x16FE0...0x18D08,  // ideographic symbols, Tangut, Khitan
    0x1AFF0...0x1B2FF,  // kana supplements, Nushu
    0x1F200...0x1F265,  // enclosed ideographs
    0x20000...0x3FFFD,  // ideographs of planes 2 and 3
  ]

  fileprivate var isWide: Bool {
    value >= 0x1100 && (properties.isEmojiPresentation || Self.wide.contains { $0.contains(value) })
  }
}
