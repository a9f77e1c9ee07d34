// The plainest detector: every event that meets a condition is a finding. It looks at one event at a time and keeps
// nothing, so any worker can run it.

/// A rule of `when` alone.
public struct StatelessRule: StatelessDetector {
  let rule: RuleHead
  let when: Expression

  /// Name of the rule.
  public var name: String { rule.name }

  /// The columns the rule reads, by index in the batch.
  public var columns: Set<Int> { when.columns.union(rule.template.columns) }

  public func detect(in batch: EventBatch, into findings: inout [Finding], counts: inout DetectorCounts) {
    let matches = when.matches(batch.columns, count: batch.count, failures: &counts.failures)
    matches.forEachSet { row in
      findings.append(rule.finding(in: batch, row: row, score: 1, range: nil, aggregate: { _ in .null }))
    }
  }
}

/// What all kinds of rules have in common: who finds, and how a finding is told.
struct RuleHead: Sendable {
  /// A value that an explanation lists.
  enum Evidence: Sendable, Hashable {
    case column(Int, name: String)
    case aggregate(Int, text: String)
  }

  let name: String
  let severity: Severity
  /// The condition as it is written.
  let clause: String
  let template: ReasonTemplate
  /// What the condition looks at.
  let evidence: [Evidence]

  /// The columns that a finding tells.
  var columns: Set<Int> {
    evidence.reduce(into: template.columns) { if case .column(let index, _) = $1 { $0.insert(index) } }
  }

  /// A finding. Its explanation is the clause. Of the values the clause looks at, each contributes an equal share of
  /// the score: a condition is true as a whole, and as with every detector the contributions add up to the score.
  func finding(
    in batch: EventBatch, row: Int, score: Double, range: ClosedRange<Double>?, aggregate: (Int) -> Scalar
  ) -> Finding {
    let share = score / Double(max(evidence.count, 1))
    let contributions = evidence.map { evidence in
      switch evidence {
      case .column(let index, let name):
        let value = RuleText.explained(batch.columns[index][row])
        return Explanation.Contribution(feature: name, value: value, contribution: share)
      case .aggregate(let index, let text):
        return Explanation.Contribution(feature: text, value: aggregate(index), contribution: share)
      }
    }
    return Finding(
      row: row, detector: name, score: score, severity: severity,
      reason: template.render(column: { batch.columns[$0][row] }, aggregate: aggregate),
      explanation: Explanation(contributions: contributions, range: range, clause: clause))
  }
}
