// DuckDB's command line as the reference: runs many expressions over one table in one process.

import Detection
import Foundation
import TestKit

/// Runs SQL through `.native/bin/duckdb`, which `make setup` installs.
enum OracleDuckDB {
  /// The binary; nil when it is not installed.
  static let binary: String? = {
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let candidate = folder.appendingPathComponent(".native/bin/duckdb").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      if FileManager.default.fileExists(atPath: folder.appendingPathComponent("Package.swift").path) { break }
    }
    return nil
  }()

  /// Whether the oracle can be asked; says so once when it cannot.
  static let isAvailable: Bool = {
    if binary == nil { print("skipped: no .native/bin/duckdb; run `make setup` to compare expressions with DuckDB") }
    return binary != nil
  }()

  /// What one query gave: a line per row, or what went wrong.
  enum Answer: Equatable {
    case rows([String])
    case error(String)
  }

  struct Failure: Error { let description: String }

  /// Runs the queries, each of one column, after `setup`. A query that fails does not stop the others.
  static func run(_ queries: [String], setup: String = "") throws -> [Answer] {
    guard let binary else { throw Failure(description: "DuckDB is not installed") }
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    var script = "SET TimeZone='UTC';\nSET threads=1;\n.headers off\n.mode list\n.nullvalue NULL\n\(setup)\n"
    for (index, query) in queries.enumerated() { script += ".print #\(index)\n\(query);\n" }
    script += ".print #end\n"
    let input = URL(fileURLWithPath: folder / "in.sql")
    let output = URL(fileURLWithPath: folder / "out.txt")
    try script.write(to: input, atomically: false, encoding: .utf8)
    try Data().write(to: output)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: binary)
    process.arguments = ["-batch"]
    process.standardInput = try FileHandle(forReadingFrom: input)
    let both = try FileHandle(forWritingTo: output)
    process.standardOutput = both
    process.standardError = both
    try process.run()
    process.waitUntilExit()
    return try parse(String(contentsOf: output, encoding: .utf8), count: queries.count)
  }

  private static func parse(_ text: String, count: Int) throws -> [Answer] {
    var answers: [Answer] = []
    var lines: [String]?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      if line.hasPrefix("#") {
        if let lines {
          let failed = lines.contains { $0.contains("Error:") }
          answers.append(failed ? .error(lines.joined(separator: " ")) : .rows(lines))
        }
        lines = []
      } else {
        lines?.append(line)
      }
    }
    guard answers.count == count else {
      throw Failure(description: "DuckDB answered \(answers.count) of \(count) queries: \(text.suffix(2000))")
    }
    return answers
  }

  /// A query for an expression's value in every row of the table `d`, in a form that loses nothing.
  static func query(_ sql: String, type: ValueType) -> String {
    let value =
      switch type {
      case .string: "hex(\(sql))"
      case .timestamp: "epoch_us(\(sql))"
      case .int, .double, .bool: "CAST(\(sql) AS VARCHAR)"
      }
    return "SELECT \(value) FROM d ORDER BY row"
  }

  /// What a row of a column is in that form. NaN has no sign.
  static func encoded(_ scalar: Scalar) -> String {
    switch scalar {
    case .null: "NULL"
    case .int(let value), .timestamp(let value): String(value)
    case .bool(let value): value ? "true" : "false"
    case .double(let value): value.isNaN ? "nan" : "\(value.bitPattern)"
    case .string(let value):
      value.utf8.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) }.joined()
    }
  }

  /// DuckDB's line in that form.
  static func normalised(_ line: String, type: ValueType) -> String {
    guard type == .double, line != "NULL" else { return line }
    guard let value = Double(line) else { return line }
    return encoded(.double(value))
  }
}
