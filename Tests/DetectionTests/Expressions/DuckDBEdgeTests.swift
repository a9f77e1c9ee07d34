// Every function, operator and cast over edge values of every argument, against DuckDB with the same text. What differs is
// either an error there and NULL, counted, here, or a difference that docs/expressions.md lists; each of those is named
// here with the rows it may concern, and must occur.

import Foundation
import Testing

@testable import Detection

@Suite("Edge values against DuckDB", .serialized)
struct DuckDBEdgeTests {
  /// Most rows of one table; of tables that one constant is tried with.
  private static let rows = 6000
  private static let constantRows = 60

  /// A listed difference: which functions, and where it may show.
  struct Listed: Sendable {
    /// What docs/expressions.md says of it, word for word.
    let line: String
    let names: Set<String>
    let applies: @Sendable (_ arguments: [Scalar], _ ours: Scalar, _ theirs: String) -> Bool
  }

  static let listed: [Listed] = [
    Listed(
      line: "`epoch_us(make_timestamp(-9223372036854775808))` | NULL", names: ["make_timestamp", "epoch_ms"],
      applies: { arguments, ours, _ in
        guard case .int(let value) = arguments[0] else { return false }
        return ours == .null && value < CivilTime.valid.lowerBound / 1000
      }),
    Listed(
      line: "Where all texts of a column are ASCII, DuckDB's `substring`", names: ["substring"],
      applies: { arguments, _, theirs in
        // The first characters, as if the place were the first one.
        guard case .string(let text) = arguments[0], case .int(let place) = arguments[1],
          text.utf8.allSatisfy({ $0 < 128 }),
          place < -Int64(text.utf8.count)
        else { return false }
        guard arguments.count > 2 else { return theirs == OracleDuckDB.encoded(.string(text)) }
        guard case .int(let length) = arguments[2], length >= 0 else { return false }
        return theirs == OracleDuckDB.encoded(.string(String(decoding: text.utf8.prefix(Int(length)), as: UTF8.self)))
      }),
    Listed(
      line: "`substring('hello', 4, -2)` | NULL", names: ["substring"],
      applies: { arguments, ours, _ in
        guard arguments.count > 2, case .int(let length) = arguments[2] else { return false }
        return ours == .null && length < 0
      }),
    Listed(
      line: "`ILIKE` of a text with the character U+0000", names: ["ILIKE"],
      applies: { arguments, _, theirs in
        theirs == "false"
          && arguments.contains { if case .string(let text) = $0 { text.utf8.contains(0) } else { false } }
      }),
    Listed(
      line: "`TRY_CAST('1e3' AS BIGINT)` | NULL", names: ["CAST", "TRY_CAST"],
      applies: { arguments, ours, _ in
        isText(arguments, ["1e3", "1_000", "0x1F", "1e-400", "4.9e-324", "2.4e-324"]) && ours == .null
      }),
    Listed(
      line: "`TRY_CAST('.5' AS BIGINT)` | NULL", names: ["CAST", "TRY_CAST"],
      applies: { arguments, ours, _ in isText(arguments, [".5"]) && ours == .null }),
    Listed(
      line: "`TRY_CAST('2024-02-29 12:00:00+02:00' AS TIMESTAMP)` | NULL", names: ["CAST", "TRY_CAST"],
      applies: { arguments, ours, _ in isText(arguments, ["2024-02-29 12:34:56+02:00"]) && ours == .null }),
    Listed(
      line: "`TRY_CAST('2024-02-29 24:00:00' AS TIMESTAMP)` | NULL", names: ["CAST", "TRY_CAST"],
      applies: { arguments, ours, _ in isText(arguments, ["2024-02-29 24:00:00"]) && ours == .null }),
    Listed(
      line: "`TRY_CAST('2024/2/9' AS TIMESTAMP)` | NULL", names: ["CAST", "TRY_CAST"],
      applies: { arguments, ours, _ in
        isText(arguments, ["2024-2-9", "epoch", "10000-01-01", "-0001-01-01", "2024-01-01 12:00:00."]) && ours == .null
      }),
  ]

  private static func isText(_ arguments: [Scalar], _ texts: Set<String>) -> Bool {
    if case .string(let text) = arguments[0] { return texts.contains(text) }
    return false
  }

  /// What DuckDB says of a whole column because of its statistics, where no row is to blame.
  private static let planning = "Where a column holds a time of the first year"

  /// One table in DuckDB.
  private struct Table {
    let columns: [(name: String, type: ValueType)]
    let rows: [[Scalar]]
    let name: String

    var scope: Scope { Scope(columns) }
    var data: [Column] {
      columns.indices.map { index in Column(columns[index].type, rows.map { $0[index] }) }
    }
    var sql: String {
      let definitions = columns.map { ", \($0.name) \($0.type.sqlName)" }.joined()
      let values = rows.enumerated().map { number, row in
        "(\(([String(number)] + row.map(OracleEdges.stored)).joined(separator: ", ")))"
      }
      return "CREATE TABLE \(name) (row BIGINT\(definitions));\n"
        + "INSERT INTO \(name) VALUES \(values.joined(separator: ",\n"));"
    }
  }

  /// The value of every row in one line; a row that DuckDB cannot compute is NULL.
  /// - Parameter hasStatistics: whether the optimiser may look at what the table holds.
  private static func query(_ text: String, _ type: ValueType, _ table: Table, hasStatistics: Bool = true) -> String {
    let value =
      switch type {
      case .string: "hex(TRY(\(text)))"
      case .timestamp: "epoch_us(TRY(\(text)))::VARCHAR"
      case .int, .double, .bool: "TRY(\(text))::VARCHAR"
      }
    let source = hasStatistics ? table.name : "m"
    return (hasStatistics ? "" : "WITH m AS MATERIALIZED (SELECT * FROM \(table.name)) ")
      + "SELECT string_agg(coalesce(\(value), 'NULL'), ',' ORDER BY row) FROM \(source)"
  }

  @Test("Every call gives the same, or what is listed", .enabled(if: OracleDuckDB.isAvailable))
  func edges() throws {
    let cases = OracleEdges.all()
    #expect(Set(cases.map(\.name)).isSuperset(of: FunctionCatalog.all.filter { $0.kind == .scalar }.map(\.name)))
    // One table for each list of types; those that constants are tried with are shorter.
    var tables: [String: Table] = [:]
    func table(_ item: EdgeCase, isWhole: Bool) -> Table {
      let key = item.columns.map(\.type.rawValue).joined(separator: "_") + (isWhole ? "" : "_few")
      if let known = tables[key] { return known }
      let rows = OracleEdges.rows(item.columns, limit: isWhole ? Self.rows : Self.constantRows)
      let columns = item.columns.enumerated().map { ("c\($0)", $1.type) }
      let table = Table(columns: columns, rows: item.columns.isEmpty ? [[]] : rows, name: "t_\(tables.count)")
      tables[key] = table
      return table
    }
    var jobs: [(item: EdgeCase, text: String, expression: Expression, table: Table)] = []
    for item in cases {
      // Columns are named by their place in the table.
      var text = item.text
      for (index, column) in item.columns.enumerated() where column.name != "c\(index)" {
        text = text.replacingOccurrences(of: column.name, with: "c\(index)")
      }
      let isWhole = !item.text.contains("CAST(") || item.name.hasSuffix("CAST")
      let table = table(item, isWhole: isWhole)
      jobs.append((item, text, try Expression(text, scope: table.scope), table))
    }
    let setup = tables.values.map(\.sql).joined(separator: "\n")
    var found: [String] = []
    var reported: [String: Int] = [:]
    func report(_ job: (item: EdgeCase, text: String, expression: Expression, table: Table), _ what: String) {
      reported[job.item.name, default: 0] += 1
      if reported[job.item.name] ?? 0 <= Int(ProcessInfo.processInfo.environment["PULSE_ORACLE_REPORT"] ?? "5") ?? 5 {
        found.append("\(job.text) \(what)")
      }
    }
    var occurred: Set<String> = []
    for start in stride(from: 0, to: jobs.count, by: 500) {
      let part = jobs[start..<min(start + 500, jobs.count)]
      // With TRY a row that fails is NULL; without it one failure fails the whole.
      let answers = try OracleDuckDB.run(
        part.map { Self.query($0.text, $0.expression.type, $0.table) }
          + part.map { "SELECT count(\($0.text)) FROM \($0.table.name)" }, setup: setup)
      for (index, job) in part.enumerated() {
        var answer = answers[index]
        if case .error(let message) = answer, message.contains("Date and time not in timestamp range") {
          occurred.insert(Self.planning)
          let again = Self.query(job.text, job.expression.type, job.table, hasStatistics: false)
          answer = try OracleDuckDB.run([again], setup: job.table.sql)[0]
        }
        guard case .rows(let lines) = answer, lines.count == 1 else {
          report(job, "\(answer)")
          continue
        }
        let theirs = lines[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        var failures = 0
        let ours = job.expression.evaluate(job.table.data, count: job.table.rows.count, failures: &failures)
        var isListed = false
        var differing = theirs.count == ours.count ? 0 : 1
        if differing > 0 { report(job, "\(theirs.count) rows") }
        for (row, line) in theirs.enumerated() where row < ours.count {
          let mine = OracleDuckDB.encoded(ours[row])
          if OracleDuckDB.normalised(line, type: job.expression.type) == mine { continue }
          let arguments = job.item.arguments(job.table.rows[row])
          let reasons = Self.listed.filter {
            $0.names.contains(job.item.name) && $0.applies(arguments, ours[row], line)
          }
          occurred.formUnion(reasons.map(\.line))
          isListed = isListed || !reasons.isEmpty
          if reasons.isEmpty {
            differing += 1
            if differing <= 10 {
              report(job, "of \(arguments.map(\.plain)): ours \(ours[row].plain), DuckDB \(line)")
            }
          }
        }
        // What fails in DuckDB is counted here, and nothing else.
        var fails = false
        if case .error = answers[part.count + index] { fails = true }
        if fails != (failures > 0), !isListed {
          report(job, "\(failures) failures, in DuckDB \(answers[part.count + index])")
        }
      }
    }
    #expect(
      found.isEmpty, "of \(jobs.count) expressions \(reported) differ:\n\(found.joined(separator: "\n"))")
    let lines = Set(Self.listed.map(\.line) + [Self.planning])
    #expect(lines.subtracting(occurred) == [], "listed differences that do not occur")
    let page = try ExpressionDocumentationTests.page()
    for line in lines { #expect(page.contains(line), "docs/expressions.md does not say: \(line)") }
  }
}

extension Scalar {
  fileprivate var plain: String {
    switch self {
    case .null: "NULL"
    case .int(let value), .timestamp(let value): "\(value)"
    case .double(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .string(let value): value.debugDescription
    }
  }
}
