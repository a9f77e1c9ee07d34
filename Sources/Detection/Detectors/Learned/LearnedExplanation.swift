// Why a model gave an event its score. A forest's contributions add up to the base-2 logarithm of the score, boosted
// trees' to the logarithm of what was expected: they explain the expectation, and the reason says what happened. Credit
// goes to the fields of the event: an input that is computed from several shares its own among them equally. Fields stand
// in the order of their contributions, for a forest by what is usual of them.

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
  /// What the contributions start from: with them it adds up to log2(raw score) for a forest, and to the log1p
  /// prediction that was the higher one for an expected value. 0 for an external model, which is not taken apart.
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
    var explanation = explanation(of: scored, at: 0, score: calibrated(raw).score, in: alone)
    explanation.row = row
    return explanation
  }

  /// The explanation of one of the scored events.
  func explanation(of scored: Scored, at ordinal: Int, score: Double, in batch: EventBatch) -> LearnedExplanation {
    let row = scored.rows[ordinal]
    let raw = scored.raw[ordinal]
    let matrix = plan.features.matrix(of: batch, rows: [row], encoders: model.encoders)
    let values = matrix.row(0)
    var parts = PathContributions(base: 0, byFeature: values.map { _ in 0 })
    var candidate: Candidate?
    switch model.scorer {
    case .isolationForest(let forest): parts = forest.contributions(of: values)
    case .expectedValue(let expectation):
      candidate = scored.candidates.first { $0.ordinal == ordinal }
      parts = expectation.trees.pathContributions(of: values)[candidate?.output ?? 0]
    case .external: break
    }
    let fields = credit(parts.byFeature, row: row, in: batch, byMagnitude: candidate != nil)
    return LearnedExplanation(
      row: row, raw: raw, score: score, base: parts.base,
      inputs: plan.features.inputs.indices.map {
        .init(input: plan.features.inputs[$0].name, value: values[$0], contribution: parts.byFeature[$0])
      },
      fields: fields, expected: candidate?.expected, clause: candidate?.judgement.clause?.rawValue,
      reason: reason(raw: raw, score: score, fields: fields, candidate: candidate))
  }

  func finding(_ explanation: LearnedExplanation, in batch: EventBatch) -> Finding {
    Finding(
      row: explanation.row, detector: name, score: explanation.score, severity: plan.definition.severity,
      reason: explanation.reason,
      explanation: Explanation(
        contributions: explanation.fields, expected: explanation.expected, clause: explanation.clause),
      model: model.version)
  }

  /// Contributions by field: for a forest those first that made the event anomalous in an unusual way, else the largest in
  /// either direction.
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

  /// What happened with its numbers, and the three fields that had the largest part.
  private func reason(
    raw: Double, score: Double, fields: [Explanation.Contribution], candidate: Candidate?
  ) -> String {
    let named = fields.prefix(3).map { part in
      let sign = part.contribution > 0 ? "+" : ""
      let amount = RuleText.number(rounded(part.contribution))
      return "\(part.feature) = \(RuleText.text(of: part.value)) (\(sign)\(amount))"
    }.joined(separator: ", ")
    switch plan.definition.kind {
    case .expectedValue(let definition):
      guard let candidate else { return "\(definition.target.text) is below \(RuleText.number(definition.floor))" }
      let head = ExpectedValueRule(definition).reason(
        candidate.judgement, target: definition.target.text, actual: candidate.actual, expected: candidate.expected,
        ranks: candidate.ranks, threshold: budgetThreshold ?? 1)
      return named.isEmpty ? head : "\(head); expected from \(named)"
    case .isolationForest:
      let head = "unlike other events: score \(RuleText.number(rounded(raw)))"
      let bound = budgetThreshold.map { ", threshold \(RuleText.number(rounded($0)))" } ?? ""
      return head + bound + (named.isEmpty ? "" : "; mostly for \(named)")
    case .onnx(let definition):
      return "score \(RuleText.number(raw)), threshold \(RuleText.number(definition.threshold))"
    }
  }

  /// To three decimals, for people.
  private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
