// Scores rows with an ensemble. Invariants: a row's sum is its output's base value plus the exit leaf of each tree in
// the order of the trees, added in Double; so it depends on the row alone, to the last bit, never on its place in a
// matrix or on the other rows.

/// An ensemble made ready for scoring. Making one costs about as much as scoring some thousand rows.
public struct TreeScorer: Sendable {
  /// Consecutive trees that are scored in one way.
  private enum Part: Sendable {
    case bitvectors(BitvectorTrees)
    /// Trees with too many leaves or thresholds for that, walked node by node.
    case walked(Range<Int>)
  }

  /// Rows at a time; their ranks and sums stay in the nearest caches.
  private static let blockRows = 256

  public let ensemble: TreeEnsemble
  private let table: ThresholdTable
  private let parts: [Part]

  /// - Parameter ensemble: valid; see `TreeEnsemble.validate()`.
  public init(_ ensemble: TreeEnsemble) {
    self.ensemble = ensemble
    table = ThresholdTable(ensemble)
    var parts: [Part] = []
    var group = TreeGroup(ensemble)
    for tree in ensemble.roots.indices where !group.append(tree) {
      if !group.trees.isEmpty { parts.append(.bitvectors(BitvectorTrees(ensemble, trees: group.trees, table))) }
      group = TreeGroup(ensemble, startingAt: tree)
      if !group.append(tree) {
        parts.append(.walked(tree..<tree + 1))
        group = TreeGroup(ensemble, startingAt: tree + 1)
      }
    }
    if !group.trees.isEmpty { parts.append(.bitvectors(BitvectorTrees(ensemble, trees: group.trees, table))) }
    self.parts = parts
  }

  /// The sums of each output, one per row.
  /// - Parameter matrix: has as many columns as the ensemble has features.
  public func sums(of matrix: FeatureMatrix) -> [[Double]] {
    precondition(
      matrix.columnCount == ensemble.featureCount,
      "\(matrix.columnCount) columns for \(ensemble.featureCount) features")
    let capacity = Self.blockRows
    let slots = parts.map { if case .bitvectors(let trees) = $0 { trees.slots.count } else { 0 } }.max() ?? 0
    var ranks = [SIMD16<Int8>](repeating: .zero, count: slots * capacity / 16)
    var positions = [Int](repeating: 0, count: slots > 0 ? ensemble.featureCount * capacity : 0)
    var sums = [Double](repeating: 0, count: ensemble.outputCount * capacity)
    var result = [[Double]](repeating: [], count: ensemble.outputCount)
    for output in result.indices { result[output].reserveCapacity(matrix.rowCount) }
    for start in stride(from: 0, to: matrix.rowCount, by: capacity) {
      let rows = min(capacity, matrix.rowCount - start)
      if slots > 0 { locate(matrix, start..<start + rows, into: &positions) }
      for output in result.indices {
        for row in 0..<capacity { sums[output * capacity + row] = Double(ensemble.baseValues[output]) }
      }
      for part in parts {
        switch part {
        case .bitvectors(let trees):
          trees.add(positions: positions.span, rows: rows, ranks: &ranks, sums: &sums, capacity: capacity)
        case .walked(let trees): walk(trees, matrix, start..<start + rows, sums: &sums)
        }
      }
      for output in result.indices { result[output] += sums[output * capacity..<output * capacity + rows] }
    }
    return result
  }

  /// The positions of the rows' values among the thresholds of each feature that is tested.
  private func locate(_ matrix: FeatureMatrix, _ rows: Range<Int>, into positions: inout [Int]) {
    let values = matrix.values.span
    var positions = positions.mutableSpan
    for feature in 0..<matrix.columnCount where !table.thresholds[feature].isEmpty {
      let start = feature * matrix.rowCount + rows.lowerBound
      table.locate(
        values.extracting(start..<start + rows.count), feature: feature, into: &positions, at: feature * Self.blockRows)
    }
  }

  private func walk(_ trees: Range<Int>, _ matrix: FeatureMatrix, _ rows: Range<Int>, sums: inout [Double]) {
    for tree in trees {
      let target = Int(ensemble.outputs[tree]) * Self.blockRows
      for row in rows {
        var node = ensemble.nodes[Int(ensemble.roots[tree])]
        while !node.isLeaf { node = ensemble.nodes[ensemble.child(of: node, for: matrix[row, Int(node.feature)])] }
        sums[target + row - rows.lowerBound] += Double(node.value)
      }
    }
  }
}

/// Gathers consecutive trees for `BitvectorTrees` while they keep its bounds.
private struct TreeGroup {
  private let ensemble: TreeEnsemble
  private var thresholds: [Set<Float>]
  private(set) var trees: Range<Int>

  init(_ ensemble: TreeEnsemble, startingAt tree: Int = 0) {
    self.ensemble = ensemble
    thresholds = Array(repeating: [], count: ensemble.featureCount)
    trees = tree..<tree
  }

  /// Whether the tree could be added.
  mutating func append(_ tree: Int) -> Bool {
    guard ensemble.leafCounts(tree)[0] <= BitvectorTrees.maxLeaves else { return false }
    var added = thresholds
    for node in ensemble.nodes[ensemble.nodeRange(tree)] where !node.isLeaf {
      added[Int(node.feature)].insert(node.threshold)
    }
    guard added.allSatisfy({ $0.count <= BitvectorTrees.maxThresholds }) else { return false }
    thresholds = added
    trees = trees.lowerBound..<tree + 1
    return true
  }
}

extension TreeEnsemble {
  /// The sums of each output, one per row. To score more than once, keep a `TreeScorer`.
  public func sums(of matrix: FeatureMatrix) -> [[Double]] { TreeScorer(self).sums(of: matrix) }
}
