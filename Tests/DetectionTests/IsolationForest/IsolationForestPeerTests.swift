// Forests fitted by scikit-learn, scored here: the same scores. `Tests/Fixtures/IsolationForest/trees.py` made the file.

import Foundation
import Testing

@testable import Detection

@Suite("Isolation forests of scikit-learn")
struct IsolationForestPeerTests {
  private struct Fixture: Decodable {
    struct Tree: Decodable {
      let feature: [Int32]
      let threshold: [Double]
      let left: [Int32]
      let right: [Int32]
      let rows: [Int]
    }
    struct Forest: Decodable {
      let name: String
      let sampleSize: Int
      let trees: [Tree]
      let rows: [[Float]]
      let scores: [Double]
    }
    let forests: [Forest]

    static func read() throws -> Fixture {
      let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      return try JSONDecoder().decode(
        Fixture.self, from: Data(contentsOf: folder.appending(path: "Fixtures/IsolationForest/trees.json")))
    }
  }

  /// The trees as an ensemble: thresholds rounded down, leaves from depth and training rows.
  private static func ensemble(_ forest: Fixture.Forest) -> TreeEnsemble {
    var result = TreeEnsemble(
      nodes: [], roots: [], outputs: [], baseValues: [0], featureCount: forest.rows[0].count)
    for tree in forest.trees {
      let start = Int32(result.nodes.count)
      result.roots.append(start)
      result.outputs.append(0)
      var depths = [Int](repeating: 0, count: tree.feature.count)
      for index in tree.feature.indices {
        let (left, right) = (tree.left[index], tree.right[index])
        guard left >= 0 else {
          let length = Double(depths[index]) + IsolationForest.averagePathLength(of: tree.rows[index])
          result.nodes.append(.init(value: Float(length), cover: Float(tree.rows[index])))
          continue
        }
        for child in [left, right] { depths[Int(child)] = depths[index] + 1 }
        let exact = tree.threshold[index]
        let rounded = Float(exact)
        result.nodes.append(
          .init(
            feature: tree.feature[index], threshold: Double(rounded) > exact ? rounded.nextDown : rounded,
            left: start + left, right: start + right, cover: Float(tree.rows[index])))
      }
    }
    return result.withMeanValues()
  }

  @Test("give its scores")
  func scores() throws {
    let fixture = try Fixture.read()
    #expect(fixture.forests.count == 4)
    for peer in fixture.forests {
      let trees = Self.ensemble(peer)
      try trees.validate()
      let forest = IsolationForest(trees: trees, sampleSize: peer.sampleSize)
      let columns = (0..<trees.featureCount).map { column in peer.rows.map { $0[column] } }
      let matrix = FeatureMatrix(names: columns.indices.map(String.init), columns: columns)
      let scores = forest.scores(of: matrix)
      for (row, expected) in peer.scores.enumerated() {
        #expect(abs(scores[row] - expected) < 1e-6, "\(peer.name), row \(row)")
        #expect(abs(forest.contributions(of: peer.rows[row]).total - log2(expected)) < 1e-6)
      }
    }
  }
}
