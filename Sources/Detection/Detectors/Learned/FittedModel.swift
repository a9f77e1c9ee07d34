// What training leaves behind for one detector, in memory: one version of it. How it lies on disk is not the core's.

/// A fitted version of one detector.
public struct FittedModel: Sendable {
  /// Name of the detector.
  public var detector: String
  /// Name of the version, which findings repeat.
  public var version: String
  /// `DetectorPlan.fingerprint` of the plan it was fitted for.
  public var plan: String
  /// By the input's name.
  public var encoders: [String: FittedEncoder]
  /// How it scores: of the detector's type.
  public var scorer: any ModelScorer
  /// Present where the detector has a budget.
  public var calibration: Calibration?
  /// What drift is measured against; nil measures none.
  public var drift: DriftReference?
  /// What explanations are ordered by; by the contributions themselves where it is nil.
  public var usualContributions: UsualContributions?

  public init(
    detector: String, version: String, plan: String, encoders: [String: FittedEncoder] = [:], scorer: any ModelScorer,
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

extension FittedModel {
  /// Bytes of memory that it takes, nearly.
  public var heldBytes: Int { encoders.values.reduce(scorer.heldBytes) { $0 + $1.heldBytes } }
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
