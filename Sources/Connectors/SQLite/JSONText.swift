// JSON as it is stored in text columns and printed by `--json`: keys in the order given, numbers in their shortest form
// that reads back the same, what is not finite as null, times in RFC 3339 UTC.

import Detection

/// Writes small JSON values.
enum JSONText {
  static func object(_ members: some Sequence<(String, Scalar)>) -> String {
    object(members.map { ($0.0, value($0.1)) })
  }

  /// An object of members whose values are JSON already.
  static func object(_ members: some Sequence<(String, String)>) -> String {
    var text = "{"
    for (name, json) in members {
      if text.utf8.count > 1 { text += "," }
      text += string(name)
      text += ":"
      text += json
    }
    return text + "}"
  }

  /// An array of elements that are JSON already.
  static func array(_ elements: some Sequence<String>) -> String { "[" + elements.joined(separator: ",") + "]" }

  static func value(_ scalar: Scalar) -> String {
    switch scalar {
    case .null: "null"
    case .int(let value): String(value)
    case .double(let value): number(value)
    case .bool(let value): value ? "true" : "false"
    case .string(let value): string(value)
    case .timestamp(let value): string(Timestamp.format(value))
    }
  }

  static func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

  static func optional(_ value: String?) -> String { value.map(string) ?? "null" }

  /// A quoted string; escapes what RFC 8259 demands and nothing else.
  static func string(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      return "\"" + text + "\""
    }
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

extension Explanation {
  /// `{contributions: [{feature, value, contribution}], expected, range, clause}`.
  var json: String {
    let contributions = contributions.map { part in
      JSONText.object([
        ("feature", JSONText.string(part.feature)), ("value", JSONText.value(part.value)),
        ("contribution", JSONText.number(part.contribution)),
      ])
    }
    return JSONText.object([
      ("contributions", JSONText.array(contributions)), ("expected", expected.map(JSONText.number) ?? "null"),
      (
        "range",
        range.map { JSONText.array([JSONText.number($0.lowerBound), JSONText.number($0.upperBound)]) } ?? "null"
      ),
      ("clause", JSONText.optional(clause)),
    ])
  }
}
