// Several tree ensembles as one, so that a model of several predictions is one file and one pass over the features.

public import Detection

extension TreeEnsemble {
  /// The trees of several ensembles over the same features, one after the other; the outputs of each follow those of the
  /// one before.
  ///
  /// - Precondition: at least one ensemble, all of the same number of features.
  public static func joined(_ ensembles: [TreeEnsemble]) -> TreeEnsemble {
    precondition(!ensembles.isEmpty, "no ensembles to join")
    return ensembles.dropFirst().reduce(ensembles[0]) { result, next in
      precondition(result.featureCount == next.featureCount, "\(result.featureCount) and \(next.featureCount) features")
      var result = result
      let shift = Int32(result.nodes.count)
      let outputShift = Int32(result.outputCount)
      result.nodes += next.nodes.map { node in
        guard !node.isLeaf else { return node }
        var node = node
        node.left += shift
        node.right += shift
        return node
      }
      result.roots += next.roots.map { $0 + shift }
      result.outputs += next.outputs.map { $0 + outputShift }
      result.baseValues += next.baseValues
      return result
    }
  }
}
