// Why a model gave an event its score. What contributions add up to is said by the type of detector. Credit goes to the fields
// of the event: an input that is computed from several shares its own among them equally. Fields stand in the order of
// their contributions, by what is usual of them where that is known.

/// The score of one event, taken apart.
public struct LearnedExplanation: Sendable, Hashable {
  /// What one input of the model added.
  public struct InputContribution: Sendable, Hashable {
    public var input: String
    /// What the model saw; NaN for missing.
    public var value: Float
    public var contribution: Double
  }

  /// Row of the event in its batch.
  public var row: Int
  public var raw: Double
  /// 1 is the threshold.
  public var score: Double
  /// What the contributions start from: with them it adds up to log2(raw score) for a forest, to the log1p prediction that
  /// was the higher one for an expected value, and to nothing for a model that is not taken apart.
  public var base: Double
  /// By input, in the order of the matrix.
  public var inputs: [InputContribution]
  /// By field of the event, the most important first; fields without a contribution are left out.
  public var fields: [Explanation.Contribution]
  /// For an expected value: what was expected, and the clause with the largest part in the score.
  public var expected: Double?
  public var clause: String?
  /// A sentence with the numbers.
  public var reason: String
}

extension LearnedDetector {
  /// Explains the score of any event of a derived batch; nil when the detector does not score it.
  public func explain(row: Int, of batch: EventBatch) -> LearnedExplanation? {
    var failures = 0
    // One event is scored as it was in its batch: a score is a function of the event alone.
    let alone = batch.filtered(Bitmap(count: batch.count) { $0 == row })
    let scored = score(alone, needsMatrix: false, failures: &failures)
    guard let raw = scored.raw.first else { return nil }
    var explanation = explanation(of: 0, raw: raw, score: calibrated(raw).score, in: alone)
    explanation.row = row
    return explanation
  }

  /// The explanation of one of the scored events. Of that event alone what the model saw is made again: few are explained.
  func explanation(of row: Int, raw: Double, score: Double, in batch: EventBatch) -> LearnedExplanation {
    var event = ScoringRows(batch, rows: [row], of: plan, encoders: model.encoders)
    let values = event.matrix().row(0)
    let why = model.scorer.explanation(of: &event, raw: raw, threshold: budgetThreshold, by: plan.definition)
    let fields = credit(why.byInput, row: row, in: batch, byMagnitude: why.isByMagnitude)
    let named = fields.prefix(3).map { part in
      let sign = part.contribution > 0 ? "+" : ""
      return "\(part.feature) = \(RuleText.text(of: part.value)) (\(sign)\(RuleText.rounded(part.contribution)))"
    }.joined(separator: ", ")
    return LearnedExplanation(
      row: row, raw: raw, score: score, base: why.base,
      inputs: plan.features.inputs.indices.map {
        .init(input: plan.features.inputs[$0].name, value: values[$0], contribution: why.byInput[$0])
      },
      fields: fields, expected: why.expected, clause: why.clause,
      reason: why.lead.map { named.isEmpty ? why.reason : "\(why.reason); \($0) \(named)" } ?? why.reason)
  }

  func finding(_ explanation: LearnedExplanation, in batch: EventBatch) -> Finding {
    Finding(
      row: explanation.row, detector: name, score: explanation.score, severity: plan.definition.severity,
      reason: explanation.reason,
      explanation: Explanation(
        contributions: explanation.fields, expected: explanation.expected, clause: explanation.clause),
      model: model.version)
  }

  /// Contributions by field: those first that made the event anomalous, in an unusual way where that is known; or the
  /// largest in either direction.
  private func credit(
    _ contributions: [Double], row: Int, in batch: EventBatch, byMagnitude: Bool
  ) -> [Explanation.Contribution] {
    var sums: [Int: (contribution: Double, rank: Double)] = [:]
    let ranks = model.usualContributions?.relative(contributions) ?? contributions
    for (index, input) in plan.features.inputs.enumerated() {
      for field in input.fields {
        sums[field, default: (0, 0)].contribution += contributions[index] / Double(input.fields.count)
        sums[field, default: (0, 0)].rank += ranks[index] / Double(input.fields.count)
      }
    }
    func place(_ rank: Double) -> Double { byMagnitude ? rank.magnitude : rank }
    return sums.filter { $0.value.contribution != 0 }
      .sorted { (place($1.value.rank), $0.key) < (place($0.value.rank), $1.key) }
      .map { field, sum in
        Explanation.Contribution(
          feature: plan.fieldNames[field], value: RuleText.explained(batch.columns[field][row]),
          contribution: sum.contribution)
      }
  }
}
