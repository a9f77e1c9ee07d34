// Edge values of every type, and every call of the catalogue over them: the columns of a table that holds the cross
// product of its arguments' edge values, and each argument as a constant beside the others. Texts mean the same to the
// engine and to DuckDB, and are given to DuckDB as they stand, not as the engine would print them.

import Detection

/// One expression over a table of edge values.
struct EdgeCase {
  let text: String
  /// The function or operator that it is about.
  let name: String
  let columns: [(name: String, type: ValueType)]
  /// The arguments that are constants, by their place among those that are values.
  var constants: [Int: Scalar] = [:]

  /// All values of a call whose columns have these.
  func arguments(_ row: [Scalar]) -> [Scalar] {
    var rest = row[...]
    return (0..<row.count + constants.count).map { constants[$0] ?? rest.removeFirst() }
  }
}

enum OracleEdges {
  static let ints: [Int64] = [
    0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 7, 64, 127, 128, -128, 255, 256, 1000, -1000, 65_535, 65_536,
    2_147_483_647, 2_147_483_648, -2_147_483_648, -2_147_483_649, 4_294_967_294, 4_294_967_295, 4_294_967_296,
    4_294_967_297, -4_294_967_295, -4_294_967_296, -4_294_967_297, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1,
    1_709_164_800_000, 1_709_164_800_000_000, 9_223_372_036_854_775, 9_223_372_036_854_776, -9_223_372_022_400_000,
    -9_223_372_022_400_001, -9_223_372_022_400_000_000, -9_223_372_022_400_000_001, .max, .max - 1, .max - 2, .min,
    .min + 1, .min + 2,
  ]
  static let doubles: [Double] = [
    0, -0.0, .nan, .infinity, -.infinity, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 1.005, .pi, 710, -745.2, 1e15, 1e16,
    -1e16, 1e17, 1e22, 1e-4, 1e-5, 1e-7, 4503599627370497.5, 0.49999999999999994, 1.0000000000000002,
    2_147_483_647.5, 0x1p31, 0x1p32, 0x1p53, -0x1p53, 0x1p63, -0x1p63, 9_223_372_036_854_774_784,
    -9_223_372_036_854_775_808 * 1.1,
    .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
    -.greatestFiniteMagnitude, 1e100, 1e308, 123456.789,
  ]
  static let strings = [
    "", "a", "A", "abc", "ABC", "aaaa", "äöü", "ÄÖÜ", "ßẞ", "İiıI", "ǅǆ", "日本語", "👍🏽", "👨‍👩‍👧", "e\u{301}bc", "\u{301}",
    "été", "a%b", "a_b", " pad ", "\u{A0}x\u{3000}", "\tt\n", "\u{2028}", "'q'", "back\\slash", "b", "bc", "\u{10FFFF}",
    "0123456789abcdef0123456789", "a\u{0}b",
  ]
  static let numberTexts =
    OracleTable.numberTexts + [
      "9223372036854775807.4", "9223372036854775807.5", "-9223372036854775808.4", "-9223372036854775809",
      "1.7976931348623159e308", "4.9e-324", "2.4e-324", "0.30000000000000004", "00012", "+0", "-0", "-0.0", "1e309",
      "٣",
      "2016-12-31 23:59:60", "2016-12-31 23:59:59", "2000-02-29", "1900-02-29", "2024-04-31", "0000-01-01",
      "0000-02-29",
      "10000-01-01", "-0001-01-01", "2024-13-01", "2024-00-10", "2024-01-00", "2024-01-01 12", "2024-01-01T12:00",
      "2024-01-01 12:00:00.", "2024-01-01 12:00:00.1234567", "2024-01-01 12:60", "2024-01-01t12:00:00z", "TRUE", "tRue",
    ]
  static let timestamps: [Int64] = [
    0, -1, 1, 999_999, 1_000_000, -1_000_000, 59_999_999, 86_399_999_999, 86_400_000_000, -86_400_000_000,
    1_709_164_800_000_000, 1_709_251_199_999_999, 1_483_228_799_000_000, 1_483_228_800_000_000, 951_782_400_000_000,
    -2_203_891_200_000_000, 1_609_459_199_999_999, 1_609_459_200_000_000, 1_609_718_400_000_000, 1_735_689_600_000_000,
    -62_135_596_800_000_000, -62_135_596_800_000_001, -62_167_219_200_000_000, -62_162_121_600_000_000,
    -62_198_755_200_000_001, 253_402_300_799_999_999, 253_402_300_800_000_000, -9_223_372_022_400_000_000,
    -9_223_372_022_399_999_999, -9_223_300_000_000_000_000, .max - 1, .max - 2,
  ]

  /// The edge values of a type, NULL first.
  static func values(_ type: ValueType) -> [Scalar] {
    switch type {
    case .int: [.null] + ints.map { .int($0) }
    case .double: [.null] + doubles.map { .double($0) }
    case .bool: [.null, .bool(false), .bool(true)]
    case .string: [.null] + strings.map { .string($0) }
    case .timestamp: [.null] + timestamps.map { .timestamp($0) }
    }
  }

  /// A value as text that means the same in both languages.
  static func literal(_ scalar: Scalar, _ type: ValueType) -> String? {
    switch scalar {
    case .null: return "CAST(NULL AS \(type.sqlName))"
    case .int(let value): return "CAST(\(value) AS BIGINT)"
    case .double(let value): return "CAST('\(value)' AS DOUBLE)"
    case .bool(let value): return value ? "TRUE" : "FALSE"
    case .string(let value): return value.utf8.contains(0) ? nil : OracleTable.literal(scalar)
    case .timestamp(let value): return "make_timestamp(CAST(\(value) AS BIGINT))"
    }
  }

  /// As DuckDB's command line takes it in a table.
  static func stored(_ scalar: Scalar) -> String {
    guard case .string(let value) = scalar, value.utf8.contains(0) else { return OracleTable.literal(scalar) }
    let parts = value.split(separator: "\u{0}", omittingEmptySubsequences: false)
    return "(" + parts.map { OracleTable.literal(.string(String($0))) }.joined(separator: " || chr(0) || ") + ")"
  }

  private static let units = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]

  /// The arguments that a signature may be tried with: types of columns, or texts that are constants.
  private enum Argument {
    case column(ValueType)
    case text(String)
  }

  private static func arguments(
    _ name: String, _ signature: FunctionDescriptor.Signature, any type: ValueType
  ) -> [[Argument]] {
    var parameters = signature.parameters
    if signature.isVariadic, let last = parameters.last { parameters.append(last) }
    var lists: [[Argument]] = [[]]
    for parameter in parameters {
      let choices: [Argument] =
        switch parameter {
        case .value(let type): [.column(type)]
        case .any: [.column(type)]
        case .constant: [-308, -20, -5, -1, 0, 1, 2, 15, 17, 308].map { .text("\($0)") }
        case .unit:
          (units + (name == "date_part" ? ["dayofyear", "dayofweek", "isodow"] : [])).map { .text("'\($0)'") }
        }
      lists = lists.flatMap { list in choices.map { list + [$0] } }
    }
    return lists
  }

  /// Every signature of the catalogue, `any` in each type; then the operators and casts.
  static func all() -> [EdgeCase] {
    var cases: [EdgeCase] = []
    for function in FunctionCatalog.all where function.kind == .scalar {
      for signature in function.signatures {
        let isGeneric = signature.parameters.contains { $0 == .any }
        for type in isGeneric ? ValueType.allCases : [.int] {
          for list in arguments(function.name, signature, any: type) {
            cases += tries(function.name, list) { "\(function.name)(\($0.joined(separator: ", ")))" }
          }
        }
      }
    }
    for (operators, types) in [
      (["+", "-", "*", "//", "%", "/"], [ValueType.int]), (["+", "-", "*", "/", "%"], [.double]), (["||"], [.string]),
      (["LIKE", "ILIKE"], [.string]), (["=", "<", ">=", "IS DISTINCT FROM"], ValueType.allCases),
      (["AND", "OR"], [.bool]),
    ] {
      for symbol in operators {
        for type in types {
          cases += tries(symbol, [.column(type), .column(type)]) { "(\($0[0]) \(symbol) \($0[1]))" }
        }
      }
    }
    cases += tries("-", [.column(.int)]) { "(- \($0[0]))" } + tries("-", [.column(.double)]) { "(- \($0[0]))" }
    cases += tries("*", [.column(.int), .column(.double)]) { "(\($0[0]) * \($0[1]))" }
    cases += tries("BETWEEN", [.column(.double), .column(.double), .column(.double)]) {
      "(\($0[0]) BETWEEN \($0[1]) AND \($0[2]))"
    }
    for source in ValueType.allCases {
      for target in ValueType.allCases where target != source {
        if source == .timestamp && target != .string || target == .timestamp && source != .string { continue }
        for word in ["CAST", "TRY_CAST"] {
          cases += tries(word, [.column(source)]) { "\(word)(\($0[0]) AS \(target.sqlName))" }
        }
      }
    }
    return cases
  }

  /// The expression over columns alone, and with each edge value of each argument as a constant.
  private static func tries(_ name: String, _ list: [Argument], _ text: ([String]) -> String) -> [EdgeCase] {
    var columns: [(name: String, type: ValueType)] = []
    var texts: [String] = []
    for argument in list {
      switch argument {
      case .text(let text): texts.append(text)
      case .column(let type):
        columns.append(("c\(columns.count)", type))
        texts.append("c\(columns.count - 1)")
      }
    }
    var cases = [EdgeCase(text: text(texts), name: name, columns: columns)]
    for (index, column) in columns.enumerated() where columns.count > 1 {
      guard let place = texts.firstIndex(of: column.name) else { continue }
      for value in values(column.type) {
        guard let constant = literal(value, column.type) else { continue }
        var texts = texts
        texts[place] = constant
        var others = columns
        others.remove(at: index)
        cases.append(EdgeCase(text: text(texts), name: name, columns: others, constants: [index: value]))
      }
    }
    return cases
  }

  /// The cross product of edge values; every so manieth row where that is too many.
  static func rows(_ columns: [(name: String, type: ValueType)], limit: Int) -> [[Scalar]] {
    let lists = columns.map { column in
      let isOnly = columns.count == 1 && column.type == .string
      return values(column.type) + (isOnly ? numberTexts.map { .string($0) } : [])
    }
    let total = lists.reduce(1) { $0 * $1.count }
    // A step that shares no factor with the lengths of the lists visits all values of each.
    var step = max(1, total / limit)
    while lists.contains(where: { step > 1 && greatestCommonDivisor(step, $0.count) > 1 }) { step += 1 }
    return stride(from: 0, to: total, by: step).map { number in
      var rest = number
      return lists.map { list in
        defer { rest /= list.count }
        return list[rest % list.count]
      }
    }
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}
