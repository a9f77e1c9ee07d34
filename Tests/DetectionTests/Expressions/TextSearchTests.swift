// Searches against a naive reference on strings of few letters, where periods are frequent, and their cost at worst.

import TestKit
import Testing

@testable import Detection

@Suite("Text search")
struct TextSearchTests {
  // MARK: - Reference

  /// Compares at every place.
  private static func naive(_ needle: [UInt8], _ text: [UInt8], from start: Int) -> Int? {
    guard start + needle.count <= text.count else { return nil }
    return (start...text.count - needle.count).first { text[$0..<$0 + needle.count].elementsEqual(needle) }
  }

  /// LIKE by its definition, over code points: every pattern place at every text place.
  private static func naiveLike(_ text: String, _ pattern: String) -> Bool {
    let text = Array(text.unicodeScalars)
    var reached = [Bool](repeating: false, count: text.count + 1)
    reached[0] = true
    for scalar in pattern.unicodeScalars {
      var next = [Bool](repeating: false, count: text.count + 1)
      for at in 0...text.count {
        if scalar == "%" {
          next[at] = reached[at] || at > 0 && next[at - 1]
        } else {
          next[at] = at > 0 && reached[at - 1] && (scalar == "_" || scalar == text[at - 1])
        }
      }
      reached = next
    }
    return reached[text.count]
  }

  private static func text(_ letters: [Unicode.Scalar], _ count: Int, _ random: inout SeededRandom) -> String {
    var text = ""
    for _ in 0..<count { text.unicodeScalars.append(letters.randomElement(using: &random) ?? "a") }
    return text
  }

  /// A needle made of a repeated word, with a letter changed now and then.
  private static func needle(_ letters: [Unicode.Scalar], _ random: inout SeededRandom) -> String {
    let word = text(letters, .random(in: 1...5, using: &random), &random)
    var needle = String(repeating: word, count: .random(in: 1...8, using: &random))
    if Bool.random(using: &random) { needle += text(letters, .random(in: 1...3, using: &random), &random) }
    return needle
  }

  private static let alphabets: [[Unicode.Scalar]] = [
    ["a", "b"], ["a", "b", "c"], ["a", "é", "è"], ["ü", "€", "😀", "😁"],
  ]

  // MARK: - Results

  @Test("a string is found where comparing at every place finds it")
  func plainSearch() {
    var random = SeededRandom(seed: 1)
    var found = 0
    for round in 0..<6_000 {
      let letters = Self.alphabets[round % Self.alphabets.count]
      let needle = Array(Self.needle(letters, &random).utf8)
      var text = Array(Self.text(letters, .random(in: 0...60, using: &random), &random).utf8)
      // Prefixes of the needle, the whole of it at times, make near and true occurrences.
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        text += needle.prefix(.random(in: 0...needle.count, using: &random))
      }
      let start = Int.random(in: 0...text.count, using: &random)
      let expected = Self.naive(needle, text, from: start)
      found += expected == nil ? 0 : 1
      needle.withUnsafeBufferPointer { needle in
        text.withUnsafeBufferPointer { text in
          #expect(TextSearch.find(needle, in: text, from: start) == expected)
          #expect(TextSearch.twoWay(needle, in: text, from: start) == expected)
        }
      }
    }
    #expect((1_000...5_000).contains(found))
  }

  @Test("a piece with _ is found where comparing at every place finds it")
  func pieces() {
    var random = SeededRandom(seed: 2)
    var found = 0
    for round in 0..<4_000 {
      let letters = Self.alphabets[round % Self.alphabets.count]
      // Up to 200 elements: several words of the bit-parallel state.
      let length = round % 3 == 0 ? 1...200 : 1...12
      let text = Self.text(letters, .random(in: 0...300, using: &random), &random)
      let scalars = Array(text.unicodeScalars)
      var pattern = Self.text(letters, .random(in: length, using: &random), &random)
      if scalars.count > 1, Bool.random(using: &random) {
        let from = Int.random(in: 0..<scalars.count, using: &random)
        pattern = String(String.UnicodeScalarView(scalars[from...].prefix(.random(in: length, using: &random))))
      }
      var elements: [LikePiece.Element] = []
      for scalar in pattern.unicodeScalars {
        let isAny = Int.random(in: 0..<3, using: &random) == 0
        elements += isAny ? [.any] : String(scalar).utf8.map { .byte($0) }
      }
      let piece = LikePiece(elements)
      Array(text.utf8).withUnsafeBufferPointer { bytes in
        let places = (0...bytes.count).filter { $0 == bytes.count || bytes[$0] & 0xC0 != 0x80 }
        let start = places.randomElement(using: &random) ?? 0
        let expected = places.filter { $0 >= start }.lazy.compactMap { piece.end(in: bytes, at: $0) }.first
        found += expected == nil ? 0 : 1
        #expect(piece.firstEnd(in: bytes, from: start) == expected)
        #expect(piece.firstEndInParallel(in: bytes, from: start) == expected)
        let endsText = places.contains { $0 >= start && piece.end(in: bytes, at: $0) == bytes.count }
        #expect(piece.isSuffix(of: bytes, from: start) == endsText)
      }
    }
    #expect((1_000...3_500).contains(found))
  }

  @Test("LIKE says what its definition says")
  func like() {
    var random = SeededRandom(seed: 3)
    var matched = 0
    for round in 0..<6_000 {
      let letters = Self.alphabets[round % Self.alphabets.count]
      let text = Self.text(letters, .random(in: 0...40, using: &random), &random)
      let pattern = Self.text(letters + ["%", "%", "_", "_"], .random(in: 0...9, using: &random), &random)
      let expected = Self.naiveLike(text, pattern)
      matched += expected ? 1 : 0
      let compiled = LikePattern(pattern, escape: nil, ignoringCase: false)
      Array(text.utf8).withUnsafeBufferPointer { bytes in
        #expect(compiled?.matches(bytes) == expected, "\(text) LIKE \(pattern)")
      }
    }
    #expect((500...5_500).contains(matched))
  }

  // MARK: - Cost

  struct Worst: Sendable, CustomTestStringConvertible {
    var expression: String
    /// The value of `t`; that of `s` is one letter, 600,000 times.
    var t = String(repeating: "a", count: 300_000) + "b"
    var expected = Scalar.bool(false)
    var testDescription: String { expression }
  }

  private static let wildcards = String(repeating: "_a", count: 4_000)

  /// Quadratic searches take minutes for these, and with `_` many seconds.
  @Test(
    "a search takes no longer than its text asks for, whatever that is",
    arguments: [
      Worst(expression: "contains(s, t)"), Worst(expression: "strpos(s, t)", expected: .int(0)),
      Worst(expression: "replace(s, t, 'x')", expected: .null), Worst(expression: "ends_with(s, t)"),
      Worst(expression: "starts_with(s, t)"), Worst(expression: "s < t", expected: .bool(true)),
      Worst(expression: "trim(s, t)", expected: .string("")),
      Worst(expression: "s LIKE t", t: "%" + String(repeating: "a", count: 300_000) + "b%"),
      Worst(expression: "s LIKE t || ''", t: "%" + String(repeating: "aaab%", count: 10_000)),
      Worst(expression: "s LIKE t AND s ILIKE t", t: "%" + String(repeating: "a%", count: 100_000) + "b%"),
      Worst(expression: "left(s, 300000) LIKE t", expected: .null),
      Worst(expression: "s LIKE t AND TRUE", t: "%" + wildcards + "b%"),
      Worst(expression: "TRUE AND s LIKE t", t: "%" + wildcards + "b"),
    ])
  func worstCase(_ worst: Worst) throws {
    let expression = try Expression(worst.expression, scope: Scope([("s", .string), ("t", .string)]))
    let columns = [String(repeating: "a", count: 600_000), worst.t].map { Column(.string(StringColumn([$0]))) }
    var failures = 0
    let took = processorTime {
      #expect(expression.evaluate(columns, count: 1, failures: &failures)[0] == worst.expected)
    }
    #if DEBUG
      let bound = Duration.seconds(20)
    #else
      let bound = Duration.seconds(2)
    #endif
    #expect(took < bound, "took \(took)")
  }
}
