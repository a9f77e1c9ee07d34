// Aggregates: which calls are found, their types and canonical texts, and what is refused.

import Detection
import Testing

@Suite("Aggregate expressions")
struct AggregateExpressionTests {
  private let scope = ExpressionFixture.scope

  private func make(_ text: String, allowed: Set<AggregateFunction> = Set(AggregateFunction.allCases))
    throws(ExpressionError) -> AggregateExpression
  { try AggregateExpression(text, scope: scope, allowed: allowed) }

  @Test("Calls in order of appearance, each once")
  func calls() throws {
    let having = try make("count(*) > 10 AND sum( i ) / COUNT( * ) >= 3 OR sum(i) > avg(i + j)")
    #expect(having.aggregates.map(\.text) == ["count(*)", "sum(i)", "avg(i + j)"])
    #expect(having.aggregates.map(\.type) == [.int, .int, .double])
    #expect(having.expression.type == .bool)
    #expect(having.singleCall == nil)
    #expect(having.aggregates[0].argument == nil)
    #expect(having.aggregates[2].argument?.type == .double)
    var failures = 0
    let results = [
      Column(.int, [.int(11), .int(1)]), Column(.int, [.int(40), .int(5)]), Column(.double, [.double(50), .double(4)]),
    ]
    let rows = having.expression.matches(results, count: 2, failures: &failures)
    #expect(ExpressionFixture.rows(rows) == [0, 1])
  }

  @Test("A single call")
  func single() throws {
    let quantile = try #require(try make("quantile(payload.amount, 0.99)").singleCall)
    #expect(quantile.function == .quantile)
    #expect(quantile.fraction == 0.99)
    #expect(quantile.text == "quantile(payload.amount, 0.99)")
    #expect(quantile.argument?.columns == [9])
    let top = try #require(try make("top_k(s, 5)").singleCall)
    #expect(top.function == .topK && top.limit == 5 && top.type == .string && top.text == "top_k(s, 5)")
    #expect(try make("count(DISTINCT s)").singleCall?.text == "distinct(s)")
    #expect(try make("count(DISTINCT s) = distinct(s)").aggregates.count == 1)
    #expect(try make("last(s)").singleCall?.type == .string)
    #expect(try make("max(at)").singleCall?.type == .timestamp)
    #expect(try make("rate(*)").singleCall?.type == .double)
    #expect(try make("count(*) + 1").singleCall == nil)
    #expect(try make("quantile(i, 1)").singleCall?.fraction == 1)
    #expect(try make("sum(coalesce(i, 0))").singleCall?.text == "sum(coalesce(i, 0))")
  }

  @Test("The canonical text is a text with the same meaning")
  func canonical() throws {
    for text in [
      "sum(i+j*2)", "min(CASE WHEN b THEN x END)", "first(s || 'a''b')", "avg(\"payload.amount\" - 1)", "count(at)",
    ] {
      let first = try #require(try make(text).singleCall)
      let second = try #require(try make(first.text).singleCall)
      #expect(first.text == second.text)
      #expect(first.type == second.type)
    }
  }

  @Test(
    "Refusals",
    arguments: [
      ("i + 1", 0, "an aggregate such as count(*)"), ("count(*) > i", 11, "an aggregate"),
      ("sum(avg(i))", 4, "a function of one event"), ("sum(s)", 4, "sum(BIGINT) → BIGINT or sum(DOUBLE) → DOUBLE"),
      ("quantile(x, i)", 12, nil), ("quantile(x, 1.5)", 12, "a fraction from 0 to 1"), ("count()", 0, nil),
      ("top_k(x)", 0, nil), ("top_k(x, i)", 9, nil), ("top_k(x, 0)", 9, "a number of values from 1 to 64"),
      ("top_k(x, 65)", 9, "a number of values from 1 to 64"), ("sum(*)", 0, nil),
      ("sum(DISTINCT i)", 0, "count(DISTINCT x) with one value"),
    ] as [(String, Int, String?)])
  func refusals(text: String, offset: Int, expected: String?) {
    #expect {
      _ = try make(text)
    } throws: { error in
      guard let error = error as? ExpressionError else { return false }
      if error.offset != offset { Issue.record("\(text): \(error)") }
      return error.offset == offset && (expected == nil || error.expected == expected)
    }
  }

  @Test("An aggregate that is not allowed, and one in a scalar expression")
  func notAllowed() {
    #expect { _ = try make("quantile(x, 0.5)", allowed: [.count, .sum]) } throws: {
      ($0 as? ExpressionError)?.expected == "one of count, sum"
    }
    let error = ExpressionFixture.error("1 + count(*)")
    #expect(error.offset == 4)
    #expect(error.found == "the aggregate count")
  }
}
