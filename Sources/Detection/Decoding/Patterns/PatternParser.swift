// Patterns of string fields, parsed. The language is what common regular expressions share, for a match of the whole
// value: literals, `.`, classes, groups, alternatives and quantifiers. What needs backtracking (back-references,
// look-around, possessive quantifiers) and what differs between dialects is refused with what to write instead.

/// What is wrong with a pattern.
public struct PatternError: Error, Hashable {
  /// Byte of the pattern's UTF-8 where it is wrong.
  public var offset: Int
  /// A phrase without a full stop.
  public var message: String
  /// What would be right.
  public var expected: String?
}

/// A set of Unicode scalars: ascending ranges that do not touch.
struct ScalarSet: Hashable, Sendable {
  private(set) var ranges: [ClosedRange<UInt32>]

  static let highest: UInt32 = 0x10FFFF
  static let digits = ScalarSet([0x30...0x39])
  static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
  static let space = ScalarSet([0x09...0x0D, 0x20...0x20])
  static let lineFeed = ScalarSet([0x0A...0x0A])

  init(_ ranges: [ClosedRange<UInt32>]) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  /// All other scalars.
  var inverted: ScalarSet {
    var result: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= Self.highest { result.append(next...Self.highest) }
    return ScalarSet(result)
  }

  func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].lowerBound <= scalar
  }
}

/// A pattern as a tree.
indirect enum PatternNode {
  case one(of: ScalarSet)
  /// The beginning of the value, or its end.
  case start
  case end
  case sequence([PatternNode])
  case alternatives([PatternNode])
  /// `most` is nil where there is no bound.
  case repeated(PatternNode, least: Int, most: Int?)
}

/// Reads one pattern by recursive descent.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  /// Byte offset of each scalar, and of the end.
  private let offsets: [Int]
  private var at = 0
  private var depth = 0

  /// Largest number in `{m,n}`.
  private static let maxRepetitions = 1000

  private init(_ text: String) {
    scalars = Array(text.unicodeScalars)
    var offsets = [0]
    for scalar in scalars { offsets.append(offsets[offsets.count - 1] + UTF8.width(scalar)) }
    self.offsets = offsets
  }

  static func parse(_ text: String) throws(PatternError) -> PatternNode {
    var parser = PatternParser(text)
    let node = try parser.alternatives()
    guard parser.at == parser.scalars.count else {
      throw parser.error("`)` closes no group", expected: "`\\)` for the character itself")
    }
    return node
  }

  private func error(_ message: String, at index: Int? = nil, expected: String? = nil) -> PatternError {
    PatternError(offset: offsets[min(index ?? at, scalars.count)], message: message, expected: expected)
  }

  private func peek(_ distance: Int = 0) -> Unicode.Scalar? {
    at + distance < scalars.count ? scalars[at + distance] : nil
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard peek() == scalar else { return false }
    at += 1
    return true
  }

  // MARK: Structure

  private mutating func alternatives() throws(PatternError) -> PatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Limits.maxNesting else { throw error("groups are nested more than \(Limits.maxNesting) deep") }
    var choices = [try sequence()]
    while skip("|") { choices.append(try sequence()) }
    return choices.count == 1 ? choices[0] : .alternatives(choices)
  }

  private mutating func sequence() throws(PatternError) -> PatternNode {
    var parts: [PatternNode] = []
    while let next = peek(), next != "|", next != ")" {
      let first = at
      let (item, canRepeat) = try item()
      parts.append(try quantified(item, canRepeat: canRepeat, from: first))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func item() throws(PatternError) -> (PatternNode, canRepeat: Bool) {
    let first = at
    guard let next = peek() else { throw error("the pattern ends early") }
    at += 1
    switch next {
    case ".": return (.one(of: ScalarSet.lineFeed.inverted), true)
    case "^": return (.start, false)
    case "$": return (.end, false)
    case "[": return (.one(of: try characterClass(from: first)), true)
    case "\\": return (.one(of: try escape(from: first).set), true)
    case "*", "+", "?", "{":
      throw error("`\(next)` repeats nothing", at: first, expected: "`\\\(next)` for the character itself")
    case "(":
      if skip("?") {
        guard skip(":") else {
          throw error(
            "a group that begins with `(?` is of a kind that is not supported", at: first,
            expected: "`(…)` or `(?:…)`; for letters of either case classes such as `[Aa]`")
        }
      }
      let node = try alternatives()
      guard skip(")") else {
        throw error("a group is not closed", at: first, expected: "`)`, or `\\(` for the character")
      }
      return (node, true)
    default: return (.one(of: ScalarSet([next.value...next.value])), true)
    }
  }

  // MARK: Quantifiers

  private mutating func quantified(
    _ item: PatternNode, canRepeat: Bool, from first: Int
  ) throws(PatternError) -> PatternNode {
    let quantifier = at
    var bounds: (least: Int, most: Int?)?
    if skip("*") {
      bounds = (0, nil)
    } else if skip("+") {
      bounds = (1, nil)
    } else if skip("?") {
      bounds = (0, 1)
    } else if skip("{") {
      bounds = try repetitions(from: quantifier)
    }
    guard let bounds else { return item }
    guard canRepeat else { throw error("an anchor cannot be repeated", at: quantifier) }
    // Whether as much or as little as possible is taken makes no difference where the whole value must match.
    if skip("?") {}
    if let next = peek(), next == "*" || next == "+" || next == "?" || next == "{" {
      throw error("`\(next)` follows another quantifier", expected: "a group around what is repeated: `(?:…)\(next)`")
    }
    return .repeated(item, least: bounds.least, most: bounds.most)
  }

  private mutating func repetitions(from first: Int) throws(PatternError) -> (Int, Int?) {
    let expected = "`{2}`, `{2,}` or `{2,5}` with numbers up to \(Self.maxRepetitions), or `\\{` for the character"
    func malformed(_ parser: PatternParser) -> PatternError {
      parser.error("`{` begins no number of repetitions", at: first, expected: expected)
    }
    guard let least = number() else { throw malformed(self) }
    var most: Int? = least
    if skip(",") { most = peek() == "}" ? nil : number() ?? -1 }
    guard skip("}"), least <= Self.maxRepetitions, most.map({ $0 >= least && $0 <= Self.maxRepetitions }) ?? true else {
      throw malformed(self)
    }
    return (least, most)
  }

  private mutating func number() -> Int? {
    let first = at
    var value = 0
    while let next = peek(), ScalarSet.digits.contains(next.value) {
      value = min(value * 10 + Int(next.value - 0x30), Self.maxRepetitions + 1)
      at += 1
    }
    return at == first ? nil : value
  }

  // MARK: Classes and escapes

  private mutating func characterClass(from first: Int) throws(PatternError) -> ScalarSet {
    let isNegated = skip("^")
    var ranges: [ClosedRange<UInt32>] = []
    while !skip("]") {
      let start = at
      let lower = try classMember(from: first)
      guard peek() == "-", let after = peek(1), after != "]" else {
        ranges += lower.set.ranges
        continue
      }
      at += 1
      let upper = try classMember(from: first)
      guard let low = lower.single, let high = upper.single, low <= high else {
        throw error(
          "a range of characters ends before it begins", at: start, expected: "`a-z`, or `\\-` for the character")
      }
      ranges.append(low...high)
    }
    guard !ranges.isEmpty else {
      throw error("a class of characters is empty", at: first, expected: "`[\\]]` for the character")
    }
    let set = ScalarSet(ranges)
    return isNegated ? set.inverted : set
  }

  private mutating func classMember(from first: Int) throws(PatternError) -> (set: ScalarSet, single: UInt32?) {
    guard let next = peek() else {
      throw error("a class of characters is not closed", at: first, expected: "`]`, or `\\[` for the character")
    }
    let start = at
    at += 1
    if next == "\\" { return try escape(from: start) }
    if next == "[" { throw error("a class holds another", at: start, expected: "`\\[` for the character") }
    if next == peek(), next == "&" || next == "-" || next == "~" || next == "|" {
      throw error(
        "`\(next)\(next)` in a class means different things in different places", at: start,
        expected: "`\\\(next)` for the character")
    }
    return (ScalarSet([next.value...next.value]), next.value)
  }

  /// The set behind a backslash; `single` where it is one character.
  private mutating func escape(from first: Int) throws(PatternError) -> (set: ScalarSet, single: UInt32?) {
    guard let next = peek() else { throw error("a backslash ends the pattern", at: first, expected: "`\\\\`") }
    at += 1
    func single(_ value: UInt32) -> (ScalarSet, UInt32?) { (ScalarSet([value...value]), value) }
    switch next {
    case "d": return (.digits, nil)
    case "D": return (ScalarSet.digits.inverted, nil)
    case "w": return (.word, nil)
    case "W": return (ScalarSet.word.inverted, nil)
    case "s": return (.space, nil)
    case "S": return (ScalarSet.space.inverted, nil)
    case "t": return single(0x09)
    case "n": return single(0x0A)
    case "v": return single(0x0B)
    case "f": return single(0x0C)
    case "r": return single(0x0D)
    case "x": return single(try hexadecimal(2, from: first))
    case "u": return single(try hexadecimal(4, from: first))
    case "1"..."9":
      throw error(
        "a back-reference is not supported", at: first, expected: "a condition in `checks` that compares the parts")
    default:
      guard next.value >= 0x80 || !ScalarSet.word.contains(next.value) else {
        throw error(
          "`\\\(next)` is not supported", at: first,
          expected: "one of `\\d \\D \\w \\W \\s \\S \\t \\n \\r \\f \\v \\xHH \\uHHHH`, or the character itself")
      }
      return single(next.value)
    }
  }

  private mutating func hexadecimal(_ digits: Int, from first: Int) throws(PatternError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let next = peek(), next.isASCII, let digit = Character(next).hexDigitValue else {
        throw error("an escape of \(digits) hexadecimal digits is incomplete", at: first)
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    guard Unicode.Scalar(value) != nil else { throw error("the escape is no character", at: first) }
    return value
  }
}
