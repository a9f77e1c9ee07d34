// What a tree ensemble has to be before it is written as ONNX, and after it was read, besides what scoring relies on.

import Detection
import Pipeline

extension TreeEnsemble {
  /// - Throws: `OperatingError` of kind `input` that names the first thing that is wrong.
  func validate(of name: String) throws(OperatingError) {
    func fail(_ reason: String) -> OperatingError {
      OperatingError(.input, "the trees of \(name) are broken: \(reason)")
    }
    guard nodes.count <= TreeModel.Bounds.nodes, featureCount <= TreeModel.Bounds.columns,
      outputCount <= TreeModel.Bounds.columns
    else {
      throw fail("\(nodes.count) nodes, \(featureCount) features and \(outputCount) outputs are more than a model has")
    }
    do { try validate() } catch { throw fail(error.description) }
    guard featureCount > 0, outputCount > 0 else { throw fail("they need features and outputs") }
    // ONNX Runtime gives 0 instead of the base value for an output that no leaf adds to.
    guard Set(outputs).count == outputCount else { throw fail("an output has no trees") }
    for (index, node) in nodes.enumerated() where node.isLeaf {
      guard node.left == 0, node.right == 0, node.feature == -1 else { throw fail("leaf \(index) has children") }
    }
  }
}
