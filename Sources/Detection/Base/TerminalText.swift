// Text as a terminal may show it. Names of files and columns, values of events, the environment: whatever comes from
// outside may hold characters that a terminal obeys (ECMA-48: C0 and C1), that turn the direction of what follows
// (Unicode UAX #9), or that nobody sees. The printer escapes them, in one place; see `Terminal` in the command.

/// Escapes what drives a terminal.
public enum TerminalText {
  /// Whether a character is a command to a terminal (C0, DEL, C1), ends a line (U+2028, U+2029), turns the direction of
  /// text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), or is not seen, so that two texts look the same:
  /// soft hyphen, zero width space, word joiner and invisible operators (U+2060 to U+2064), byte order mark, annotations
  /// and tags. The joiners U+200C and U+200D stay: scripts and emoji need them.
  public static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7E: false
    case ..<0x20, 0x7F...0x9F, 0x61C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    case 0xAD, 0x180E, 0x200B, 0x2060...0x2064, 0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE007F: true
    default: false
    }
  }

  /// The text with each such character as `\u{1b}`.
  /// - Parameter keepsLines: whether line feeds and tabs stay, for text of our own that has several lines.
  public static func escaped(_ text: String, keepsLines: Bool = false) -> String {
    func isEscaped(_ scalar: Unicode.Scalar) -> Bool {
      isUnsafe(scalar) && !(keepsLines && (scalar == "\n" || scalar == "\t"))
    }
    guard text.unicodeScalars.contains(where: isEscaped) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if isEscaped(scalar) {
        result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// JSON with each such character as `\u001b`, which is the same JSON: they can only stand within strings. Whitespace
  /// between tokens stays, a carriage return as a blank.
  public static func escapedJSON(_ json: String) -> String {
    func isEscaped(_ scalar: Unicode.Scalar) -> Bool { isUnsafe(scalar) && scalar != "\n" && scalar != "\t" }
    // The first bytes of the encodings of all of them: most JSON has none.
    let isSuspicious = json.utf8.contains { byte in
      byte < 0x20 && byte != 0x0A || byte == 0x7F || byte == 0xC2 || byte == 0xD8 || byte == 0xE1 || byte == 0xE2
        || byte == 0xEF || byte == 0xF3
    }
    guard isSuspicious, json.unicodeScalars.contains(where: isEscaped) else { return json }
    var result = String.UnicodeScalarView()
    for scalar in json.unicodeScalars {
      if !isEscaped(scalar) {
        result.append(scalar)
      } else if scalar == "\r" {
        result.append(" ")
      } else {
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          let zeros = String(repeating: "0", count: 4 - digits.count)
          result.append(contentsOf: "\\u\(zeros)\(digits)".unicodeScalars)
        }
      }
    }
    return String(result)
  }
}
