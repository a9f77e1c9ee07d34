// Printing: results to standard output, messages to standard error, whether a person is watching, and how wide the
// screen is. Invariant: no text reaches a stream unescaped (`TerminalText`); whoever calls need not think of it.

import Detection
import Foundation
import Pipeline

enum Terminal {
  static let isInteractive = isatty(STDERR_FILENO) == 1

  /// Columns of the terminal that a stream goes to, asked anew each time because windows are resized; nil where it goes
  /// elsewhere.
  static func width(of descriptor: Int32) -> Int? {
    guard isatty(descriptor) == 1 else { return nil }
    var size = winsize()
    if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    let said = ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 0
    return said > 0 ? said : 80
  }

  /// Writes a line of results, or several. A closed pipe ends the process quietly.
  static func print(_ text: String) {
    write(TerminalText.escaped(text, keepsLines: true) + "\n", to: STDOUT_FILENO)
  }

  /// Writes results as JSON.
  static func print(json: String) { write(TerminalText.escapedJSON(json) + "\n", to: STDOUT_FILENO) }

  /// Writes a table of results as wide as there is room.
  static func print(_ table: TextTable) { print(table.text(width: width(of: STDOUT_FILENO))) }

  /// Writes a message, of one line or several.
  static func printError(_ text: String) {
    write(TerminalText.escaped(text, keepsLines: true) + "\n", to: STDERR_FILENO)
  }

  /// Writes a line of the log, which stays one whatever is in it.
  static func log(_ line: String) { write(TerminalText.escaped(line) + "\n", to: STDERR_FILENO) }

  /// Replaces the current line of a terminal.
  static func replaceLine(_ text: String) { write("\r\u{1B}[K" + TerminalText.escaped(text), to: STDERR_FILENO) }

  /// Keeps the numbers of the standard streams taken. Were one of them closed, the next file that is opened would get
  /// its number, and messages would end up in it. What is put there refuses what a stream is used for.
  static func holdStandardStreams() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is given out first, and the ones below are taken.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  fileprivate static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

  fileprivate static func write(_ bytes: [UInt8], to descriptor: Int32) {
    var bytes = bytes[...]
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

/// Writes elements that are JSON to standard output as one JSON array, as they come: any number takes the memory of one.
struct JSONArrayWriter {
  private static let pieceBytes = 1 << 16
  private var waiting: [UInt8] = []
  private(set) var isEmpty = true

  mutating func add(_ element: String) {
    waiting += (isEmpty ? "[\n  " : ",\n  ").utf8
    waiting += TerminalText.escapedJSON(element).utf8
    isEmpty = false
    if waiting.count >= Self.pieceBytes { flush() }
  }

  mutating func finish() {
    waiting += (isEmpty ? "[]\n" : "\n]\n").utf8
    flush()
  }

  private mutating func flush() {
    Terminal.write(waiting, to: STDOUT_FILENO)
    waiting.removeAll(keepingCapacity: true)
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
