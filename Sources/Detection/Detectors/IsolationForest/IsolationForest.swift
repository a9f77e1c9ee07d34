// Isolation forest (Liu, Ting, Zhou, "Isolation Forest", ICDM 2008): rows that random splits separate from the others
// after few tests are anomalous. The trees are a `TreeEnsemble` with one output, whose leaves hold path lengths: depth
// plus the expected depth of a tree over the rows that the leaf was left with.

/// A fitted isolation forest.
public struct IsolationForest: Sendable, Equatable {
  /// Path lengths in leaves, expected path lengths in inner nodes, training rows as covers.
  public let trees: TreeEnsemble
  /// Rows that each tree was fitted on.
  public let sampleSize: Int
  private let scorer: TreeScorer

  /// - Parameters:
  ///   - trees: valid, at least one, with one output of base 0, whose leaves hold path lengths. The values of inner nodes
  ///     are only needed for explanations.
  ///   - sampleSize: rows that each tree was fitted on, at least 1.
  public init(trees: TreeEnsemble, sampleSize: Int) {
    precondition(!trees.roots.isEmpty && trees.baseValues == [0], "not the trees of an isolation forest")
    precondition(sampleSize > 0, "a tree is fitted on at least one row")
    self.trees = trees
    self.sampleSize = sampleSize
    scorer = TreeScorer(trees)
  }

  /// The score of each row, between 0 and 1: 2^(-E(h) / c(sample size)) with E(h) the mean path length. Close to 1:
  /// anomalous; well below 0.5: normal. Where a tree saw one row, so that no path has a length, every score is 0.5.
  /// - Parameter matrix: has the columns that the forest was fitted on.
  public func scores(of matrix: FeatureMatrix) -> [Double] {
    scorer.sums(of: matrix)[0].map(score)
  }

  /// The score of a sum of path lengths over all trees.
  private func score(_ sum: Double) -> Double {
    let norm = self.norm
    return norm > 0 ? MathFunctions.exp2(-sum / norm) : 0.5
  }

  /// The base-2 logarithm of a row's score, taken apart by feature: a contribution is what tests of that feature took
  /// from the expected path length, divided by (trees × c(sample size)). Positive ones made the row anomalous.
  /// - Parameter row: a value per feature; NaN stands for a missing one.
  public func contributions(of row: [Float]) -> PathContributions {
    let norm = self.norm
    guard norm > 0 else { return PathContributions(base: -1, byFeature: row.map { _ in 0 }) }
    let parts = trees.pathContributions(of: row)[0]
    return PathContributions(base: -parts.base / norm, byFeature: parts.byFeature.map { -$0 / norm })
  }

  /// What a sum of path lengths is divided by.
  private var norm: Double { Double(trees.roots.count) * Self.averagePathLength(of: sampleSize) }

  /// c(n): the mean depth at which a random binary search tree of `count` rows finds one, and so what is left to add to a
  /// path that ends where `count` rows were not separated.
  public static func averagePathLength(of count: Int) -> Double {
    guard count > 2 else { return count == 2 ? 1 : 0 }
    let n = Double(count)
    return 2 * (MathFunctions.ln(n - 1) + 0.5772156649) - 2 * (n - 1) / n
  }

  public static func == (a: IsolationForest, b: IsolationForest) -> Bool {
    a.sampleSize == b.sampleSize && a.trees == b.trees
  }
}
