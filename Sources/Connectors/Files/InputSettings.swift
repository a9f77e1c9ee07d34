// What can be set of every input that is bytes: files and standard input.

import Configuration
import Detection

enum InputSettings {
  static let format = Setting(
    "format", key: "format", flag: "format", .word(["automatic"] + FileFormat.allCases.map(\.rawValue)),
    standard: .text("automatic"),
    "How the input is written; automatic goes by content, then by name (default: automatic).")
  static let delimiter = Setting(
    "csv_delimiter", key: "csv_delimiter", flag: "csv-delimiter",
    .form(expected: "`,`, `;`, `|` or tab", fits: { CSVDelimiter(text: $0) != nil }),
    "What separates the cells of CSV: , ; | or tab (default: a tab in files named .tsv, else a comma).")
  static let idleTimeout = Setting(
    "idle_timeout", key: "idle_timeout", flag: "idle-timeout", .duration(seconds: 0.001...1e9),
    "End after so long without new events.")

  /// Nil is automatic.
  static func format(_ settings: ConnectorSettings) -> FileFormat? {
    settings.text(format.name).flatMap { FileFormat(rawValue: $0) }
  }

  static func delimiter(_ settings: ConnectorSettings) -> CSVDelimiter? {
    settings.text(delimiter.name).flatMap { CSVDelimiter(text: $0) }
  }
}
