// The rule of expected values at its bounds, and the quantiles of entities against a brute-force reference.

import Foundation
import TestKit
import Testing

@testable import Detection

@Suite struct ExpectedValueRuleTests {
  private let rule = ExpectedValueRule(ExpectedValueDefinition(target: LocatedText("ms")))

  @Test func `the higher prediction is expected and at least a millisecond`() {
    #expect(rule.expected(mean: log1p(50), quantile: log1p(80)) == expm1(log1p(80)))
    #expect(rule.expected(mean: log1p(90), quantile: log1p(80)) == expm1(log1p(90)))
    #expect(rule.expected(mean: -3, quantile: 0.1) == 1)
    #expect(rule.expected(mean: .nan, quantile: .nan) == 1)
    #expect(rule.expected(mean: .nan, quantile: log1p(7)) == expm1(log1p(7)))
    #expect(rule.expected(means: [0, 5], quantiles: [0, 4]) == [1, expm1(5)])
  }

  @Test(
    arguments: [
      // actual, expected, score, clause
      (59_999.999, 1.0, 0.0, nil), (60_000, 6_000, 1, .ratio), (60_000, 6_000.001, nil, .ratio),
      (180_000, 60_000, 1, .delta), (179_999, 60_000, nil, .delta), (600_000, 30_000, 570.0 / 120, .delta),
      (61_000, 61_000, 0.1, .ratio), (1e300, 1, 1e9, .ratio), (.nan, 1, 0, nil), (60_000, .infinity, 0, .ratio),
      (60_000, 1, 6_000, .ratio),
    ] as [(Double, Double, Double?, ExpectedValueRule.Clause?)])
  func bounds(_ actual: Double, _ expected: Double, _ score: Double?, _ clause: ExpectedValueRule.Clause?) {
    let judgement = rule.judge(actual: actual, expected: expected, ranks: nil)
    if let score { #expect(judgement.score == score) } else { #expect(judgement.score < 1) }
    #expect(judgement.clause == clause)
  }

  @Test func `ranks that disagree are an anomaly of their own`() {
    let ranks = EntityQuantiles.Pair(actual: 70_000, expected: 40_000)
    func judge(_ actual: Double, _ expected: Double) -> ExpectedValueRule.Judgement {
      rule.judge(actual: actual, expected: expected, ranks: ranks)
    }
    #expect(judge(70_001, 40_000) == .init(score: 1, clause: .misrank))
    #expect(judge(70_000, 40_000).score < 1 && judge(70_001, 40_001).score < 1)
    // A ratio or difference above 1 says more.
    #expect(judge(500_000, 40_000) == .init(score: 460.0 / 120, clause: .delta))
    #expect(
      rule.judge(actual: 50_000, expected: 1, ranks: .init(actual: 1, expected: 2)).clause == nil, "below the floor")
  }

  @Test func `reasons name the clause with the numbers`() {
    func reason(_ actual: Double, _ expected: Double, _ ranks: EntityQuantiles.Pair? = nil) -> String {
      let judgement = rule.judge(actual: actual, expected: expected, ranks: ranks)
      return rule.reason(judgement, target: "ms", actual: actual, expected: expected, ranks: ranks)
    }
    #expect(reason(80_000, 2_000) == "ms = 80000, expected 2000: 40 times as much (ratio 10)")
    #expect(reason(240_000, 60_000) == "ms = 240000, expected 60000: 180000 more (delta 120000)")
    #expect(
      reason(70_001, 40_000, .init(actual: 70_000, expected: 40_000))
        == "ms = 70001, expected 40000: actual is above the 0.99 quantile of its entity, 70000, "
        + "while expected is not above the 0.9 quantile, 40000 (misrank)")
    // A budget moves the bounds.
    let judgement = rule.judge(actual: 80_000, expected: 2_000, ranks: nil)
    #expect(
      rule.reason(judgement, target: "ms", actual: 80_000, expected: 2_000, ranks: nil, threshold: 2.5)
        == "ms = 80000, expected 2000: 40 times as much (ratio 25 by the budget)")
  }

  @Test func `many events are scored as one is`() {
    var random = SeededRandom(seed: 3)
    let count = 2_000
    let actual = (0..<count).map { _ in pow(10, Double.random(in: 3..<5.2, using: &random)) }
    let expected = (0..<count).map { _ in pow(10, Double.random(in: 0..<5, using: &random)) }
    let entities: [UInt64?] = (0..<count).map { $0 % 7 == 0 ? nil : UInt64($0 % 5) }
    let misrank = ExpectedValueDefinition.Misrank(actual: 0.9, expected: 0.9, minRows: 100)
    let quantiles = EntityQuantiles.fit(entities: entities, actual: actual, expected: expected, misrank: misrank)
    #expect(quantiles.count == 5)
    let scores = rule.scores(actual: actual, expected: expected, entities: entities, quantiles: quantiles)
    for row in 0..<count {
      let ranks = quantiles[entities[row]]
      var wanted = 0.0
      if actual[row] >= 60_000 {
        wanted = max(actual[row] / expected[row] / 10, (actual[row] - expected[row]) / 120_000)
        if let ranks, actual[row] > ranks.actual, expected[row] <= ranks.expected { wanted = max(wanted, 1) }
      }
      #expect(scores[row] == wanted)
      // At least one clause holds exactly when the score is 1 or more.
      #expect((scores[row] >= 1) == (rule.judge(actual: actual[row], expected: expected[row], ranks: ranks).score >= 1))
    }
    #expect(scores.contains(1), "no event is out of rank alone")
  }

  /// x / bound >= 1 exactly when x >= bound, for any bound: the score may be used in place of the clause.
  @Test func `a score of one is the clause`() {
    var random = SeededRandom(seed: 8)
    for _ in 0..<10_000 {
      let bound = Double.random(in: 0.001..<1e6, using: &random)
      #expect(bound.nextDown / bound < 1 && bound / bound == 1 && bound.nextUp / bound >= 1)
    }
  }
}

@Suite struct EntityQuantilesTests {
  @Test func `quantiles interpolate between order statistics`() {
    #expect(EntityQuantiles.quantile([4, 1, 3, 2], 0.5) == 2.5)
    #expect(EntityQuantiles.quantile([4, 1, 3, 2], 0) == 1 && EntityQuantiles.quantile([4, 1, 3, 2], 1) == 4)
    #expect(EntityQuantiles.quantile([7], 0.99) == 7)
    #expect(abs(EntityQuantiles.quantile((0...100).map { Double($0) }, 0.99) - 99) < 1e-9)
  }

  @Test func `entities with too few rows have none`() throws {
    let misrank = ExpectedValueDefinition.Misrank(actual: 0.5, expected: 0.5, minRows: 3)
    let quantiles = EntityQuantiles.fit(
      entities: [9, 9, nil, 9, 4, 4, 9, 4, 4], actual: [1, 2, 50, 3, 1, 1, .nan, 1, 1],
      expected: [10, 20, 50, 30, 2, .infinity, 1, 2, .nan], misrank: misrank)
    #expect(quantiles.count == 1)
    #expect(quantiles[9] == .init(actual: 2, expected: 20))
    #expect(quantiles[4] == nil && quantiles[nil] == nil && EntityQuantiles()[9] == nil)
    let data = try JSONEncoder().encode(quantiles)
    #expect(try JSONDecoder().decode(EntityQuantiles.self, from: data) == quantiles)
    let broken = String(bytes: data, encoding: .utf8)?.replacing("[9]", with: "[9,10]") ?? ""
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(EntityQuantiles.self, from: Data(broken.utf8)) }
    let none = EntityQuantiles.fit(entities: [], actual: [], expected: [], misrank: misrank)
    #expect(none.count == 0)
  }

  @Test func `entities are grouped as by brute force`() {
    var random = SeededRandom(seed: 5)
    let count = 5_000
    let entities = (0..<count).map { _ in UInt64.random(in: 0..<40, using: &random) &* 0x9E37_79B9_7F4A_7C15 }
    let actual = (0..<count).map { _ in Double.random(in: 0..<1, using: &random) }
    let expected = (0..<count).map { _ in Double.random(in: 0..<1, using: &random) }
    let misrank = ExpectedValueDefinition.Misrank(actual: 0.99, expected: 0.9, minRows: 125)
    let quantiles = EntityQuantiles.fit(
      entities: entities, actual: actual, expected: expected, misrank: misrank)
    for entity in Set(entities) {
      let rows = (0..<count).filter { entities[$0] == entity }
      if rows.count < 125 {
        #expect(quantiles[entity] == nil)
      } else {
        #expect(
          quantiles[entity]
            == .init(
              actual: EntityQuantiles.quantile(rows.map { actual[$0] }, 0.99),
              expected: EntityQuantiles.quantile(rows.map { expected[$0] }, 0.9)))
      }
    }
  }
}
