// Fitting an isolation forest and scoring with it, of the size that is the default.

import Detection
import Foundation

extension Stage {
  private static let rows = 65_536
  private static let features = 16

  /// Uniform numbers, the last row far outside.
  private static var matrix: FeatureMatrix {
    var state: UInt64 = 42
    func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) * 0x1p-24
    }
    let columns = (0..<features).map { _ in (0..<rows - 1).map { _ in next() } + [1000] }
    return FeatureMatrix(names: (0..<features).map { String(100 + $0) }, columns: columns)
  }

  /// 100 trees of 256 rows.
  public static var forestFit: Stage {
    let matrix = matrix
    return Stage("isolation forest, fit", count: rows, items: "rows") {
      let forest = IsolationForest.fit(matrix, seed: 1)
      return {
        try expect("trees", forest.trees.roots.count, 100)
        try forest.trees.validate()
      }
    }
  }

  /// Features to scores.
  public static var forestScores: Stage {
    let matrix = matrix
    let forest = IsolationForest.fit(matrix, seed: 1)
    return Stage("isolation forest, score", count: rows, items: "rows") {
      let scores = forest.scores(of: matrix)
      return {
        try expect("scores", scores.count, rows)
        try expect("the highest", scores.firstIndex(of: scores.max() ?? 0), rows - 1)
        // Contributions come from walking the trees node by node.
        for row in stride(from: 0, to: rows, by: 997) {
          let expected = forest.contributions(of: matrix.row(row)).total
          try expect("score of row \(row)", abs(log2(scores[row]) - expected) < 1e-6, true)
        }
      }
    }
  }
}
