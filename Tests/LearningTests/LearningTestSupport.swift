// What the tests of trained models share: a scorer that cannot be wrong, rows that sit on every threshold, and random
// trees.

import Detection
import Foundation
import Learning
import TestKit
import Testing

extension SeededRandom {
  /// About normal: mean 0, variance 1.
  mutating func normal() -> Float {
    (0..<12).reduce(Float(-6)) { sum, _ in sum + Float.random(in: 0..<1, using: &self) }
  }
}

extension FeatureMatrix {
  /// A matrix of rows, with names f00, f01, …
  init(rows: [[Float]]) {
    let width = rows.first?.count ?? 0
    self.init(
      names: (0..<width).map { String(format: "f%02d", $0) },
      columns: (0..<width).map { column in rows.map { $0[column] } })
  }

  var rows: [[Float]] { (0..<rowCount).map { row in (0..<columnCount).map { self[row, $0] } } }
}

extension TreeEnsemble {
  /// The sums of one row, one per output, by walking every tree from its root.
  func naiveSums(_ row: [Float]) -> [Double] {
    var sums = baseValues.map(Double.init)
    for (root, output) in zip(roots, outputs) {
      var node = nodes[Int(root)]
      while !node.isLeaf {
        let value = row[Int(node.feature)]
        let goesLeft = value.isNaN ? node.missingLeft : value <= node.threshold
        node = nodes[Int(goesLeft ? node.left : node.right)]
      }
      sums[Int(output)] += Double(node.value)
    }
    return sums
  }

  /// Rows that sit just below, at and just above every threshold, and rows of special values, each on a random row.
  func edgeRows(seed: UInt64) -> [[Float]] {
    var generator = SeededRandom(seed: seed)
    func row() -> [Float] { (0..<featureCount).map { _ in generator.normal() * 2 } }
    var rows: [[Float]] = []
    for node in nodes where !node.isLeaf {
      for value in [node.threshold.nextDown, node.threshold, node.threshold.nextUp] {
        rows.append(row())
        rows[rows.count - 1][Int(node.feature)] = value
      }
    }
    let special: [Float] = [
      .nan, 0, -0.0, .infinity, -.infinity, 1e-36, -1e-36, 1e-35, -1e-35, Float(1e-35).nextUp, -Float(1e-35).nextUp,
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
    ]
    for feature in 0..<featureCount {
      for value in special {
        rows.append(row())
        rows[rows.count - 1][feature] = value
      }
    }
    for value in special { rows.append([Float](repeating: value, count: featureCount)) }
    for _ in 0..<500 { rows.append(row().map { $0 > 2.5 ? .nan : $0 }) }
    return rows
  }

  /// Random trees over `features` columns, their nodes in depth-first order.
  static func random(
    trees: Int, depth: Int, features: Int, outputs outputCount: Int, leaf: ClosedRange<Float>, seed: UInt64
  ) -> TreeEnsemble {
    var generator = SeededRandom(seed: seed)
    let bases = (0..<outputCount).map { _ in generator.normal() }
    var ensemble = TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: bases, featureCount: features)
    let special: [Float] = [0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, .infinity, -.infinity, .greatestFiniteMagnitude]
    func grow(_ depth: Int) -> Int32 {
      let index = ensemble.nodes.count
      if depth == 0 || Int.random(in: 0..<6, using: &generator) == 0 {
        ensemble.nodes.append(.init(value: .random(in: leaf, using: &generator), cover: Float(depth + 1)))
        return Int32(index)
      }
      let threshold =
        Int.random(in: 0..<8, using: &generator) == 0
        ? special[Int.random(in: 0..<special.count, using: &generator)] : generator.normal() * 2
      ensemble.nodes.append(
        .init(
          feature: Int32.random(in: 0..<Int32(features), using: &generator), threshold: threshold,
          missingLeft: Bool.random(using: &generator), value: generator.normal(), cover: Float(depth * 100)))
      ensemble.nodes[index].left = grow(depth - 1)
      ensemble.nodes[index].right = grow(depth - 1)
      return Int32(index)
    }
    for tree in 0..<max(trees, outputCount) {
      ensemble.roots.append(grow(depth))
      ensemble.outputs.append(Int32(tree % outputCount))
    }
    return ensemble
  }
}

/// Records the first row whose value is further from its reference than 1e-5 × max(1, |reference|).
func expectClose(
  _ found: [Double], _ reference: [Double], rows: [[Float]] = [], _ what: String,
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  guard found.count == reference.count else {
    Issue.record("\(what): \(found.count) values for \(reference.count)", sourceLocation: sourceLocation)
    return
  }
  let wrong = found.indices.filter { !(abs(found[$0] - reference[$0]) <= 1e-5 * max(1, abs(reference[$0]))) }
  if let first = wrong.first {
    let row = rows.isEmpty ? "" : ", row \(rows[first * rows.count / found.count])"
    Issue.record(
      "\(what): \(wrong.count) of \(found.count) differ, first at \(first): \(found[first]), \(reference[first])\(row)",
      sourceLocation: sourceLocation)
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips without LightGBM, and says why.
  static var needsLightGBM: Self { .enabled(if: Missing.lightGBM == nil, Comment(rawValue: Missing.lightGBM ?? "")) }
  /// Skips without ONNX Runtime, and says why.
  static var needsONNXRuntime: Self {
    .enabled(if: Missing.onnxRuntime == nil, Comment(rawValue: Missing.onnxRuntime ?? ""))
  }
}

/// Why a native library is not there; nil where it is. Set-up installs both.
private enum Missing {
  static let lightGBM: String? = reason { _ = try LightGBMLibrary.open() }
  static let onnxRuntime: String? = reason { _ = try ONNXRuntimeLibrary.open() }

  private static func reason(_ open: () throws -> Void) -> String? {
    do {
      try open()
      return nil
    } catch {
      return "\(error)"
    }
  }
}

/// Files of this folder.
enum Fixture {
  static func bytes(_ name: String) throws -> [UInt8] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
    return [UInt8](try Data(contentsOf: folder.appending(path: name)))
  }
}
