// Small JSON objects of the store (`by` values, aggregates, classes) as a person reads them.

import Foundation

/// A JSON object without nested ones, as the store writes them: no blanks between tokens.
enum FlatJSON {
  /// Its members in their order, strings without quotes and escapes.
  static func members(_ json: String) -> [(name: String, value: String)] {
    let bytes = Array(json.utf8)
    var at = 1
    var members: [(name: String, value: String)] = []
    while at < bytes.count - 1 {
      let name = token(bytes, &at)
      at += 1  // the colon
      members.append((name, token(bytes, &at)))
      at += 1  // the comma
    }
    return members
  }

  /// The string or other value that begins at `at`, which is moved behind it.
  private static func token(_ bytes: [UInt8], _ at: inout Int) -> String {
    let start = at
    guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
      while at < bytes.count, bytes[at] != UInt8(ascii: ","), bytes[at] != UInt8(ascii: "}") { at += 1 }
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
