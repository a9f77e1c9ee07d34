// Why a row got its sum: along its path through each tree, what each test changed in the value to be expected, credited
// to the feature tested (Saabas, "Interpreting random forests", 2014). One pass over the paths; the parts add up to the
// sum exactly, apart from rounding.

/// The sum of one output, taken apart.
public struct PathContributions: Sendable, Equatable {
  /// The output's base value and the values of its trees' roots: what is expected of a row nothing is known of.
  public var base: Double
  /// What each feature adds to that, one per column.
  public var byFeature: [Double]

  public init(base: Double, byFeature: [Double]) {
    self.base = base
    self.byFeature = byFeature
  }

  /// What the parts add up to.
  public var total: Double { byFeature.reduce(base, +) }
}

extension TreeEnsemble {
  /// The side a row goes to: `x <= threshold` left, missing where the node says.
  @inline(__always)
  func child(of node: Node, for value: Float) -> Int {
    Int((value.isNaN ? node.missingLeft : value <= node.threshold) ? node.left : node.right)
  }

  /// Takes apart each output's sum for a row. Inner nodes must hold the mean value of their training rows; see
  /// `withMeanValues`.
  /// - Parameter row: a value per feature; NaN stands for a missing one.
  public func pathContributions(of row: [Float]) -> [PathContributions] {
    precondition(row.count == featureCount, "\(row.count) values for \(featureCount) features")
    var result = baseValues.map {
      PathContributions(base: Double($0), byFeature: [Double](repeating: 0, count: featureCount))
    }
    for tree in roots.indices {
      let output = Int(outputs[tree])
      var node = nodes[Int(roots[tree])]
      result[output].base += Double(node.value)
      while !node.isLeaf {
        let next = nodes[child(of: node, for: row[Int(node.feature)])]
        result[output].byFeature[Int(node.feature)] += Double(next.value) - Double(node.value)
        node = next
      }
    }
    return result
  }

  /// The same trees with each inner node's value set to the mean of its leaves, weighted by their training rows, and its
  /// cover to their number. Where a node has no training rows, its leaves count equally.
  public func withMeanValues() -> TreeEnsemble {
    var copy = self
    var sums = [Double](repeating: 0, count: nodes.count)
    var leaves = [(count: Double, sum: Double)](repeating: (0, 0), count: nodes.count)
    // Children lie behind their parents.
    for index in nodes.indices.reversed() {
      let node = nodes[index]
      if node.isLeaf {
        sums[index] = Double(node.value) * Double(node.cover)
        leaves[index] = (1, Double(node.value))
      } else {
        let (left, right) = (Int(node.left), Int(node.right))
        sums[index] = sums[left] + sums[right]
        leaves[index] = (leaves[left].count + leaves[right].count, leaves[left].sum + leaves[right].sum)
        copy.nodes[index].cover = copy.nodes[left].cover + copy.nodes[right].cover
        let rows = Double(copy.nodes[index].cover)
        copy.nodes[index].value = Float(rows > 0 ? sums[index] / rows : leaves[index].sum / leaves[index].count)
      }
    }
    return copy
  }
}
