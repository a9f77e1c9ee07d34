// Values in reasons and explanations.

/// How values are written in reasons. For people: numbers are rounded; the exact values are in the explanation.
enum RuleText {
  /// A value in a sentence: numbers of magnitude 1 and more with up to three decimals, smaller ones with up to six
  /// where that says something, times in RFC 3339, long strings cut.
  static func text(of value: Scalar) -> String {
    switch value {
    case .null: "null"
    case .int(let value): String(value)
    case .double(let value): number(value)
    case .bool(let value): value ? "true" : "false"
    case .string(let value): shortened(printable(value))
    case .timestamp(let value): Timestamp.format(value)
    }
  }

  /// Control characters as their pictures (␀, ␛): a sentence is shown on terminals, which would obey them.
  private static func printable(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
    return String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          let picture = scalar.value < 0x20 ? 0x2400 + scalar.value : scalar.value == 0x7F ? 0x2421 : scalar.value
          return Unicode.Scalar(picture) ?? scalar
        }))
  }

  static func number(_ value: Double) -> String {
    let magnitude = value.magnitude
    var rounded = value
    if magnitude >= 1 && magnitude < 1e12 { rounded = (value * 1e3).rounded() / 1e3 }
    if magnitude >= 1e-3 && magnitude < 1 { rounded = (value * 1e6).rounded() / 1e6 }
    let text = "\(rounded)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// To three decimals.
  static func rounded(_ value: Double) -> String { number((value * 1_000).rounded() / 1_000) }

  /// The string, or what of it fits into `Limits.maxExplainedBytes` and an ellipsis.
  static func shortened(_ string: String) -> String {
    guard string.utf8.count > Limits.maxExplainedBytes else { return string }
    var kept = ""
    for character in string.unicodeScalars {
      guard kept.utf8.count + UTF8.width(character) <= Limits.maxExplainedBytes else { break }
      kept.unicodeScalars.append(character)
    }
    return kept + "…"
  }

  /// A value for an explanation: exact, but for long strings.
  static func explained(_ value: Scalar) -> Scalar {
    if case .string(let string) = value { return .string(shortened(string)) }
    return value
  }
}
