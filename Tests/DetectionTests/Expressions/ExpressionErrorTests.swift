// What is said about a text that is not an expression: the place, what was expected and found, the nearest name.

import Detection
import Testing

@Suite("Errors in expressions")
struct ExpressionErrorTests {
  @Test(
    "Place and content",
    arguments: [
      ("i +", 3, "a value", "the end of the text"), ("i + + ", 6, "a value", "the end of the text"),
      ("(i", 2, ") or an operator", "the end of the text"), ("i i", 2, "an operator or the end of the expression", "i"),
      ("i > 1 > 2", 6, nil, ">"), ("'abc", 0, "the end of the string", "the end of the text"),
      ("i + s", 4, "a number for +", "VARCHAR"), ("s = 1", 4, "VARCHAR", "BIGINT"), ("b AND i", 6, "BOOLEAN", "BIGINT"),
      ("at - at", 0, "a number for -", "TIMESTAMP"), ("at = '2024-01-01'", 5, "TIMESTAMP", "VARCHAR"),
      ("s LIKE 'a!' ESCAPE '!'", 7, nil, nil), ("9223372036854775808", 0, nil, "9223372036854775808"),
      ("i + 99999999999999999999999", 4, nil, nil), ("CASE i WHEN 1 THEN 2", 20, "WHEN, ELSE or END", nil),
      ("CASE END", 5, "a value", "END"), ("i IN ()", 6, "a value", ")"),
      ("i NOT 1", 6, "IN, BETWEEN, LIKE or ILIKE", "1"),
      ("i IS 5", 5, "NULL, TRUE, FALSE or DISTINCT FROM", "5"), ("CAST(i AS INT)", 10, nil, "INT"),
      ("CAST(at AS BIGINT)", 5, nil, "TIMESTAMP"), ("x // 2", 0, "BIGINT operands for //", "DOUBLE"),
      ("i -- 1", 2, nil, nil), ("i & 1", 2, nil, "&"), ("12abc", 2, nil, "a"), ("1e", 1, nil, nil),
      ("length(1)", 7, nil, nil), ("length()", 0, nil, nil), ("TIMESTAMP 'yesterday'", 10, nil, nil),
      ("TIMESTAMP '2024-01-01 00:00:00+02:00'", 10, nil, nil), ("coalesce(i, s)", 12, "BIGINT", "VARCHAR"),
      ("CASE WHEN b THEN i ELSE s END", 24, "BIGINT", "VARCHAR"), ("", 0, "a value", "the end of the text"),
      ("ümlaut = 1", 0, "a known column", "ümlaut"), ("'ü' = i", 7, "VARCHAR", "BIGINT"), ("2 ^ 3", 2, nil, nil),
    ] as [(String, Int, String?, String?)])
  func places(text: String, offset: Int, expected: String?, found: String?) {
    let error = ExpressionFixture.error(text)
    #expect(error.offset == offset, "\(error)")
    if let expected { #expect(error.expected == expected) }
    if let found { #expect(error.found == found) }
    #expect(!error.message.isEmpty)
  }

  @Test(
    "The nearest name",
    arguments: [
      ("payload.amnt > 1", "payload.amount"), ("lenght(s)", "length"), ("Payload.amount > 1", "payload.amount"),
      ("date_trunc('dya', at)", "day"), ("log(x)", "ln, log10 or log2 (the base of log differs between systems)"),
      ("CAST(i AS DUOBLE)", "DOUBLE"), ("CAST(i AS INTEGER)", "BIGINT"),
      ("at - at", "date_diff('second', a, b), or epoch_us(…)"),
      ("substr(s, 1)", "substring"),
    ])
  func suggestions(text: String, suggestion: String) {
    #expect(ExpressionFixture.error(text).suggestion == suggestion)
  }

  @Test("A name that resembles nothing has no suggestion")
  func noSuggestion() { #expect(ExpressionFixture.error("completely_different > 1").suggestion == nil) }

  @Test("The type that was asked for")
  func expectedType() throws {
    let error = ExpressionFixture.error("i + 1", expected: .bool)
    #expect(error.expected == "BOOLEAN" && error.found == "BIGINT" && error.offset == 0 && error.length == 5)
    #expect(try Expression("i", scope: ExpressionFixture.scope, expected: .double).type == .double)
    #expect(try Expression("NULL", scope: ExpressionFixture.scope, expected: .string).type == .string)
  }

  @Test("Nesting is bounded, whatever makes it deep")
  func nesting() throws {
    let deep = 10_000
    for text in [
      String(repeating: "(", count: deep),
      String(repeating: "(", count: deep) + "1" + String(repeating: ")", count: deep),
      String(repeating: "NOT ", count: deep) + "b", String(repeating: "- ", count: deep) + "i",
      "1" + String(repeating: " + 1", count: deep), "s" + String(repeating: " || s", count: deep),
      String(repeating: "abs(", count: deep) + "1", String(repeating: "CASE WHEN ", count: deep / 2),
      "1" + String(repeating: "::BIGINT", count: deep / 2), String(repeating: "+ ", count: deep) + "i",
    ] {
      let error = ExpressionFixture.error(text)
      #expect(error.message.contains("levels of nesting"), "\(error)")
    }
    // A long chain of AND or OR is not deep, and depth within the bound is fine.
    _ = try Expression("b" + String(repeating: " AND b", count: 5_000), scope: ExpressionFixture.scope)
    _ = try Expression(
      String(repeating: "(", count: 150) + "i" + String(repeating: ")", count: 150), scope: ExpressionFixture.scope)
    #expect(ExpressionFixture.error(String(repeating: " ", count: 70_000)).offset == 65_536)
  }
}
