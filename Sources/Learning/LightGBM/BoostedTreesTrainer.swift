// Gradient-boosted trees (Friedman 2001), grown leaf by leaf on histograms by LightGBM (Ke et al. 2017), and handed over
// as a tree ensemble that our own scorer runs.

public import Detection
import Pipeline

/// Trains boosted trees that predict a number from features.
///
/// The same rows, target, parameters and version of LightGBM on the same kind of processor give the same trees, whatever
/// the number of threads: histograms are built feature by feature, each by one thread.
public struct BoostedTreesTrainer: Sendable, Equatable {
  /// What is predicted.
  public enum Objective: Sendable, Equatable {
    /// The mean: least squares.
    case mean
    /// The quantile at a level between 0 and 1, exclusive: pinball loss.
    case quantile(Double)
  }

  public var objective: Objective
  /// Trees; fewer are grown where no split is left.
  public var trees = 300
  /// Most leaves of a tree, at least 2.
  public var leaves = 31
  /// Part of a tree's correction that is applied, over 0 and at most 1.
  public var learningRate = 0.1
  /// Least training rows of a leaf.
  public var minimumLeafRows = 20
  /// Most bins that the values of a feature are sorted into, 2 to 65,535.
  public var bins = 255
  /// Seed of the sample of rows that the bins are fitted on.
  public var seed: Int32 = 1
  /// Threads to train on.
  public var threads = 1

  public init(objective: Objective) {
    self.objective = objective
  }

  /// How far training is: called after every tree, with how many there are and how many there will be at most. Throwing
  /// stops training.
  public typealias Progress = (_ trees: Int, _ total: Int) throws -> Void

  /// Trains a model. Blocks until it is done: call it on a thread of its own.
  ///
  /// - Parameters:
  ///   - features: at least one row and one feature; NaN is a missing value, infinities are ordinary extremes.
  ///   - target: one finite number per row.
  /// - Returns: trees with one output, the prediction. Their values are Float32 of LightGBM's, their thresholds rounded
  ///   so that every Float32 row takes the way it takes in LightGBM.
  /// - Throws: `OperatingError` of kind `missing` without LightGBM, `input` where the rows cannot be trained on,
  ///   `configuration` for parameters out of range; and what `progress` throws.
  public func train(
    _ features: FeatureMatrix, target: [Float], progress: Progress = { _, _ in }
  ) throws -> TreeEnsemble {
    try booster(features, target: target, progress: progress).ensemble()
  }

  /// Trains a model and leaves it with LightGBM, for comparison with its own predictions.
  ///
  /// - Throws: as `train`.
  public func booster(
    _ features: FeatureMatrix, target: [Float], progress: Progress = { _, _ in }
  ) throws -> LightGBMBooster {
    try validate(features, target)
    let booster = try LightGBMBooster(
      library: try .open(), features: features, target: target, parameters: parameterText)
    for tree in 1...trees {
      let grew = try booster.grow()
      try progress(grew ? tree : trees, trees)
      if !grew { break }
    }
    return booster
  }

  private func validate(_ features: FeatureMatrix, _ target: [Float]) throws(OperatingError) {
    precondition(features.rowCount == target.count, "\(target.count) targets for \(features.rowCount) rows")
    if case .quantile(let level) = objective, !(level > 0 && level < 1) {
      throw OperatingError(.configuration, "a quantile lies between 0 and 1, found \(level)")
    }
    let ranges: [(name: String, isValid: Bool, found: String)] = [
      ("trees: 1 to 10000", (1...10_000).contains(trees), "\(trees)"),
      ("leaves: 2 to 4096", (2...4096).contains(leaves), "\(leaves)"),
      ("learning rate: over 0, at most 1", learningRate > 0 && learningRate <= 1, "\(learningRate)"),
      ("least rows of a leaf: 1 or more", (1...Int(Int32.max)).contains(minimumLeafRows), "\(minimumLeafRows)"),
      ("bins: 2 to 65535", (2...65_535).contains(bins), "\(bins)"),
      ("threads: 1 to 1024", (1...1024).contains(threads), "\(threads)"),
    ]
    if let wrong = ranges.first(where: { !$0.isValid }) {
      throw OperatingError(.configuration, "boosted trees: \(wrong.name), found \(wrong.found)")
    }
    guard features.rowCount > 0, features.columnCount > 0 else {
      throw OperatingError(
        .input, "nothing to train on: \(features.rowCount) rows of \(features.columnCount) features, at least 1 of each"
      )
    }
    guard features.rowCount <= Int32.max else {
      throw OperatingError(.input, "\(features.rowCount) rows to train on, at most \(Int32.max)")
    }
    let wrongTargets = target.count { !$0.isFinite }
    guard wrongTargets == 0 else {
      throw OperatingError(.input, "the target is not a finite number in \(wrongTargets) of \(target.count) rows")
    }
  }

  /// The parameters as LightGBM reads them. Whatever may change the result is stated, not left to its defaults.
  var parameterText: String {
    let goal =
      switch objective {
      case .mean: "objective=regression"
      case .quantile(let level): "objective=quantile alpha=\(level)"
      }
    return """
      \(goal) boosting=gbdt num_leaves=\(leaves) learning_rate=\(learningRate) min_data_in_leaf=\(minimumLeafRows) \
      max_bin=\(bins) seed=\(seed) deterministic=true force_col_wise=true num_threads=\(threads) use_missing=true \
      zero_as_missing=false boost_from_average=true feature_pre_filter=true verbosity=-1
      """
  }
}
