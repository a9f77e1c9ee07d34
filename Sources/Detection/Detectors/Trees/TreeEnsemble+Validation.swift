// What an ensemble must hold before it may score. Trees that come from a file are checked here once, so that no loop
// over nodes has to.

/// Why trees cannot be used, as a sentence.
public struct InvalidTreeEnsemble: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

extension TreeEnsemble {
  /// Tests on a path: as many as boosted trees of the most leaves may have. Each row may cost as many steps.
  static let maxDepth = 1_024

  /// Checks what scoring relies on: each tree is the run of nodes from its root to the next root; every other node of
  /// the run is the child of exactly one node before it; features and outputs exist; no threshold is NaN (it may be
  /// infinite); values and covers are finite; no tree is deeper than 1,024 tests.
  /// - Throws: the first thing that is wrong, with the index of its node or tree.
  public func validate() throws(InvalidTreeEnsemble) {
    guard featureCount >= 0 else { throw InvalidTreeEnsemble("it claims \(featureCount) features") }
    guard nodes.count <= Int32.max else { throw InvalidTreeEnsemble("\(nodes.count) nodes are more than 2^31 - 1") }
    guard outputs.count == roots.count else {
      throw InvalidTreeEnsemble("\(roots.count) trees, but outputs for \(outputs.count)")
    }
    guard baseValues.allSatisfy(\.isFinite) else { throw InvalidTreeEnsemble("a base value is not finite") }
    guard roots.first ?? 0 == 0, !roots.isEmpty || nodes.isEmpty else {
      throw InvalidTreeEnsemble("the nodes before the first root belong to no tree")
    }
    for tree in roots.indices {
      let range = try nodeRange(checked: tree)
      guard outputs[tree] >= 0, Int(outputs[tree]) < outputCount else {
        throw InvalidTreeEnsemble("tree \(tree) adds to output \(outputs[tree]), but there are \(outputCount)")
      }
      var hasParent = [Bool](repeating: false, count: range.count)
      var depths = [Int](repeating: 0, count: range.count)
      for index in range {
        try validate(node: index)
        guard !nodes[index].isLeaf else { continue }
        for child in [nodes[index].left, nodes[index].right] {
          guard Int(child) > index, Int(child) < range.upperBound else {
            throw InvalidTreeEnsemble(
              "node \(index) has the child \(child), which must lie behind it and before \(range.upperBound)")
          }
          guard !hasParent[Int(child) - range.lowerBound] else {
            throw InvalidTreeEnsemble("node \(child) is the child of two nodes")
          }
          hasParent[Int(child) - range.lowerBound] = true
          let depth = depths[index - range.lowerBound] + 1
          guard depth <= Self.maxDepth else {
            throw InvalidTreeEnsemble("tree \(tree) is deeper than \(Self.maxDepth) tests")
          }
          depths[Int(child) - range.lowerBound] = depth
        }
      }
      if let orphan = hasParent.dropFirst().firstIndex(of: false) {
        throw InvalidTreeEnsemble("node \(range.lowerBound + orphan) is the child of none")
      }
    }
  }

  private func nodeRange(checked tree: Int) throws(InvalidTreeEnsemble) -> Range<Int> {
    let start = Int(roots[tree])
    let end = tree + 1 < roots.count ? Int(roots[tree + 1]) : nodes.count
    guard start >= 0, start < end, end <= nodes.count else {
      throw InvalidTreeEnsemble("tree \(tree) has the nodes from \(start) up to \(end), of \(nodes.count)")
    }
    return start..<end
  }

  private func validate(node index: Int) throws(InvalidTreeEnsemble) {
    let node = nodes[index]
    guard node.feature >= -1, Int(node.feature) < featureCount else {
      throw InvalidTreeEnsemble("node \(index) tests feature \(node.feature), but there are \(featureCount)")
    }
    guard !node.threshold.isNaN else { throw InvalidTreeEnsemble("the threshold of node \(index) is not a number") }
    guard node.value.isFinite else { throw InvalidTreeEnsemble("the value of node \(index) is \(node.value)") }
    guard node.cover.isFinite, node.cover >= 0 else {
      throw InvalidTreeEnsemble("the cover of node \(index) is \(node.cover)")
    }
  }

  /// The nodes of a tree of a valid ensemble; the first is its root.
  func nodeRange(_ tree: Int) -> Range<Int> {
    Int(roots[tree])..<(tree + 1 < roots.count ? Int(roots[tree + 1]) : nodes.count)
  }
}
