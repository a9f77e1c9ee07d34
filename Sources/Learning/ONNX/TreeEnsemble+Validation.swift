// What every tree ensemble has to be before it is written, and after it was read: trees that end, over columns that exist.

import Detection
import Pipeline

extension TreeEnsemble {
  /// - Throws: `OperatingError` of kind `input` that names the first node that is wrong.
  func validate(of name: String) throws(OperatingError) {
    func fail(_ reason: String) -> OperatingError {
      OperatingError(.input, "the trees of \(name) are broken: \(reason)")
    }
    guard nodes.count <= TreeModel.Bounds.nodes, featureCount <= TreeModel.Bounds.columns,
      outputCount <= TreeModel.Bounds.columns
    else {
      throw fail("\(nodes.count) nodes, \(featureCount) features and \(outputCount) outputs are more than a model has")
    }
    guard featureCount > 0, outputCount > 0, baseValues.allSatisfy(\.isFinite) else {
      throw fail("they need features and outputs with finite base values")
    }
    guard roots.count == outputs.count, roots.first == 0,
      zip(roots, roots.dropFirst()).allSatisfy(<), roots.allSatisfy({ $0 < nodes.count }),
      outputs.allSatisfy({ (0..<Int32(outputCount)).contains($0) })
    else { throw fail("the roots are not one ascending index per tree, from 0") }
    // ONNX Runtime gives 0 instead of the base value for an output that no leaf adds to.
    guard Set(outputs).count == outputCount else { throw fail("an output has no trees") }
    let ends = roots.dropFirst() + [Int32(nodes.count)]
    for (tree, (root, end)) in zip(roots, ends).enumerated() {
      // Every node but the root has exactly one parent before it, so nothing is a cycle and nothing is out of reach.
      var hasParent = [Bool](repeating: false, count: Int(end - root))
      hasParent[0] = true
      for index in root..<end {
        let node = nodes[Int(index)]
        guard hasParent[Int(index - root)], node.value.isFinite, node.cover.isFinite, !node.threshold.isNaN else {
          throw fail("node \(index - root) of tree \(tree) is out of reach or holds what is not a number")
        }
        if node.isLeaf {
          guard node.left == 0, node.right == 0, node.feature == -1 else {
            throw fail("leaf \(index - root) of tree \(tree) has children")
          }
          continue
        }
        guard node.feature < featureCount, node.left != node.right else {
          throw fail("node \(index - root) of tree \(tree) tests feature \(node.feature) of \(featureCount)")
        }
        for child in [node.left, node.right] {
          guard child > index, child < end, !hasParent[Int(child - root)] else {
            throw fail("node \(index - root) of tree \(tree) has a child that is not behind it or has two parents")
          }
          hasParent[Int(child - root)] = true
        }
      }
    }
  }
}
