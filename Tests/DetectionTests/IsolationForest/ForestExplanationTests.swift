// Explanations of an isolation forest name the feature that is at fault.

import Foundation
import Testing

@testable import Detection

@Suite("Explanations of an isolation forest")
struct ForestExplanationTests {
  private static let features = 8
  private static let rows = 5000

  /// Columns as events have them: bell-shaped, skewed and rounded, on scales from hundredths to millions, and half of
  /// what varies in one varies in all.
  private static func columns(_ rows: Int, _ random: inout FittingRandom) -> [[Float]] {
    func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + random.nextUnit() } }
    let common = (0..<rows).map { _ in normal() }
    let scales = [1, 1000, 0.01, 50, 1e6]
    return (0..<features).map { feature in
      common.map { shared in
        let value = 0.5.squareRoot() * (shared + normal())
        let shaped =
          switch feature % 4 {
          case 2: exp(value)
          case 3: (value * 3).rounded()
          default: value
          }
        return Float(shaped * scales[feature % scales.count])
      }
    }
  }

  /// How often the feature with the largest contribution is the one that was set `deviations` standard deviations above
  /// its mean, each in turn in 100 new rows.
  private static func hits(_ forest: IsolationForest, _ history: [[Float]], deviations: Double) -> Double {
    var random = FittingRandom(seed: 99)
    let fresh = columns(100, &random)
    var hits = 0
    for faulty in 0..<features {
      let values = history[faulty].map { Double($0) }
      let mean = values.reduce(0, +) / Double(values.count)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
      for index in 0..<100 {
        var row = fresh.map { $0[index] }
        row[faulty] = Float(mean + deviations * variance.squareRoot())
        let credit = forest.contributions(of: row).byFeature
        if credit.firstIndex(of: credit.max() ?? 0) == faulty { hits += 1 }
      }
    }
    return Double(hits) / Double(100 * features)
  }

  @Test("the faulty feature is first in at least 90 of 100, not so with permuted trees", arguments: [5.0, 8, 12])
  func faultyFeature(deviations: Double) {
    var random = FittingRandom(seed: 5)
    let history = Self.columns(Self.rows, &random)
    let names = (0..<Self.features).map { "feature_\($0)" }
    let matrix = FeatureMatrix(names: names, columns: history)
    for seed in 1...3 {
      let forest = IsolationForest.fit(matrix, seed: UInt64(seed))
      let hits = Self.hits(forest, history, deviations: deviations)
      #expect(hits >= 0.9, "\(deviations) standard deviations, seed \(seed)")
      var permuted = forest.trees
      for index in permuted.nodes.indices where !permuted.nodes[index].isLeaf {
        permuted.nodes[index].feature = (permuted.nodes[index].feature + 1) % Int32(Self.features)
      }
      let other = IsolationForest(trees: permuted, sampleSize: forest.sampleSize)
      #expect(Self.hits(other, history, deviations: deviations) < 0.5)
    }
  }
}
