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

  /// `redset` without the detector that takes long to train.
  private static func plan() throws -> Plan {
    let plan = try SimulatedHistory.plan { text in
      if let start = text.range(of: "  # Queries that take far longer than"),
        let end = text.range(of: "  # Queries unlike all others")
      {
        text.removeSubrange(start.lowerBound..<end.lowerBound)
      }
    }
    #expect(plan.detectors.map(\.name) == ["outlier"])
    return plan
  }

  /// The same trees, each test of the next feature instead of its own.
  private static func permuted(_ forest: IsolationForest) -> IsolationForest {
    var trees = forest.trees
    for index in trees.nodes.indices where !trees.nodes[index].isLeaf {
      trees.nodes[index].feature = (trees.nodes[index].feature + 1) % Int32(trees.featureCount)
    }
    return IsolationForest(trees: trees, sampleSize: forest.sampleSize)
  }

  /// A fault in the event itself, which every feature made of the field sees: a thousand times the largest value of six
  /// days, or a list of 5,000 tables. What is named first is what reasons and `pulse explain` show.
  @Test func `the field with a fault is the first one named`() throws {
    let plan = try Self.plan()
    let history = try SimulatedHistory(days: 6, perDay: 15_000, seed: 8, plan: plan)
    let detector = plan.detectors[0]
    let sources = Set(detector.features.inputs.filter { $0.encoder == nil }.flatMap(\.fields)).sorted()
    let fields = plan.schema.fields
    #expect(sources.count == 14)
    for seed: UInt64 in [1, 2, 3] {
      let model = try #require(try history.train(plan, seed: seed).models["outlier"])
      let learned = try LearnedDetector(detector, model: model)
      var blind = model
      guard let forest = model.scorer as? IsolationForest else { preconditionFailure("not a forest") }
      blind.scorer = Self.permuted(forest)
      let permuted = try LearnedDetector(detector, model: blind)
      var (right, all, byChance) = (0, 0, 0)
      var misses: [String: Int] = [:]
      for field in sources {
        let largest =
          history.batches.map { batch in
            switch batch.columns[field].values {
            case .int(let values): values.max().map { Double($0) } ?? 0
            case .double(let values): values.filter(\.isFinite).max() ?? 0
            default: 0.0
            }
          }.max() ?? 0
        for (number, batch) in history.days(5..<6).batches.enumerated() {
          var columns = batch.columns
          switch columns[field].values {
          case .int: columns[field] = Column(.int([Int64](repeating: Int64(largest * 1_000), count: batch.count)))
          case .double: columns[field] = Column(.double([Double](repeating: largest * 1_000, count: batch.count)))
          default:
            let tables = (1...5_000).map(String.init).joined(separator: ",")
            columns[field] = Column(.string(StringColumn([String](repeating: tables, count: batch.count))))
          }
          var failures = 0
          var faulty = EventBatch(
            partition: batch.partition, positions: batch.positions, eventTimes: batch.eventTimes, columns: columns)
          plan.extend(&faulty, failures: &failures)
          for row in stride(from: number % 7, to: batch.count, by: 300) {
            guard let explanation = learned.explain(row: row, of: faulty) else { continue }
            all += 1
            if permuted.explain(row: row, of: faulty)?.fields.first?.feature == fields[field].name { byChance += 1 }
            if explanation.fields.first?.feature == fields[field].name {
              right += 1
            } else {
              misses[fields[field].name, default: 0] += 1
            }
          }
        }
      }
      #expect(all > 500 && Double(right) >= 0.98 * Double(all), "seed \(seed): \(right) of \(all), \(misses)")
      #expect(Double(byChance) < 0.9 * Double(all), "\(byChance) of \(all) with permuted trees")
    }
  }

  @Test func `the faulty one of sixteen features is first in 90 of 100 or more, not so with permuted trees`() throws {
    let plan = try Self.plan()
    let history = try SimulatedHistory(days: 6, perDay: 15_000, seed: 8, plan: plan)
    let detector = plan.detectors[0]
    #expect(detector.features.inputs.count == 16)
    // The code of the fingerprint's frequency is one of four, and each is ordinary: it cannot be far off.
    let columns = detector.features.inputs.indices.filter { detector.features.inputs[$0].encoder == nil }
    #expect(columns.count == 15)
    for seed: UInt64 in [1, 2, 3] {
      let model = try #require(try history.train(plan, seed: seed).models["outlier"])
      guard let forest = model.scorer as? IsolationForest else { preconditionFailure("not a forest") }
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
      let other = Self.permuted(forest)
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
