// Decision trees over Float32 features: the one form of all tree models, whether an isolation forest or boosted trees.
// A tree tests `x <= threshold` with both sides Float32; a missing value (NaN) follows the node's stored side. These are
// the semantics of ONNX's BRANCH_LEQ with nodes_missing_value_tracks_true.

/// Trees whose leaf values are added up, per output.
public struct TreeEnsemble: Sendable, Equatable {
  /// A node. Children lie behind their parent in the same array.
  public struct Node: Sendable, Equatable {
    /// Column of the feature that is tested; -1 for a leaf.
    public var feature: Int32
    /// Rows with a value `<= threshold` go left.
    public var threshold: Float
    /// Index of the left child, counted in all nodes of the ensemble; 0 for a leaf.
    public var left: Int32
    public var right: Int32
    /// Where a row goes whose value is missing.
    public var missingLeft: Bool
    /// What a leaf adds to its output; for an inner node the mean of that over its training rows, for explanations.
    public var value: Float
    /// Training rows that reached the node, for explanations and for the side of missing values.
    public var cover: Float

    public init(
      feature: Int32 = -1, threshold: Float = 0, left: Int32 = 0, right: Int32 = 0, missingLeft: Bool = true,
      value: Float = 0, cover: Float = 0
    ) {
      self.feature = feature
      self.threshold = threshold
      self.left = left
      self.right = right
      self.missingLeft = missingLeft
      self.value = value
      self.cover = cover
    }

    public var isLeaf: Bool { feature < 0 }
  }

  /// The nodes of all trees, tree by tree; the first of a tree is its root.
  public var nodes: [Node]
  /// Index of each tree's root, ascending.
  public var roots: [Int32]
  /// The output each tree adds to.
  public var outputs: [Int32]
  /// What each output starts from.
  public var baseValues: [Float]
  /// Columns of the matrices it scores.
  public var featureCount: Int

  public init(nodes: [Node], roots: [Int32], outputs: [Int32], baseValues: [Float], featureCount: Int) {
    self.nodes = nodes
    self.roots = roots
    self.outputs = outputs
    self.baseValues = baseValues
    self.featureCount = featureCount
  }

  public var outputCount: Int { baseValues.count }
}
