// The rule behind an expected value: an event is an anomaly when what it took is far above what was to be expected of it,
// as a ratio, as a difference, or in rank among its entity's events. Predictions come from boosted trees or from anywhere
// else; the rule sees numbers alone.

/// Judges actual values by predicted ones. All amounts are in the unit of the target.
public struct ExpectedValueRule: Sendable, Hashable {
  /// What makes an event an anomaly.
  public enum Clause: String, Sendable, Hashable, CaseIterable {
    /// Actual by expected.
    case ratio
    /// Actual less expected.
    case delta
    /// Actual above its entity's high quantile of actual values while expected is not above that of expected ones.
    case misrank
  }

  /// What is said of one event.
  public struct Judgement: Sendable, Hashable {
    /// 0 below the floor; else the largest of ratio by its bound, difference by its bound, and 1 where the ranks disagree.
    public var score: Double
    /// What the score comes from, the first of equals in the order of `Clause`; nil below the floor.
    public var clause: Clause?

    public init(score: Double, clause: Clause?) {
      self.score = score
      self.clause = clause
    }
  }

  public let definition: ExpectedValueDefinition

  public init(_ definition: ExpectedValueDefinition) { self.definition = definition }

  /// What is to be expected: the largest of both predictions and of the least that is believed.
  /// - Parameters:
  ///   - mean: predicted mean of log1p(target).
  ///   - quantile: predicted quantile of log1p(target).
  public func expected(mean: Double, quantile: Double) -> Double {
    // The logarithm is monotonous, so the larger one need be taken back only. A prediction that is not a number counts
    // for nothing.
    let higher = quantile > mean || mean.isNaN ? quantile : mean
    let expected = MathFunctions.expm1(higher)
    return expected > definition.leastExpected ? expected : definition.leastExpected
  }

  /// The same for many events.
  public func expected(means: [Double], quantiles: [Double]) -> [Double] {
    precondition(means.count == quantiles.count, "predictions differ in number")
    return means.indices.map { expected(mean: means[$0], quantile: quantiles[$0]) }
  }

  /// Judges one event.
  /// - Parameters:
  ///   - actual: the target; NaN where it is missing.
  ///   - ranks: the quantiles of the event's entity; nil where there are none.
  public func judge(actual: Double, expected: Double, ranks: EntityQuantiles.Pair?) -> Judgement {
    guard actual >= definition.floor else { return Judgement(score: 0, clause: nil) }
    var judgement = Judgement(score: actual / expected / definition.ratio, clause: .ratio)
    let delta = (actual - expected) / definition.delta
    if delta > judgement.score { judgement = Judgement(score: delta, clause: .delta) }
    if let ranks, actual > ranks.actual, expected <= ranks.expected, judgement.score < 1 {
      judgement = Judgement(score: 1, clause: .misrank)
    }
    // Keeps scores finite whatever the values.
    if !(judgement.score < Limits.maxRuleScore) { judgement.score = Limits.maxRuleScore }
    return judgement
  }

  /// The raw scores of many events.
  /// - Parameters:
  ///   - entities: the entity of each event; empty where there are none.
  public func scores(
    actual: [Double], expected: [Double], entities: [UInt64?] = [], quantiles: EntityQuantiles = EntityQuantiles()
  ) -> [Double] {
    precondition(actual.count == expected.count, "actual and expected values differ in number")
    precondition(entities.isEmpty || entities.count == actual.count, "entities and values differ in number")
    return actual.indices.map { row in
      let ranks = actual[row] >= definition.floor && !entities.isEmpty ? quantiles[entities[row]] : nil
      return judge(actual: actual[row], expected: expected[row], ranks: ranks).score
    }
  }

  /// What happened, in a sentence without a full stop.
  /// - Parameter threshold: what the score had to exceed, which a budget decides; 1 without one.
  func reason(
    _ judgement: Judgement, target: String, actual: Double, expected: Double, ranks: EntityQuantiles.Pair?,
    threshold: Double = 1
  ) -> String {
    func bound(_ name: String, _ value: Double) -> String {
      "(\(name) \(number(value * threshold))\(threshold == 1 ? "" : " by the budget"))"
    }
    func number(_ value: Double) -> String { RuleText.number(value) }
    let head = "\(target) = \(number(actual)), expected \(number(expected))"
    switch judgement.clause {
    case nil: return head
    case .ratio: return "\(head): \(number(actual / expected)) times as much \(bound("ratio", definition.ratio))"
    case .delta: return "\(head): \(number(actual - expected)) more \(bound("delta", definition.delta))"
    case .misrank:
      let levels = definition.misrank ?? ExpectedValueDefinition.Misrank()
      guard let ranks else { return head }
      return "\(head): actual is above the \(number(levels.actual)) quantile of its entity, \(number(ranks.actual)), "
        + "while expected is not above the \(number(levels.expected)) quantile, \(number(ranks.expected)) (misrank)"
    }
  }
}
