// Printing: results to standard output, messages to standard error, and whether a person is watching.

import Foundation

enum Terminal {
  static let isInteractive = isatty(STDERR_FILENO) == 1

  /// Writes a line of results. A closed pipe ends the process quietly.
  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// Writes elements that are JSON as one JSON array.
  static func printArray(_ elements: [String]) {
    print(elements.isEmpty ? "[]" : "[\n  " + elements.joined(separator: ",\n  ") + "\n]")
  }

  static func printError(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

  /// Replaces the current line of a terminal.
  static func replaceLine(_ text: String) { write("\r\u{1B}[K" + text, to: STDERR_FILENO) }

  /// Keeps the numbers of the standard streams taken. Were one of them closed, the next file that is opened would get
  /// its number, and messages would end up in it. What is put there refuses what a stream is used for.
  static func holdStandardStreams() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is given out first, and the ones below are taken.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      // SAFETY: lent for the call, which reads no more than `count` bytes.
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        // A run goes on whether or not anybody reads its messages.
        if descriptor == STDERR_FILENO { return }
        Foundation.exit(descriptor == STDOUT_FILENO && errno == EPIPE ? 0 : 1)
      }
      bytes = bytes.dropFirst(count)
    }
  }
}

/// A table of text with aligned columns.
struct TextTable {
  enum Alignment { case left, right }

  private var rows: [[String]]
  private let alignments: [Alignment]

  init(_ header: [(String, Alignment)]) {
    rows = [header.map(\.0)]
    alignments = header.map(\.1)
  }

  /// Adds a row. Control characters, which event data may hold, are shown escaped: a table never drives the terminal.
  mutating func add(_ row: [String]) {
    rows.append(
      row.map { cell in
        guard cell.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return cell }
        return cell.unicodeScalars.map { scalar in
          scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
      })
  }

  var isEmpty: Bool { rows.count == 1 }

  /// The lines, indented by two spaces; the last column is not padded when it is left-aligned.
  var text: String {
    let widths = alignments.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = " "
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += " " + (alignments[column] == .right ? padding + cell : cell + padding) + " "
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

extension Int {
  /// With thousands separators: `1,234,567`.
  var grouped: String {
    var text = String(magnitude)
    var index = text.index(text.endIndex, offsetBy: -3, limitedBy: text.startIndex)
    while let at = index, at > text.startIndex {
      text.insert(",", at: at)
      index = text.index(at, offsetBy: -3, limitedBy: text.startIndex)
    }
    return (self < 0 ? "-" : "") + text
  }
}

extension Double {
  /// With the given number of decimals.
  func fixed(_ decimals: Int) -> String { String(format: "%.\(decimals)f", self) }
}
