// Shared by the tests of columnar files: temporary folders, the Python and DuckDB that set-up installs, random columns.

import Connectors
import Detection
import Foundation
import TestKit

/// Where the package lies, from where this file lies.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

enum NativeTools {
  static let python = packageRoot.appending(path: ".native/venv/bin/python").path(percentEncoded: false)
  static let duckdb = packageRoot.appending(path: ".native/bin/duckdb").path(percentEncoded: false)

  static var arePresent: Bool { [python, duckdb].allSatisfy(FileManager.default.isExecutableFile(atPath:)) }

  struct Failure: Error { let output: String }

  /// Runs a program and returns what it printed.
  static func run(_ program: String, _ arguments: String...) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(output: text) }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

/// Every row of every selected column, read `maxRows` rows at a time; empty batches would be a defect and trap.
func readAll(_ reader: ColumnarFileReader, maxRows: Int) throws -> [String: [Scalar]] {
  var rows = Dictionary(uniqueKeysWithValues: reader.columns.map { ($0.name, [Scalar]()) })
  while let batch = try reader.nextBatch(maxRows: maxRows) {
    for named in batch {
      let count = named.column.count
      precondition(count > 0 && count <= maxRows, "a batch of \(count) rows")
      rows[named.name, default: []] += scalars(named.column)
    }
  }
  return rows
}

func scalars(_ column: Column) -> [Scalar] { (0..<column.count).map { column[$0] } }

extension SeededRandom {
  /// One column of each type, and one of dictionary-encoded strings; about a tenth of the rows null.
  mutating func columns(rows: Int, nulls: Bool = true) -> [Column] {
    func valid(_ generator: inout SeededRandom, _ scalar: Scalar) -> Scalar {
      nulls && generator.next() % 10 == 0 ? .null : scalar
    }
    var columns = ValueType.allCases.map { type in
      Column(
        type,
        (0..<rows).map { _ in
          let bits = next()
          switch type {
          case .int: return valid(&self, .int(Int64(bitPattern: bits)))
          case .timestamp: return valid(&self, .timestamp(Int64(bitPattern: bits) >> 13))
          case .double: return valid(&self, .double(Double(Int64(bitPattern: bits)) / 1024))
          case .bool: return valid(&self, .bool(bits & 1 != 0))
          case .string: return valid(&self, .string(String(repeating: "é\"\(bits % 100)", count: Int(bits % 4))))
          }
        })
    }
    let entries = StringColumn(["", "copy", "select", "größer"])
    let codes = (0..<rows).map { _ in UInt32(next() % 4) }
    let coded = StringColumn(offsets: entries.offsets, bytes: entries.bytes, codes: codes)
    columns.append(Column(.string(coded), validity: Bitmap(count: rows) { codes[$0] != 0 }))
    return columns
  }
}

let testNames = ValueType.allCases.map(\.rawValue) + ["coded"]
