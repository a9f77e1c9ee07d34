// Where a run gets fitted models from. What lies behind it (a registry on disk, a file that the user brought) may change
// at any time; the pipeline decides from which position on a change applies and records that before it takes effect.

public import Detection

/// Fitted models of the learned detectors of one use case.
public protocol ModelProvider: Sendable {
  /// The version each learned detector should score with from now on, by the detector's name. Cheap: called for every
  /// batch. A detector that is missing has no model.
  func champions() -> [String: String]

  /// Reads a version. Called off the reader's way wherever possible.
  /// - Throws: why it cannot be used: it is gone, damaged, or from a newer program.
  func load(_ version: String, of detector: String) async throws -> FittedModel

  /// Whether reading a version takes no time that a stream would notice: then the reader waits for a new champion rather
  /// than going on without it. No by default.
  func isAtHand(_ version: String, of detector: String) -> Bool
}

extension ModelProvider {
  public func isAtHand(_ version: String, of detector: String) -> Bool { false }
}
