import TestKit
import Testing

@testable import Detection

/// Patterns by examples, against Swift's regular expressions over random patterns, and in their cost.
@Suite struct PatternTests {
  private func matches(_ pattern: String, _ text: String) throws -> Bool {
    try Pattern(pattern).matches(Array(text.utf8)[...])
  }

  @Test(arguments: [
    ("", "", true), ("", "a", false), ("abc", "abc", true), ("abc", "abcd", false), ("a.c", "aéc", true),
    ("a.c", "a\nc", false), ("[a-c]+", "abcab", true), ("[^a-c]+", "xyz🙂", true), ("[^a-c]", "b", false),
    (#"\d{2,3}"#, "1", false), (#"\d{2,3}"#, "123", true), (#"\d{2,3}"#, "1234", false), (#"\d{2,}"#, "12345", true),
    (#"\d{3}"#, "123", true), (#"\w+@\w+\.(com|org)"#, "a_b@c.org", true), (#"\w+"#, "é", false), (#"\s"#, "\t", true),
    ("a|bc|", "bc", true), ("a|bc|", "", true), ("(?:ab)*", "ababab", true), ("(ab)*?c?", "abc", true),
    ("^abc$", "abc", true), ("a^b", "ab", false), ("(^a|b)+", "ab", true), ("(^a|b)+", "ba", false),
    ("$^", "", true), ("(a*)*", "aaa", true), ("(a|b|())+", "abba", true), (#"[\]\-a]+"#, "]-a", true),
    ("[a-]", "-", true),
    (#"\x41\u00e9"#, "Aé", true), (#"\."#, "x", false), (#"[\d-]+"#, "12-3", true), ("é", "é", true),
    ("€+", "€€", true),
    ("a{0}", "", true), ("a}]", "a}]", true),
  ])
  func examples(_ pattern: String, _ text: String, _ isMatch: Bool) throws {
    #expect(try matches(pattern, text) == isMatch, "/\(pattern)/ on \(text)")
  }

  @Test(arguments: [
    ("^*", 1), ("ab(c", 2), ("ab)", 2), ("*a", 0), ("a**", 2), ("a{2", 1), ("a{3,2}", 1), ("a{1001}", 1), ("[abc", 0),
    ("[z-a]", 1), ("[]", 0), ("[a[:alpha:]]", 2), ("[a&&b]", 2), (#"é\b"#, 2), (#"(a)\1"#, 3), (#"\p{L}"#, 0),
    ("(?=a)", 0),
    ("(?i)a", 0), ("a++", 2), (#"\x4"#, 0), (#"\ud800"#, 0), (#"a\"#, 1), ("((a{100}){100}){100}", 0),
    ("(a{1000}){3}", 0),
  ])
  func refusals(_ pattern: String, _ offset: Int) {
    let error = #expect(throws: PatternError.self) { try Pattern(pattern) }
    #expect(error?.offset == offset, "/\(pattern)/: \(error?.message ?? "")")
    #expect(Decoder.problem(inPattern: pattern) == error)
  }

  @Test func bytesThatAreNotUTF8AreReplacementCharacters() throws {
    #expect(try Pattern(#"a\ufffd\ufffdb"#).matches([0x61, 0xFF, 0xC3, 0x62]))
    #expect(try Pattern(".").matches([0xC3]))
    #expect(try !Pattern(".").matches([0xE2, 0x82]))
  }

  /// A backtracking matcher would take years for these, a quadratic one minutes.
  @Test func costIsProportionalToLength() throws {
    let letters = Array(repeating: UInt8(ascii: "a"), count: 1 << 20)
    #expect(try !Pattern("([a-z]+)*[0-9]").matches(letters[...]))
    #expect(try !Pattern(".*error.*code.*").matches(letters[...]))
    #expect(try !Pattern("(a|aa)+b").matches(letters[...]))
    // Two to the twentieth states: the table is begun anew, again and again.
    var random = SeededRandom(seed: 1)
    let mixed = (0..<20_000).map { _ in UInt8(ascii: random.chance(0.5) ? "a" : "b") }
    let pattern = try Pattern("(a|b)*a(a|b){19}")
    #expect(pattern.matches(mixed[...]) == (mixed[mixed.count - 20] == UInt8(ascii: "a")))
  }

  // MARK: Random patterns

  private struct Generator {
    var random: SeededRandom
    /// Whether what is repeated may be repeated again, which costs a backtracking matcher exponential time.
    var nestsRepetitions: Bool
    mutating func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }

    mutating func pattern(_ depth: Int, isRepeated: Bool = false) -> String {
      func part() -> String { pattern(depth - 1, isRepeated: isRepeated) }
      switch Int.random(in: 0..<(depth > 0 ? 9 : 4), using: &random) {
      case 0...2: return pick(["a", "b", "c", "é", "1", #"\."#, "_"])
      case 3: return pick([".", "[ab]", "[^a]", "[a-c1]", #"\d"#, #"\w"#, #"[^\d_]"#, #"\S"#])
      case 4...5: return part() + part()
      case 6: return "(\(part())|\(part()))"
      case 7 where !isRepeated || nestsRepetitions:
        let repeated = pattern(depth - 1, isRepeated: true)
        return "(?:\(repeated))" + pick(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}", "*?"])
      default: return pick(["^", "$", ""]) + part()
      }
    }

    mutating func text() -> String {
      (0..<Int.random(in: 0...8, using: &random)).map { _ in pick(["a", "b", "c", "é", "1", ".", "_", "x"]) }.joined()
    }
  }

  @Test(arguments: 0..<20)
  func agreesWithABacktrackingMatcher(_ seed: UInt64) throws {
    var generator = Generator(random: SeededRandom(seed: seed), nestsRepetitions: false)
    var matched = 0
    for _ in 0..<60 {
      let text = generator.pattern(4)
      let ours = try Pattern(text)
      let reference = try Regex(text).matchingSemantics(.unicodeScalar).asciiOnlyCharacterClasses()
      for _ in 0..<25 {
        let value = generator.text()
        let expected = try reference.wholeMatch(in: value) != nil
        #expect(ours.matches(Array(value.utf8)[...]) == expected, "/\(text)/ on \"\(value)\"")
        if expected { matched += 1 }
      }
    }
    #expect(matched > 20)
  }

  /// Where a match of a node can end that begins at one of the given places: the definition, by sets.
  private static func ends(_ node: PatternNode, _ text: [UInt32], _ starts: Set<Int>) -> Set<Int> {
    switch node {
    case .one(let set): return Set(starts.filter { $0 < text.count && set.contains(text[$0]) }.map { $0 + 1 })
    case .start: return starts.intersection([0])
    case .end: return starts.intersection([text.count])
    case .sequence(let parts): return parts.reduce(starts) { ends($1, text, $0) }
    case .alternatives(let parts): return parts.reduce(into: []) { $0.formUnion(ends($1, text, starts)) }
    case .repeated(let part, let least, let most):
      var current = (0..<least).reduce(starts) { starts, _ in ends(part, text, starts) }
      var all = current
      for _ in 0..<(most.map { $0 - least } ?? text.count + 1) {
        current = ends(part, text, current)
        all.formUnion(current)
      }
      return all
    }
  }

  @Test(arguments: 0..<20)
  func agreesWithItsDefinition(_ seed: UInt64) throws {
    var generator = Generator(random: SeededRandom(seed: seed &+ 1000), nestsRepetitions: true)
    var matched = 0
    for _ in 0..<100 {
      let text = generator.pattern(6)
      let node = try PatternParser.parse(text)
      guard let ours = try? Pattern(text) else { continue }
      for _ in 0..<20 {
        let value = generator.text()
        let scalars = value.unicodeScalars.map(\.value)
        let expected = Self.ends(node, scalars, [0]).contains(scalars.count)
        #expect(ours.matches(Array(value.utf8)[...]) == expected, "/\(text)/ on \"\(value)\"")
        if expected { matched += 1 }
      }
    }
    #expect(matched > 20)
  }
}
