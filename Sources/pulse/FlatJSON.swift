// Small JSON objects of the store (`by` values, aggregates, classes) as a person reads them. Whatever the text is, reading
// it ends: each step goes on by a byte at least.

import Foundation

/// A JSON object as the store writes them: no blanks between tokens.
enum FlatJSON {
  /// Its members in their order, strings without quotes and escapes, lists and objects in them as text.
  static func members(_ json: String) -> [(name: String, value: String)] {
    var at = 0
    return members(Array(json.utf8), &at)
  }

  /// The members of the object that begins at `at`, which is moved behind it.
  private static func members(_ bytes: [UInt8], _ at: inout Int) -> [(name: String, value: String)] {
    var members: [(name: String, value: String)] = []
    at += 1
    while at < bytes.count, bytes[at] != UInt8(ascii: "}") {
      let name = token(bytes, &at)
      at += 1  // the colon
      members.append((name, value(bytes, &at)))
      if at < bytes.count, bytes[at] != UInt8(ascii: "}") { at += 1 }  // the comma
    }
    at += 1
    return members
  }

  /// The value that begins at `at`, which is moved behind it: `[a=1 b=2, a=3 b=4]` for a list of objects.
  private static func value(_ bytes: [UInt8], _ at: inout Int) -> String {
    guard at < bytes.count else { return "" }
    switch bytes[at] {
    case UInt8(ascii: "{"): return members(bytes, &at).map { "\($0.name)=\($0.value)" }.joined(separator: " ")
    case UInt8(ascii: "["):
      var elements: [String] = []
      at += 1
      while at < bytes.count, bytes[at] != UInt8(ascii: "]") {
        elements.append(value(bytes, &at))
        if at < bytes.count, bytes[at] != UInt8(ascii: "]") { at += 1 }  // the comma
      }
      at += 1
      return "[" + elements.joined(separator: ", ") + "]"
    default: return token(bytes, &at)
    }
  }

  /// The string or other value without parts that begins at `at`, which is moved behind it.
  private static func token(_ bytes: [UInt8], _ at: inout Int) -> String {
    let start = at
    guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
      while at < bytes.count, !",}]".utf8.contains(bytes[at]) { at += 1 }
      return String(decoding: bytes[start..<at], as: UTF8.self)
    }
    var hasEscapes = false
    at += 1
    while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
      if bytes[at] == UInt8(ascii: "\\") {
        hasEscapes = true
        at += 1
      }
      at += 1
    }
    at = min(at + 1, bytes.count)
    let text = bytes[start..<at]
    if hasEscapes, let value = try? JSONDecoder().decode(String.self, from: Data(text)) { return value }
    return String(decoding: text.dropFirst().dropLast(), as: UTF8.self)
  }
}
