// What a terminal is shown of text from outside.

import Configuration
import Foundation
import Testing

@testable import Detection
@testable import Pipeline

@Suite("Text on terminals")
struct TerminalTextTests {
  /// Every character that drives a terminal, ends a line, turns the direction of text or is not seen, written down once
  /// more.
  static let unsafe: [ClosedRange<UInt32>] = [
    0...0x1F, 0x7F...0x9F, 0x61C...0x61C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069,
    0xAD...0xAD, 0x180E...0x180E, 0x200B...0x200B, 0x2060...0x2064, 0xFEFF...0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE007F,
  ]

  @Test("exactly these characters are escaped, and nothing else is touched")
  func scalars() {
    for value in Array(UInt32(0)...0x1_1000) + Array(0xE_0000...0xE_0100) {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let text = "a\(Character(scalar))b"
      let isUnsafe = Self.unsafe.contains { $0.contains(value) }
      #expect(TerminalText.escaped(text) == (isUnsafe ? "a\\u{\(String(value, radix: 16))}b" : text))
      if scalar.properties.isBidiControl || scalar.properties.generalCategory == .control { #expect(isUnsafe) }
    }
    #expect(TerminalText.escaped("é漢👩‍👩‍👧\u{301}\u{200D}") == "é漢👩‍👩‍👧\u{301}\u{200D}")
    #expect(TerminalText.escaped("a\n\tb\r", keepsLines: true) == "a\n\tb\\u{d}")
    // Escaped once, a text stays as it is.
    #expect(TerminalText.escaped(TerminalText.escaped("\u{1B}[2J\u{9B}")) == TerminalText.escaped("\u{1B}[2J\u{9B}"))
  }

  @Test("escaped JSON is the same JSON, with nothing in it that a terminal obeys")
  func json() throws {
    let scalars = Self.unsafe.flatMap { $0 }.compactMap { Unicode.Scalar($0) }
    for scalar in scalars {
      let text = "a\(Character(scalar))é漢\"\\/"
      let data = try JSONSerialization.data(withJSONObject: [text: [text]], options: [])
      let json = String(decoding: data, as: UTF8.self)
      let escaped = TerminalText.escapedJSON(json)
      #expect(!escaped.unicodeScalars.contains(where: TerminalText.isUnsafe))
      let read = try JSONSerialization.jsonObject(with: Data(escaped.utf8)) as? [String: [String]]
      #expect(read == [text: [text]])
    }
    // Whitespace between tokens is no string.
    let spaced = "{\n\t\"a\":\r\n 1,\r\"b\":\"\u{9B}\u{202E}\u{2028}\"}"
    let escaped = TerminalText.escapedJSON(spaced)
    #expect(escaped == "{\n\t\"a\": \n 1, \"b\":\"\\u009b\\u202e\\u2028\"}")
    #expect(try JSONSerialization.jsonObject(with: Data(escaped.utf8)) is [String: Any])
    #expect(TerminalText.escapedJSON("") == "" && TerminalText.escapedJSON("{\"é\":1}") == "{\"é\":1}")
  }

  @Test("a diagnostic shows names and lines of a file without obeying them")
  func diagnostics() {
    let evil = "\u{1B}]0;x\u{7}\u{9B}2J\u{202E}\u{2028}\nmy.yaml:1:1: error: forged"
    let diagnostic = Diagnostic(
      location: .init(line: 1, column: 3), message: "unknown key `\(evil)`", expected: "a name", found: evil,
      suggestion: evil)
    let text = DiagnosticRenderer.render([diagnostic], path: "p\(evil).yaml", source: "k: \(evil)")
    let shown = text.unicodeScalars.filter { TerminalText.isUnsafe($0) && $0 != "\n" }
    #expect(shown.isEmpty)
    #expect(text.contains("did you mean `\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{202e}\\u{2028}\\u{a}my.yaml"))
    // Beyond the line's end there is no column.
    let beyond = Diagnostic(location: .init(line: 1, column: 900), message: "m")
    let late = DiagnosticRenderer.render(beyond, path: "p", source: "k: \u{1B}[2J")
    #expect(!late.unicodeScalars.contains("\u{1B}"))
  }
}
