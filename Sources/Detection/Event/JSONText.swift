// JSON as it is stored, printed by `--json` and given by an API: keys in the order given, numbers in their shortest form that
// reads back the same, what is not finite as a word (`Double.json`), times in RFC 3339 UTC. It is made here and nowhere
// else. Two writers have rules of their own, which may not change: the canonical text of a use case, which is YAML as well,
// and the simulator's events.

/// Writes small JSON values.
public enum JSONText {
  public static func object(_ members: some Sequence<(String, Scalar)>) -> String {
    object(members.map { ($0.0, value($0.1)) })
  }

  /// An object of members whose values are JSON already.
  public static func object(_ members: some Sequence<(String, String)>) -> String {
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
  public static func array(_ elements: some Sequence<String>) -> String { "[" + elements.joined(separator: ",") + "]" }

  public static func value(_ scalar: Scalar) -> String { text { $0.appendJSON(scalar) } }

  /// A member's name as it begins the member: quoted, with a colon.
  public static func key(_ name: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendJSON(string: name)
    bytes.append(UInt8(ascii: ":"))
    return bytes
  }

  private static func text(_ write: (inout [UInt8]) -> Void) -> String {
    var bytes: [UInt8] = []
    write(&bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  public static func number(_ value: Double) -> String { value.json }

  public static func optional(_ value: String?) -> String { value.map(string) ?? "null" }

  /// A quoted string; escapes what RFC 8259 demands and nothing else.
  public static func string(_ string: String) -> String { text { $0.appendJSON(string: string) } }

  /// A time in RFC 3339; one beyond the years 0001 to 9999, which it cannot say, is the nearest that it can.
  public static func time(_ microseconds: Int64) -> String { string(Timestamp.formatWithinRange(microseconds)) }
}

extension [UInt8] {
  /// Appends a value as UTF-8.
  public mutating func appendJSON(_ scalar: Scalar) {
    switch scalar {
    case .null: append(contentsOf: "null".utf8)
    case .int(let value): append(contentsOf: String(value).utf8)
    case .double(let value): append(contentsOf: JSONText.number(value).utf8)
    case .bool(let value): append(contentsOf: (value ? "true" : "false").utf8)
    case .string(let value): appendJSON(string: value)
    case .timestamp(let value): appendJSON(string: Timestamp.format(value))
    }
  }

  /// Appends a quoted string as UTF-8.
  public mutating func appendJSON(string: String) {
    append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): append(contentsOf: "\\\"".utf8)
      case UInt8(ascii: "\\"): append(contentsOf: "\\\\".utf8)
      case UInt8(ascii: "\n"): append(contentsOf: "\\n".utf8)
      case UInt8(ascii: "\r"): append(contentsOf: "\\r".utf8)
      case UInt8(ascii: "\t"): append(contentsOf: "\\t".utf8)
      case ..<0x20: append(contentsOf: "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
      default: append(byte)
      }
    }
    append(UInt8(ascii: "\""))
  }
}

extension Double {
  /// The number as JSON: the shortest decimal that reads back as the same double, in one of the forms `0.1` and `1e-05`.
  /// JSON has no number for what is not finite; that is one of the strings `"inf"`, `"-inf"` and `"nan"`, the words that
  /// a cast to VARCHAR gives, so that it is not taken for NULL.
  public var json: String {
    isFinite ? description : isNaN ? "\"nan\"" : self < 0 ? "\"-inf\"" : "\"inf\""
  }
}
