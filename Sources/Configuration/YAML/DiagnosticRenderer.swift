// Diagnostics as a person reads them: where, what, what would be right, and the line with a caret. The first line has
// the form `path:line:column: error: …`, which editors and terminals turn into links.

public import Detection

/// Writes diagnostics as text.
public enum DiagnosticRenderer {
  /// One diagnostic, with the line of `source` it is about where there is one. Ends without a line end.
  public static func render(_ diagnostic: Diagnostic, path: String, source: String) -> String {
    render(diagnostic, path: path, lines: lines(of: source))
  }

  /// The first diagnostics, each followed by a blank line, and how many there are in all.
  public static func render(_ diagnostics: [Diagnostic], path: String, source: String) -> String {
    let lines = lines(of: source)
    var text = ""
    for diagnostic in diagnostics.prefix(most) { text += render(diagnostic, path: path, lines: lines) + "\n\n" }
    text += diagnostics.count == 1 ? "1 error" : "\(diagnostics.count) errors"
    return diagnostics.count > most ? text + ", of which the first \(most) are shown" : text
  }

  /// More errors than this are not what a person reads: they have one cause.
  private static let most = 200

  /// All diagnostics without their places, one below the other: for what is not wrong in a file.
  public static func renderWithoutPlaces(_ diagnostics: [Diagnostic]) -> String {
    diagnostics.map { "error: " + message(of: $0) }.joined(separator: "\n")
  }

  private static func lines(of source: String) -> [Substring] {
    source.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
  }

  private static func render(_ diagnostic: Diagnostic, path: String, lines: [Substring]) -> String {
    let place = diagnostic.location
    let text = "\(TerminalText.escaped(path)):\(place.line):\(place.column): error: \(message(of: diagnostic))"
    guard lines.indices.contains(place.line - 1) else { return text }
    let line = lines[place.line - 1]
    guard !line.allSatisfy(\.isWhitespace) else { return text }
    let (shown, caret) = window(of: line, around: place.column - 1)
    let number = String(place.line)
    let margin = String(repeating: " ", count: number.count)
    return text + "\n  \(number) | \(shown)\n  \(margin) | \(caret)^"
  }

  private static func message(of diagnostic: Diagnostic) -> String {
    let comparison = [diagnostic.expected.map { "expected \($0)" }, diagnostic.found.map { "found \($0)" }]
      .compactMap(\.self).joined(separator: ", ")
    var text = diagnostic.message
    if !comparison.isEmpty {
      // The message of an expression's error is the comparison with the suggestion: each is said once.
      if text.hasPrefix(comparison) { text = comparison } else { text += "\n  " + comparison }
    }
    // Names from a file end no line: they could begin one that looks like ours.
    text = text.split(separator: "\n", omittingEmptySubsequences: false).map { TerminalText.escaped(String($0)) }
      .joined(separator: "\n")
    if let suggestion = diagnostic.suggestion { text += "\n  did you mean `\(TerminalText.escaped(suggestion))`?" }
    return text
  }

  /// The part of a line that fits a terminal, and the blanks that put a caret under the column.
  private static func window(of line: Substring, around column: Int) -> (String, String) {
    let width = 160
    let scalars = Array(line.unicodeScalars)
    let start = column < width - 20 ? 0 : column - width / 2
    let end = min(scalars.count, start + width)
    func text(_ range: Range<Int>) -> String {
      var view = String.UnicodeScalarView()
      for scalar in scalars[range] {
        // Nothing that a configuration file holds may steer the terminal.
        view.append(TerminalText.isUnsafe(scalar) && scalar != "\t" ? "\u{FFFD}" : scalar)
      }
      return String(view)
    }
    guard start < end else {
      return (text(0..<min(scalars.count, width)), String(repeating: " ", count: min(column, width)))
    }
    let before = text(start..<min(max(column, start), end))
    let blanks = String(before.map { $0 == "\t" ? "\t" : " " })
    let missing = String(repeating: " ", count: max(0, column - end))
    return (text(start..<end), blanks + missing)
  }
}
