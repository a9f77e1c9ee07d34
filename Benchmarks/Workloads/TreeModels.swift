// Tree models that other libraries fitted, as `Peers/trees.py` writes them, with their input and their scores.

public import Detection
import Foundation

/// Models over one input.
public struct TreeModels: Sendable {
  private struct Trees: Decodable {
    struct Tree: Decodable {
      let feature: [Int32]
      let threshold: [Double]
      let left: [Int32]
      let right: [Int32]
      let missingLeft: [Bool]
      let value: [Float]
      let rows: [Int]
    }
    let trees: [Tree]
  }

  public let ensembles: [TreeEnsemble]
  public let matrix: FeatureMatrix
  /// The other library's scores, model by model.
  public let scores: [Double]

  /// - Parameters:
  ///   - name: "forest" or "boosted".
  ///   - folder: where `Peers/trees.py prepare` wrote.
  ///   - pathLengths: leaves hold path lengths of an isolation forest, worked out here.
  public init(_ name: String, folder: String, features: Int, pathLengths: Bool) throws {
    let base = URL(fileURLWithPath: folder)
    func numbers<T: BitwiseCopyable>(_ suffix: String, _: T.Type) throws -> [T] {
      let data = try Data(contentsOf: base.appending(path: name + suffix))
      // SAFETY: the numbers are copied out of the bytes, wherever those lie; any bits are a number.
      return data.withUnsafeBytes { bytes in
        (0..<bytes.count / MemoryLayout<T>.size).map {
          bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self)
        }
      }
    }
    let values = try numbers(".input", Float.self)
    scores = try numbers(".scores", Double.self)
    let rows = values.count / features
    matrix = FeatureMatrix(
      names: (0..<features).map { String(1000 + $0) },
      columns: (0..<features).map { Array(values[$0 * rows..<($0 + 1) * rows]) })
    let models = try JSONDecoder().decode(
      [Trees].self, from: Data(contentsOf: base.appending(path: name + ".json")))
    ensembles = models.map { Self.ensemble($0, features: features, pathLengths: pathLengths) }
    for ensemble in ensembles { try ensemble.validate() }
  }

  private static func ensemble(_ model: Trees, features: Int, pathLengths: Bool) -> TreeEnsemble {
    var result = TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: [0], featureCount: features)
    for tree in model.trees {
      let start = Int32(result.nodes.count)
      result.roots.append(start)
      result.outputs.append(0)
      var depths = [Int](repeating: 0, count: tree.feature.count)
      for index in tree.feature.indices {
        let (left, right, rows) = (tree.left[index], tree.right[index], tree.rows[index])
        guard tree.feature[index] >= 0 else {
          let length = Double(depths[index]) + IsolationForest.averagePathLength(of: rows)
          result.nodes.append(.init(value: pathLengths ? Float(length) : tree.value[index], cover: Float(rows)))
          continue
        }
        for child in [left, right] { depths[Int(child)] = depths[index] + 1 }
        // Rounded down, so that a Float32 is at most the rounded one exactly when it is at most the other.
        let rounded = Float(tree.threshold[index])
        result.nodes.append(
          .init(
            feature: tree.feature[index],
            threshold: Double(rounded) > tree.threshold[index] ? rounded.nextDown : rounded, left: start + left,
            right: start + right, missingLeft: tree.missingLeft[index], cover: Float(rows)))
      }
    }
    return result
  }
}
