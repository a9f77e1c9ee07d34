// What training leaves behind for one detector, in memory: one version of it. How it lies on disk is not the core's.

/// A model that scores outside the core, such as a network in a runtime of its own.
public protocol ExternalScorer: Sendable {
  /// One raw score for each row, the higher the more anomalous; NaN for a row that could not be scored, which is counted
  /// and raises no finding. A function of the row alone, so that batches may be cut anywhere.
  /// - Throws: where it did not come to an end: then there are no scores, and the run cannot go on.
  func scores(of matrix: FeatureMatrix) throws(LimitError) -> [Double]
}

/// Boosted trees that predict a target before it is known, with what is usual for entities.
public struct BoostedExpectation: Sendable {
  /// Output 0 is the mean of log1p(target), output 1 its quantile. For explanations inner nodes hold the mean of what is
  /// below them, see `TreeEnsemble.withMeanValues`.
  public let trees: TreeEnsemble
  /// Empty where rank does not matter.
  public let quantiles: EntityQuantiles
  private let scorer: TreeScorer

  /// - Precondition: valid trees with two outputs.
  public init(trees: TreeEnsemble, quantiles: EntityQuantiles = EntityQuantiles()) {
    precondition(trees.outputCount == 2, "an expectation has two outputs, not \(trees.outputCount)")
    self.trees = trees
    self.quantiles = quantiles
    scorer = TreeScorer(trees)
  }

  /// Both predictions of log1p(target) for each row.
  public func predict(_ matrix: FeatureMatrix) -> (means: [Double], quantiles: [Double]) {
    let sums = scorer.sums(of: matrix)
    return (sums[0], sums[1])
  }
}

/// A fitted version of one detector.
public struct FittedModel: Sendable {
  public enum Scorer: Sendable {
    case isolationForest(IsolationForest)
    case expectedValue(BoostedExpectation)
    case external(any ExternalScorer)
  }

  /// Name of the detector.
  public var detector: String
  /// Name of the version, which findings repeat.
  public var version: String
  /// `DetectorPlan.fingerprint` of the plan it was fitted for.
  public var plan: String
  /// By the input's name.
  public var encoders: [String: FittedEncoder]
  public var scorer: Scorer
  /// Present where the detector has a budget.
  public var calibration: Calibration?
  /// What drift is measured against; nil measures none.
  public var drift: DriftReference?
  /// For a forest: what explanations are ordered by; by the contributions themselves where it is nil.
  public var usualContributions: UsualContributions?

  public init(
    detector: String, version: String, plan: String, encoders: [String: FittedEncoder] = [:], scorer: Scorer,
    calibration: Calibration? = nil, drift: DriftReference? = nil, usualContributions: UsualContributions? = nil
  ) {
    self.detector = detector
    self.version = version
    self.plan = plan
    self.encoders = encoders
    self.scorer = scorer
    self.calibration = calibration
    self.drift = drift
    self.usualContributions = usualContributions
  }
}

/// Why a model cannot score for a detector.
public struct ModelMismatch: Error, Sendable, Hashable, CustomStringConvertible {
  public var detector: String
  public var version: String
  /// A sentence without a full stop.
  public var reason: String

  public init(detector: String, version: String, reason: String) {
    self.detector = detector
    self.version = version
    self.reason = reason
  }

  public var description: String { "the model \(version) does not fit the detector \(detector): \(reason)" }
}
