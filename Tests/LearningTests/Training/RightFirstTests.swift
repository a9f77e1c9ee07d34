// With one faulty feature in simulated queries, each in turn, the explanation of the trained forest names it first.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

@Suite struct RightFirstTests {
  private static let rowsPerFeature = 60

  /// How often the largest of a row's credits is that of the feature that was set so many standard deviations from its
  /// mean, on the side where it has its longer tail.
  private func hits(
    _ history: FeatureMatrix, _ fresh: FeatureMatrix, in columns: [Int], deviations: Double,
    _ credit: ([Float]) -> [Double]
  ) -> (share: Double, byFeature: [String: Int]) {
    var byFeature: [String: Int] = [:]
    for faulty in columns {
      let values = history.column(faulty).filter(\.isFinite).map { Double($0) }
      let mean = values.reduce(0, +) / Double(values.count)
      let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
      let skew = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) * ($1 - mean) }
      for index in 0..<Self.rowsPerFeature {
        var row = fresh.row(index * (fresh.rowCount / Self.rowsPerFeature))
        row[faulty] = Float(mean + (skew < 0 ? -deviations : deviations) * deviation)
        let parts = credit(row)
        if parts.firstIndex(of: parts.max() ?? 0) == faulty { byFeature[history.names[faulty], default: 0] += 1 }
      }
    }
    let share = Double(byFeature.values.reduce(0, +)) / Double(Self.rowsPerFeature * columns.count)
    return (share, byFeature)
  }

  @Test func `the faulty one of sixteen features is first in 90 of 100 or more, not so with permuted trees`() throws {
    // Without the detector that takes long to train.
    let plan = try SimulatedHistory.plan { text in
      if let start = text.range(of: "  # Queries that take far longer than"),
        let end = text.range(of: "  # Queries unlike all others")
      {
        text.removeSubrange(start.lowerBound..<end.lowerBound)
      }
    }
    #expect(plan.detectors.map(\.name) == ["outlier"])
    let history = try SimulatedHistory(days: 6, perDay: 15_000, seed: 8, plan: plan)
    let detector = plan.detectors[0]
    #expect(detector.features.inputs.count == 16)
    // The code of the fingerprint's frequency is one of four, and each is ordinary: it cannot be far off.
    let columns = detector.features.inputs.indices.filter { detector.features.inputs[$0].encoder == nil }
    #expect(columns.count == 15)
    for seed: UInt64 in [1, 2, 3] {
      let model = try #require(try history.train(plan, seed: seed).models["outlier"])
      guard case .isolationForest(let forest) = model.scorer else { preconditionFailure("not a forest") }
      let usual = try #require(model.usualContributions)
      func matrix(_ history: SimulatedHistory) -> FeatureMatrix {
        FeatureMatrix(
          joining: history.batches.map { batch in
            var (batch, failures) = (batch, 0)
            plan.extend(&batch, failures: &failures)
            return detector.features.matrix(
              of: batch, rows: detector.scoredRows(of: batch, failures: &failures).setRows, encoders: model.encoders)
          })
      }
      let (old, fresh) = (matrix(history.days(0..<4)), matrix(history.days(5..<6)))
      var permuted = forest.trees
      for index in permuted.nodes.indices where !permuted.nodes[index].isLeaf {
        permuted.nodes[index].feature = (permuted.nodes[index].feature + 1) % Int32(permuted.featureCount)
      }
      let other = IsolationForest(trees: permuted, sampleSize: forest.sampleSize)
      let otherUsual = UsualContributions(of: other, old)
      for deviations in [8.0, 12, 20] {
        let right = hits(old, fresh, in: columns, deviations: deviations) {
          usual.relative(forest.contributions(of: $0).byFeature)
        }
        let plain = hits(old, fresh, in: columns, deviations: deviations) { forest.contributions(of: $0).byFeature }
        let wrong = hits(old, fresh, in: columns, deviations: deviations) {
          otherUsual.relative(other.contributions(of: $0).byFeature)
        }
        #expect(right.share >= 0.9, "\(deviations) standard deviations, seed \(seed): \(right)")
        #expect(plain.share >= 0.9 && right.share > plain.share, "\(plain.share) by contributions alone")
        #expect(wrong.share < 0.85, "\(wrong.share) with permuted trees")
      }
    }
  }
}
