// The bound of a condition that compares one aggregate with a number, such as `count(*) > 10`: what a finding is measured
// against. A condition of any other shape has none.

/// A comparison of one aggregate with a literal.
struct HavingBound: Sendable, Hashable {
  enum Comparison: String, Sendable, Hashable {
    case atMost = "<="
    case atLeast = ">="
    case below = "<"
    case above = ">"

    var mirrored: Comparison {
      switch self {
      case .atMost: .atLeast
      case .atLeast: .atMost
      case .below: .above
      case .above: .below
      }
    }
  }

  /// When the rule finds: aggregate, comparison, bound.
  var comparison: Comparison
  var bound: Double
  /// Whether the aggregate is an integer, so that the nearest accepted value is one away.
  var isInteger: Bool
  /// Whether the aggregate cannot be negative.
  var isCount: Bool

  /// The bound of a condition, if it has this shape.
  init?(_ having: LocatedText, calls: AggregateParser) {
    guard let (left, comparison, right) = Self.split(having.text) else { return nil }
    let call: AggregateCall
    if let number = Self.number(right), let found = calls.singleCall(left) {
      (call, bound, self.comparison) = (found, number, comparison)
    } else if let number = Self.number(left), let found = calls.singleCall(right) {
      (call, bound, self.comparison) = (found, number, comparison.mirrored)
    } else {
      return nil
    }
    isInteger = call.type == .int
    isCount = call.function == .count || call.function == .distinct
  }

  /// The only comparison of a text outside of parentheses and strings, and its sides; nil when there is none or more
  /// than one.
  private static func split(_ text: String) -> (String, Comparison, String)? {
    let bytes = Array(text.utf8)
    let signs = Set("<>=!".utf8)
    var (depth, isQuoted) = (0, false)
    var places: [Int] = []
    for (index, byte) in bytes.enumerated() {
      if byte == UInt8(ascii: "'") { isQuoted.toggle() }
      if isQuoted { continue }
      if byte == UInt8(ascii: "(") { depth += 1 }
      if byte == UInt8(ascii: ")") { depth -= 1 }
      if depth == 0 && signs.contains(byte) { places.append(index) }
    }
    guard let start = places.first, let end = places.last else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    guard let comparison = Comparison(rawValue: part(start..<end + 1)) else { return nil }
    return (part(0..<start), comparison, part(end + 1..<bytes.count))
  }

  private static func number(_ text: String) -> Double? {
    let trimmed = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
    guard trimmed.allSatisfy({ $0.isNumber || ".+-eE".contains($0) }) else { return nil }
    return Double(String(trimmed)).flatMap { $0.isFinite ? $0 : nil }
  }

  /// The values the rule accepts, inclusive.
  var acceptedRange: ClosedRange<Double> {
    let low = isCount ? 0 : -Double.infinity
    let step = isInteger ? 1.0 : nil
    switch comparison {
    case .above: return min(low, bound)...bound
    case .atLeast:
      let highest = step.map { bound.rounded(.up) - $0 } ?? bound.nextDown
      return min(low, highest)...highest
    case .below: return bound...Double.infinity
    case .atMost: return (step.map { bound.rounded(.down) + $0 } ?? bound.nextUp)...Double.infinity
    }
  }

  /// How far beyond the bound a value that was found lies: their ratio, at least 1 and at most `Limits.maxRuleScore`;
  /// 1 where bound and value are not both positive, since their ratio says nothing then.
  func score(_ value: Double) -> Double {
    guard bound > 0, value > 0 else { return 1 }
    let ratio: Double
    switch comparison {
    case .above, .atLeast: ratio = value / bound
    case .below, .atMost: ratio = bound / value
    }
    return ratio >= 1 ? min(ratio, Limits.maxRuleScore) : 1
  }
}
