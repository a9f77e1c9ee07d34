// What expressions give: precedence, three-valued logic, selections and failures. The breadth of functions and types is
// left to the comparison with DuckDB; here stands what that comparison cannot see.

import Detection
import Testing

@Suite("Evaluating expressions")
struct ExpressionEvaluationTests {
  @Test(
    "Operators bind as in SQL",
    arguments: [
      ("1 + 2 * 3", Scalar.int(7)), ("(1 + 2) * 3", .int(9)), ("-2 - -3", .int(1)), ("7 // 2 * 2", .int(6)),
      ("-7 // 2", .int(-3)), ("-7 % 2", .int(-1)), ("1 / 2", .double(0.5)), ("1 + 1.5", .double(2.5)),
      ("NOT 1 = 2", .bool(true)), ("NOT TRUE OR TRUE", .bool(true)), ("TRUE OR FALSE AND FALSE", .bool(true)),
      ("1 + 1 BETWEEN 2 AND 1 + 1", .bool(true)), ("1 = 1 IS NOT NULL", .bool(true)),
      ("2 BETWEEN 1 AND 3 AND FALSE", .bool(false)), ("'a' || 'b' = 'ab'", .bool(true)),
      ("'a' || 'b' LIKE 'a' || '%'", .bool(true)), ("TRUE = (1 IN (1, 2))", .bool(true)),
      ("'12'::BIGINT + 1", .int(13)), ("NULL IS DISTINCT FROM 1", .bool(true)), ("- 5 % 3", .int(-2)),
      ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", .string("b")), ("CASE WHEN NULL THEN 1 END", .null),
      ("-9223372036854775808", .int(.min)), (".5 + 1.", .double(1.5)), ("1e3", .double(1000)),
      ("'it''s'", .string("it's")), ("if(NULL, 1, 2)", .int(2)), ("1 IN (2, NULL)", .null),
      ("1 IN (1, NULL)", .bool(true)),
    ])
  func precedence(text: String, expected: Scalar) throws {
    #expect(try ExpressionFixture.value(text) == expected)
  }

  @Test("Three-valued logic")
  func truthTables() throws {
    let names = ["TRUE", "FALSE", "NULL"]
    let values: [Bool?] = [true, false, nil]
    for (a, left) in zip(names, values) {
      for (b, right) in zip(names, values) {
        let and: Bool? = left == false || right == false ? false : left == true && right == true ? true : nil
        let or: Bool? = left == true || right == true ? true : left == false && right == false ? false : nil
        #expect(try ExpressionFixture.value("\(a) AND \(b)") == and.map { .bool($0) } ?? .null)
        #expect(try ExpressionFixture.value("\(a) OR \(b)") == or.map { .bool($0) } ?? .null)
        // The same over columns, where no constant is folded.
        let columns = [
          Column(.bool, [left.map { .bool($0) } ?? .null]), Column(.bool, [right.map { .bool($0) } ?? .null]),
        ]
        let scope = Scope([("a", .bool), ("b", .bool)])
        var failures = 0
        let both = try Expression("a AND b", scope: scope).evaluate(columns, count: 1, failures: &failures)
        let either = try Expression("a OR b", scope: scope).evaluate(columns, count: 1, failures: &failures)
        #expect(both[0] == and.map { .bool($0) } ?? .null)
        #expect(either[0] == or.map { .bool($0) } ?? .null)
      }
    }
  }

  @Test("A selection decides which rows have a value and which failures count")
  func selections() throws {
    let columns = [Column(.int, [.int(1), .int(.max), .null, .int(.max), .int(5)])]
    let expression = try Expression("i + 1", scope: Scope([("i", .int)]))
    var failures = 0
    let all = expression.evaluate(columns, count: 5, failures: &failures)
    #expect(all == Column(.int, [.int(2), .null, .null, .null, .int(6)]))
    #expect(failures == 2)
    failures = 0
    let some = expression.evaluate(
      columns, count: 5, selection: Bitmap(count: 5) { $0 < 2 || $0 == 2 }, failures: &failures)
    #expect(some == Column(.int, [.int(2), .null, .null, .null, .null]))
    #expect(failures == 1)
  }

  @Test(
    "What SQL does not evaluate does not fail",
    arguments: [
      ("CASE WHEN s = 'x' THEN 0 ELSE CAST(s AS BIGINT) END", 0), ("coalesce(i, CAST(s AS BIGINT))", 0),
      ("s <> 'x' AND CAST(s AS BIGINT) > 0", 0), ("s = 'x' OR CAST(s AS BIGINT) > 0", 0),
      ("CASE s WHEN 'x' THEN 0 ELSE CAST(s AS BIGINT) END", 0), ("if(s = 'x', 0, CAST(s AS BIGINT))", 0),
      ("CAST(s AS BIGINT) > 0 AND s <> 'x'", 1), ("TRY_CAST(s AS BIGINT)", 0), ("CAST(s AS BIGINT)", 1),
      ("coalesce(CAST(s AS BIGINT), i)", 1), ("s IN ('x', CAST(CAST(s AS BIGINT) AS VARCHAR))", 0),
    ])
  func unevaluated(text: String, expected: Int) throws {
    let columns = [
      Column(.int, [.int(1), .int(2), .null]), Column(.string, [.string("x"), .string("7"), .string("8")]),
    ]
    var failures = 0
    _ = try Expression(text, scope: Scope([("i", .int), ("s", .string)])).evaluate(
      columns, count: 3, failures: &failures)
    #expect(failures == expected)
  }

  @Test("Rows match where the condition is TRUE")
  func matching() throws {
    let columns = [Column(.double, [.double(1), .null, .double(3), .double(.nan), .double(5)])]
    let expression = try Expression("x > 2", scope: Scope([("x", .double)]))
    var failures = 0
    #expect(ExpressionFixture.rows(expression.matches(columns, count: 5, failures: &failures)) == [2, 3, 4])
    let selection = Bitmap(count: 5) { $0 != 3 }
    #expect(
      ExpressionFixture.rows(expression.matches(columns, count: 5, selection: selection, failures: &failures)) == [
        2, 4,
      ])
  }

  @Test("An empty batch")
  func emptyBatch() throws {
    var failures = 0
    for text in ["i + 1", "1", "upper(s)", "i > 1 AND s = 'a'", "coalesce(s, 'x')", "NULL", "s || 'a'", "hour(at)"] {
      let columns = ExpressionFixture.scope.columns.map { Column($0.type, []) }
      let expression = try Expression(text, scope: ExpressionFixture.scope)
      #expect(expression.evaluate(columns, count: 0, failures: &failures).count == 0)
    }
  }

  @Test("A dictionary-encoded column gives the same as a plain one")
  func dictionaries() throws {
    let plain = Column(.string, [.string("copy"), .null, .string("select"), .string("copy"), .string("Ünload")])
    let encoded = Column(
      .string(
        StringColumn(
          offsets: [0, 0, 4, 10, 17], bytes: Array("copyselectÜnload".utf8), codes: [1, 0, 2, 1, 3])),
      validity: plain.validity)
    #expect(plain == encoded)
    for text in [
      "s", "s = 'copy'", "s < 'd'", "s IN ('copy', 'unload')", "s LIKE '%c%'", "s ILIKE 'ü%'", "upper(s)", "length(s)",
      "concat('<', s)", "s || '>'", "replace(s, 'c', 'cc')", "left(s, 2)", "coalesce(s, 'none')", "s = s",
      "CASE WHEN s = 'copy' THEN s ELSE 'other' END", "CAST(s AS BIGINT)", "strpos(s, 'l')", "nullif(s, 'copy')",
      "greatest(s, 'd')",
    ] {
      let expression = try Expression(text, scope: Scope([("s", .string)]))
      var failures = (0, 0)
      let a = expression.evaluate([plain], count: 5, failures: &failures.0)
      let b = expression.evaluate([encoded], count: 5, failures: &failures.1)
      #expect(a == b, "\(text)")
      #expect(failures.0 == failures.1, "\(text)")
      for row in 0..<5 where b.isNull(row) {
        if case .string(let strings) = b.values { #expect(strings.range(of: row).isEmpty, "\(text)") }
      }
    }
  }

  @Test("Strings that would outgrow the bound are NULL and counted")
  func boundedStrings() throws {
    let long = String(repeating: "a", count: 40_000)
    let columns = [Column(.string, [.string(long), .string("b")])]
    for text in ["s || s", "concat(s, s)", "replace(s, 'a', 'aaa')"] {
      var failures = 0
      let result = try Expression(text, scope: Scope([("s", .string)])).evaluate(columns, count: 2, failures: &failures)
      #expect(result[0] == .null)
      #expect(result[1] != .null)
      #expect(failures == 1)
    }
  }

  @Test("Very long strings of many branches do not outgrow a column")
  func longBranches() throws {
    let long = String(repeating: "x", count: 100 << 20)
    let columns = [Column(.string, [.string(long), .null, .string("b")]), Column(.int, [.int(0), .int(1), .int(2)])]
    let text = "CASE i WHEN 0 THEN s WHEN 1 THEN 'none' WHEN 2 THEN lower(coalesce(s, upper(s))) END"
    var failures = 0
    let result = try Expression(text, scope: Scope([("s", .string), ("i", .int)]))
      .evaluate(columns, count: 3, failures: &failures)
    guard case .string(let strings) = result.values else { return #expect(Bool(false), "not strings") }
    #expect(strings.range(of: 0).count == 100 << 20)
    #expect(strings[1] == "none" && strings[2] == "b")
  }

  @Test("Timestamps at the ends of the range do not trap")
  func extremeTimestamps() throws {
    let ends: [Int64] = [.min, .min + 1, .max, .max - 1, 0, -1, -9_223_372_022_400_000_000]
    let columns = [
      Column(.timestamp, ends.map { .timestamp($0) }), Column(.timestamp, ends.reversed().map { .timestamp($0) }),
    ]
    let scope = Scope([("a", .timestamp), ("b", .timestamp)])
    var failures = 0
    for unit in ["second", "minute", "hour", "day", "week", "month", "quarter", "year"] {
      for text in [
        "date_part('\(unit)', a)", "date_trunc('\(unit)', a)", "date_diff('\(unit)', a, b)", "CAST(a AS VARCHAR)",
      ] {
        _ = try Expression(text, scope: scope).evaluate(columns, count: ends.count, failures: &failures)
      }
    }
    #expect(failures > 0)
  }
}
