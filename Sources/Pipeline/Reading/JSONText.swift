// JSON as it is stored in text columns, printed by `--json` and given by an API: keys in the order given, numbers in their
// shortest form that reads back the same, what is not finite as a word (`Double.json`), times in RFC 3339 UTC. It is made
// here and nowhere else, whatever the store is.

public import Detection

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
  static func time(_ microseconds: Int64) -> String { string(Timestamp.formatWithinRange(microseconds)) }
}

extension [UInt8] {
  /// Appends a value as UTF-8.
  mutating func appendJSON(_ scalar: Scalar) {
    switch scalar {
    case .null: append(contentsOf: "null".utf8)
    case .int(let value): append(contentsOf: String(value).utf8)
    case .double(let value): append(contentsOf: JSONText.number(value).utf8)
    case .bool(let value): append(contentsOf: (value ? "true" : "false").utf8)
    case .string(let value): appendJSON(string: value)
    case .timestamp(let value): appendJSON(string: Timestamp.format(value))
    }
  }

  mutating func appendJSON(string: String) {
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

  /// Appends an object.
  /// - Parameter keys: as `JSONText.key` makes them, one for each value.
  public mutating func appendJSONObject(_ keys: [[UInt8]], _ values: [Scalar]) {
    append(UInt8(ascii: "{"))
    for (index, value) in values.enumerated() {
      if index > 0 { append(UInt8(ascii: ",")) }
      append(contentsOf: keys[index])
      appendJSON(value)
    }
    append(UInt8(ascii: "}"))
  }

  /// Appends an object of counts.
  /// - Parameter keys: as `JSONText.key` makes them, one for each count.
  public mutating func appendJSONObject(_ keys: [[UInt8]], counts: [Int64]) {
    append(UInt8(ascii: "{"))
    for (index, count) in counts.enumerated() {
      if index > 0 { append(UInt8(ascii: ",")) }
      append(contentsOf: keys[index])
      append(contentsOf: String(count).utf8)
    }
    append(UInt8(ascii: "}"))
  }
}

extension Explanation {
  /// `{contributions: [{feature, value, contribution}], expected, range, clause}`.
  public var json: String {
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

extension Position {
  /// The position as a JSON object.
  func json(in partition: PartitionID) -> String {
    JSONText.object([
      ("source", JSONText.string(partition.source)), ("partition", String(partition.number)),
      ("segment", String(segment)), ("offset", String(offset)), ("row", String(row)),
    ])
  }
}
