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

  /// Words made to collide under the public hash are spread by the one of tables.
  @Test func craftedWordsDoNotCollideInTables() {
    func inverse(_ hash: UInt64) -> UInt64 {
      func unshift(_ value: UInt64, _ shift: UInt64) -> UInt64 {
        var result = value
        for _ in 0..<3 { result = value ^ result >> shift }
        return result
      }
      func inverse(_ factor: UInt64) -> UInt64 {
        var result = factor
        for _ in 0..<6 { result = result &* (2 &- factor &* result) }
        return result
      }
      var z = unshift(hash, 31) &* inverse(0x94D0_49BB_1331_11EB)
      z = unshift(z, 27) &* inverse(0xBF58_476D_1CE4_E5B9)
      return unshift(z, 30) &- 0x9E37_79B9_7F4A_7C15
    }
    let words = (0..<4096).map { inverse(UInt64($0) << 32) }
    #expect(Set(words.map { ValueHash.hash(word: $0) & 0xFFFF }) == [0])
    #expect(Set(words.map { TableHash.hash($0) & 0xFFFF }).count > 3000)
    #expect(Set(words.map { WindowTable.hash($0, 7_200_000_000) & 0xFFFF }).count > 3000)
    // A pair of words, one of which undoes what the other does in a sum with public factors.
    let pairs = words.map { ($0, 0 &- $0) }
    #expect(Set(pairs.map { TableHash.hash($0, $1) & 0xFFFF }).count > 3000)
  }

  @Test func equalDoublesHaveOneWord() {
    #expect(ValueHash.word(of: 0.0) == ValueHash.word(of: -0.0))
    #expect(ValueHash.word(of: .nan) == ValueHash.word(of: -Double.nan))
    #expect(ValueHash.word(of: 1.5) != ValueHash.word(of: -1.5))
  }
}
