// docs/expressions.md says what is true: its table of functions is that of the catalogue, and every listed difference
// from DuckDB is one, on both sides.

import Detection
import Foundation
import Testing

@Suite("The page about expressions")
struct ExpressionDocumentationTests {
  static func page() throws -> String {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { folder.deleteLastPathComponent() }
    return try String(contentsOf: folder.appendingPathComponent("docs/expressions.md"), encoding: .utf8)
  }

  /// The table as it must stand in the page.
  static var table: String {
    func rows(_ kind: FunctionDescriptor.Kind) -> String {
      FunctionCatalog.all.filter { $0.kind == kind }.map { function in
        let signatures = function.signatures.map { "`\($0.text(function.name))`" }.joined(separator: "<br>")
        let notes = function.notes.isEmpty ? "" : " \(function.notes)"
        return "| \(signatures) | \(function.summary).\(notes) |"
      }.joined(separator: "\n")
    }
    return
      "\n| function | gives |\n|---|---|\n\(rows(.scalar))\n\n| aggregate | gives |\n|---|---|\n\(rows(.aggregate))\n"
  }

  @Test("The table of functions is up to date")
  func functions() throws {
    let page = try Self.page()
    let start = try #require(page.range(of: "prints it -->\n"))
    let end = try #require(page.range(of: "<!-- end of functions -->"))
    let found = String(page[start.upperBound..<end.lowerBound])
    if found != Self.table {
      Issue.record("docs/expressions.md is out of date; the table is now:\n\(Self.table)")
    }
  }

  @Test("The catalogue is sorted, and every entry says what it is")
  func catalogue() {
    let names = FunctionCatalog.all.map(\.name)
    #expect(names == names.sorted())
    #expect(Set(names).count == names.count)
    #expect(
      FunctionCatalog.all.allSatisfy { !$0.summary.isEmpty && !$0.summary.hasSuffix(".") && !$0.signatures.isEmpty })
    #expect(
      Set(FunctionCatalog.all.filter { $0.kind == .aggregate }.map(\.name))
        == Set(AggregateFunction.allCases.map(\.rawValue)))
  }

  /// Rows of the table of differences: expression, here, DuckDB.
  private static func differences() throws -> [[String]] {
    let page = try page()
    let start = try #require(page.range(of: "| expression | here | DuckDB | why |\n|---|---|---|---|\n"))
    return page[start.upperBound...].prefix { _ in true }.split(separator: "\n", omittingEmptySubsequences: false)
      .prefix { $0.hasPrefix("|") }
      .map { line in
        let parts = line.split(separator: "`", omittingEmptySubsequences: false)
        let rest = parts[2].split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        // What is before the first bar is blank.
        return [String(parts[1]), rest[1], rest[2]]
      }
  }

  @Test("Every listed difference is one", .enabled(if: OracleDuckDB.isAvailable))
  func listedDifferences() throws {
    let rows = try Self.differences()
    #expect(rows.count > 20)
    let answers = try OracleDuckDB.run(rows.map { "SELECT CAST(\($0[0]) AS VARCHAR)" })
    for (row, answer) in zip(rows, answers) {
      var ours = "error"
      if let expression = try? Expression(row[0], scope: Scope([])),
        let text = try? Expression("CAST((\(row[0])) AS VARCHAR)", scope: Scope([]))
      {
        #expect(expression.columns.isEmpty)
        var failures = 0
        if case .string(let value) = text.evaluate([], count: 1, failures: &failures)[0] {
          ours = value
        } else {
          ours = "NULL"
        }
      }
      var theirs = "error"
      if case .rows(let lines) = answer { theirs = lines.joined(separator: " ") }
      #expect(ours == row[1], "\(row[0]) here")
      #expect(theirs == row[2], "\(row[0]) in DuckDB")
    }
  }

  @Test("What Spark cannot say is refused")
  func sparkRefusals() throws {
    for text in [
      "round(x, 2)", "CAST(x AS VARCHAR)", "CAST(s AS BIGINT)", "s LIKE t", "left(s, -1)", "substring(s, i)",
    ] {
      let expression = try Expression(text, scope: ExpressionFixture.scope)
      #expect(throws: SQLPrintingError.self) { try expression.sql(for: .spark) }
    }
    let printed = try Expression("dayofweek(at) = 0 AND i // 2 > 1", scope: ExpressionFixture.scope).sql(for: .spark)
    #expect(printed.contains("CAST(dayofweek(`at`) - 1 AS BIGINT)") && printed.contains("div"))
  }

  @Test("A text that would grow without bound is refused, not printed")
  func printedLength() throws {
    let text = String(repeating: "left(", count: 100) + "s" + String(repeating: ", 1 + 1 // i)", count: 100)
    _ = try Expression(text, scope: ExpressionFixture.scope).sql(for: .pulse)
    let nested = String(repeating: "substring(s, strpos(", count: 60) + "s" + String(repeating: ", 'a'))", count: 60)
    #expect(throws: SQLPrintingError.self) {
      try Expression(nested, scope: ExpressionFixture.scope).sql(for: .duckDB)
    }
  }
}
