// The table that expressions are compared on: edge values and random ones of every type, NULLs among them, from a seed.

import Detection
import TestKit

/// Rows to compare on.
struct OracleTable {
  let scope: Scope
  let columns: [Column]
  let count: Int

  /// Two columns of each type, and one of texts that look like other types.
  static let names: [(name: String, type: ValueType)] = [
    ("i", .int), ("j", .int), ("k", .int), ("x", .double), ("y", .double), ("b", .bool), ("c", .bool), ("s", .string),
    ("u", .string), ("n", .string), ("at", .timestamp), ("until", .timestamp),
  ]

  static let ints: [Int64] = [
    0, 1, -1, 2, 3, 5, 7, 10, -5, 100, .min, .max, .min + 1, 9_007_199_254_740_993, 4_294_967_296, -2_147_483_649,
    3_037_000_500,
  ]
  static let doubles: [Double] = [
    0, -0.0, .nan, .infinity, -.infinity, 1, -1, 0.5, 1.5, 2.5, -2.5, 0.1, 1e308, -1e308, Double.leastNonzeroMagnitude,
    1e15, 1e16, 123456.789,
    0x1p63, -0x1p63, 9.2e18, 1e-5, 0.0001, 1e22, 0.49999999999999994, 4503599627370497.5, 1.005, 1e-7, 1e100,
  ]
  static let strings = [
    "", "a", "A", "abc", "ABC", "aaaa", "äöü", "ÄÖÜ", "ß", "İi", "日本語", "👍🏽", "a%b", "a_b", " pad ", "\u{A0}x\u{3000}",
    "'quoted'", "back\\slash", "copy", "unload", "été", "e\u{301}", "zebra", "ab", "b", "c\td",
  ]
  static let numberTexts = [
    "42", " 42 ", "-7", "+5", "4.5", "-4.5", "4.49", "5.", ".5", "1e3", "abc", "inf", "-Infinity", "+inf", "nan", "NaN",
    "1_000", "0x1F", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775808.5", "",
    "  ", "-", "1e400", "1e-400", "0.1", "123456789012345678901234567890", "true", "F", "Yes", "n", " true", "0", "1",
    "2024-02-29", "2024-02-30", "2024-02-29 12:34:56.789", "2024-02-29T12:34:56Z", "2024-02-29 12:34:56+02:00",
    "0001-01-01", "9999-12-31 23:59:59.9999999", "1969-12-31 23:59:59.999999", "2024-02-29 24:00:00", "2024-2-9",
    " 2024-01-01 00:00 ", "2024-01-01 00:00:60", "epoch", "infinity", "2023-02-29 01:02:03", "1 2", "--1", "1-",
    "\t7\n",
  ]
  static let timestamps: [Int64] = [
    0, -1, 1, 1_709_164_800_000_000, 1_709_251_199_999_999, -62_135_596_800_000_000, 253_402_300_799_999_999,
    951_782_400_000_000, -2_203_891_200_000_000, -62_135_596_800_000_001, -9_223_300_000_000_000_000, .max - 1,
    1_704_067_200_000_000, 1_704_067_199_999_999, 1_609_459_200_500_000, -500, -1_500_000, -62_198_755_200_000_000,
  ]

  init(rows: Int, seed: UInt64) {
    var random = SeededRandom(seed: seed)
    scope = Scope(Self.names)
    count = rows
    columns = Self.names.map { name, type in
      Column(type, (0..<rows).map { _ in Self.scalar(name, type, &random) })
    }
  }

  private static func scalar(_ name: String, _ type: ValueType, _ random: inout SeededRandom) -> Scalar {
    if Int.random(in: 0..<8, using: &random) == 0 { return .null }
    let wild = Int.random(in: 0..<3, using: &random) == 0
    switch type {
    case .int where name == "k": return .int(.random(in: -6...6, using: &random))
    case .int where wild: return .int(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random))
    case .int: return .int(ints.randomElement(using: &random) ?? 0)
    case .double where wild: return .double((.random(in: -1000...1000, using: &random) * 64).rounded() / 64)
    case .double where random.next() % 5 == 0:
      return .double(Double(bitPattern: random.next()))
    case .double: return .double(doubles.randomElement(using: &random) ?? 0)
    case .bool: return .bool(.random(using: &random))
    case .string: return .string((name == "n" ? numberTexts : strings).randomElement(using: &random) ?? "")
    case .timestamp where wild:
      return .timestamp(.random(in: -2_208_988_800_000_000...4_102_444_800_000_000, using: &random))
    case .timestamp: return .timestamp(timestamps.randomElement(using: &random) ?? 0)
    }
  }

  /// SQL that makes the table `d` in DuckDB.
  var sql: String {
    let definitions = scope.columns.map { "\"\($0.name)\" \($0.type.sqlName)" }.joined(separator: ", ")
    let rows = (0..<count).map { row in
      "(\(row), \(columns.map { Self.literal($0[row]) }.joined(separator: ", ")))"
    }
    return "CREATE TABLE d (row BIGINT, \(definitions));\nINSERT INTO d VALUES \(rows.joined(separator: ",\n"));"
  }

  static func literal(_ scalar: Scalar) -> String {
    switch scalar {
    case .null: "NULL"
    case .int(let value): "CAST('\(value)' AS BIGINT)"
    case .double(let value): "CAST('\(value)' AS DOUBLE)"
    case .bool(let value): value ? "TRUE" : "FALSE"
    case .string(let value):
      "'\(value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
    case .timestamp(let value): "make_timestamp(CAST('\(value)' AS BIGINT))"
    }
  }

  /// One row as text, for reports.
  func describe(_ row: Int) -> String {
    zip(scope.columns, columns).map { "\($0.name) = \($1[row])" }.joined(separator: ", ")
  }
}
