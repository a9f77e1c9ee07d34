// Fitting an isolation forest: per tree a sample of rows without replacement, split by random features at random values
// until rows are alone, all alike, or at the height limit. Invariants: the same matrix, sizes and seed give the same
// forest; time and memory do not depend on the number of rows.

extension IsolationForest {
  /// Fits a forest.
  ///
  /// A feature is split between the smallest and the largest value in the node that are not missing; infinite values count
  /// as the largest finite ones. A feature whose values there are all equal or missing is never chosen. Missing values go
  /// to the child with more rows, to the left of two with equally many.
  /// - Parameters:
  ///   - matrix: at least one row.
  ///   - treeCount: number of trees, at least 1.
  ///   - sampleSize: rows per tree, at least 1; all rows where there are fewer.
  ///   - seed: any number; another seed gives another forest.
  public static func fit(
    _ matrix: FeatureMatrix, treeCount: Int = 100, sampleSize: Int = 256, seed: UInt64
  ) -> IsolationForest {
    precondition(matrix.rowCount > 0, "a forest is fitted on at least one row")
    precondition(treeCount > 0 && sampleSize > 0, "a forest has trees, and a tree has rows")
    let size = min(sampleSize, matrix.rowCount)
    var trees = TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: [0], featureCount: matrix.columnCount)
    for tree in 0..<treeCount {
      var random = FittingRandom(seed: seed, part: tree)
      let rows = random.sample(size, below: matrix.rowCount)
      var builder = IsolationTreeBuilder(matrix, rows: rows, random: random, nodes: trees.nodes)
      trees.roots.append(Int32(trees.nodes.count))
      trees.outputs.append(0)
      trees.nodes = []
      builder.build()
      trees.nodes = builder.nodes
    }
    return IsolationForest(trees: trees, sampleSize: size)
  }
}

/// Appends one tree to the nodes of a forest.
private struct IsolationTreeBuilder {
  private(set) var nodes: [TreeEnsemble.Node]
  /// The sampled values, column by column, finite or NaN.
  private let columns: [[Float]]
  /// Rows of the sample; a node owns a run of them.
  private var rows: [Int]
  private let heightLimit: Int
  private var random: FittingRandom

  init(_ matrix: FeatureMatrix, rows: [Int], random: FittingRandom, nodes: [TreeEnsemble.Node]) {
    let largest = Float.greatestFiniteMagnitude
    columns = (0..<matrix.columnCount).map { column in
      rows.map { row in
        let value = matrix[row, column]
        return value.isNaN ? value : min(max(value, -largest), largest)
      }
    }
    self.rows = Array(rows.indices)
    self.random = random
    self.nodes = nodes
    // The logarithm of the sample size, rounded up.
    heightLimit = Int.bitWidth - (rows.count - 1).leadingZeroBitCount
  }

  mutating func build() {
    _ = append(rows.indices, depth: 0, candidates: Array(columns.indices))
  }

  /// Appends the node of a run of rows and everything below it.
  /// - Parameter candidates: features that are not constant in the node above.
  /// - Returns: the expected path length of the rows.
  private mutating func append(_ run: Range<Int>, depth: Int, candidates: [Int]) -> Double {
    var candidates = candidates
    let index = nodes.count
    guard run.count > 1, depth < heightLimit, let split = drawSplit(of: run, &candidates) else {
      let length = Double(depth) + IsolationForest.averagePathLength(of: run.count)
      nodes.append(TreeEnsemble.Node(value: Float(length), cover: Float(run.count)))
      return length
    }
    let (middle, missingLeft) = partition(run, split)
    nodes.append(
      TreeEnsemble.Node(
        feature: Int32(split.feature), threshold: split.threshold, missingLeft: missingLeft, cover: Float(run.count)))
    nodes[index].left = Int32(nodes.count)
    let left = append(run.lowerBound..<middle, depth: depth + 1, candidates: candidates)
    nodes[index].right = Int32(nodes.count)
    let right = append(middle..<run.upperBound, depth: depth + 1, candidates: candidates)
    let leftRows = Double(middle - run.lowerBound)
    let length = (left * leftRows + right * Double(run.upperBound - middle)) / Double(run.count)
    nodes[index].value = Float(length)
    return length
  }

  /// Draws a feature, equally among those that are not constant, and a threshold between its values such that both sides
  /// get rows; nil where all are constant. Constant ones that were met leave `candidates`.
  private mutating func drawSplit(
    of run: Range<Int>, _ candidates: inout [Int]
  ) -> (feature: Int, threshold: Float)? {
    while !candidates.isEmpty {
      let drawn = random.next(below: candidates.count)
      let feature = candidates[drawn]
      var (low, high) = (Float.infinity, -Float.infinity)
      for row in rows[run] {
        let value = columns[feature][row]
        // Both are false for a missing value.
        if value < low { low = value }
        if value > high { high = value }
      }
      if low < high {
        let (from, to) = (Double(low), Double(high))
        let threshold = Float(from + random.nextUnit() * (to - from))
        return (feature, max(low, min(threshold, high.nextDown)))
      }
      candidates.swapAt(drawn, candidates.count - 1)
      candidates.removeLast()
    }
    return nil
  }

  /// Orders the rows of a run by side. Returns where the right side begins and where missing values went.
  private mutating func partition(
    _ run: Range<Int>, _ split: (feature: Int, threshold: Float)
  ) -> (middle: Int, missingLeft: Bool) {
    let column = columns[split.feature]
    let present = rows[run].filter { !column[$0].isNaN }
    let left = present.filter { column[$0] <= split.threshold }
    let right = present.filter { column[$0] > split.threshold }
    let missing = rows[run].filter { column[$0].isNaN }
    let missingLeft = left.count >= right.count
    rows.replaceSubrange(run, with: missingLeft ? left + missing + right : left + right + missing)
    return (run.lowerBound + left.count + (missingLeft ? missing.count : 0), missingLeft)
  }
}
