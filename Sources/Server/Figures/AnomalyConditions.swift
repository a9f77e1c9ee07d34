// Conditions whose numbers of matches advice names: of an anomaly it is worked out once which of them it meets, when it comes.

import Detection
import Pipeline

/// Conditions over events, by the detector whose anomalies they are asked of.
struct AnomalyConditions: Sendable {
  /// As they are written, in the order of their bits.
  let texts: [String: [String]]
  private let expressions: [String: [Detection.Expression]]
  private let plan: Plan

  /// Conditions of a detector at most: each has a bit.
  static let most = 64

  /// - Precondition: no detector has more than `most`.
  /// - Throws: `ExpressionError` where one is none.
  init(_ texts: [String: [String]], of plan: Plan) throws {
    precondition(texts.values.allSatisfy { $0.count <= Self.most }, "a condition has no bit")
    self.texts = texts
    self.plan = plan
    expressions = try texts.mapValues { conditions in
      try conditions.map { try Detection.Expression($0, scope: plan.scope, expected: .bool) }
    }
  }

  /// Which conditions each of some anomalies meets, a bit for each.
  func matches(_ anomalies: [StoredAnomaly]) -> [UInt64] {
    var matches = [UInt64](repeating: 0, count: anomalies.count)
    for (detector, expressions) in expressions {
      let found = anomalies.indices.filter { anomalies[$0].detector == detector }
      if found.isEmpty { continue }
      let raw = RawBatch(found.map { Array(anomalies[$0].event.utf8) }, from: "stored")
      var (batch, failures) = (Decoder(schema: plan.schema.rendered).decode(raw).events, 0)
      plan.extend(&batch, failures: &failures)
      for (bit, expression) in expressions.enumerated() {
        let rows = expression.matches(batch.columns, count: batch.count, failures: &failures)
        // The offset of a record is its number among those that were asked for: some may have another schema's form.
        for row in 0..<batch.count where rows[row] {
          matches[found[Int(batch.positions.offsets[row])]] |= UInt64(1) << UInt64(bit)
        }
      }
    }
    return matches
  }
}
