// The hash against published test vectors: it is part of the format of stored sketches.

import Testing

@testable import Detection

@Suite struct ValueHashTests {
  static let vectors: [(String, UInt64)] = [
    ("", 0xEF46_DB37_51D8_E999), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
    ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
  ]

  @Test(arguments: vectors)
  func xxh64(_ text: String, _ expected: UInt64) {
    let bytes = Array(text.utf8)
    #expect(ValueHash.hash(bytes, bytes.indices) == expected)
    // The same bytes inside a longer array.
    let framed = [7, 7, 7] + bytes + [9, 9]
    #expect(ValueHash.hash(framed, 3..<3 + bytes.count) == expected)
  }

  /// The first outputs of SplitMix64 from state 0 are hashes of multiples of the golden gamma.
  @Test func splitMix() {
    #expect(ValueHash.hash(word: 0) == 0xE220_A839_7B1D_CDAF)
    #expect(ValueHash.hash(word: 0x9E37_79B9_7F4A_7C15) == 0x6E78_9E6A_A1B9_65F4)
  }

  @Test func equalDoublesHaveOneWord() {
    #expect(ValueHash.word(of: 0.0) == ValueHash.word(of: -0.0))
    #expect(ValueHash.word(of: .nan) == ValueHash.word(of: -Double.nan))
    #expect(ValueHash.word(of: 1.5) != ValueHash.word(of: -1.5))
  }
}
