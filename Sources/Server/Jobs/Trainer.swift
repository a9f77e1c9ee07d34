// What the server asks whoever can start a process to do.

public import Connectors

/// A training that somebody asked for.
public struct TrainingRequest: Sendable, Hashable {
  public var useCase: String
  /// The folder of the use case.
  public var folder: String
  public var directory: DataDirectory
  /// Only these; empty for all learned detectors.
  public var detectors: [String]
  /// Whether a candidate that passes its gate becomes the champion.
  public var promotes: Bool

  public init(useCase: String, folder: String, directory: DataDirectory, detectors: [String], promotes: Bool) {
    self.useCase = useCase
    self.folder = folder
    self.directory = directory
    self.detectors = detectors
    self.promotes = promotes
  }
}

/// What came of a training.
public struct TrainingResult: Sendable, Hashable {
  /// For people: a sentence for each detector.
  public var message: String
  /// Whether every detector has an outcome, a refusal among them.
  public var isComplete: Bool

  public init(message: String, isComplete: Bool) {
    self.message = message
    self.isComplete = isComplete
  }
}

/// Trains in a process of its own, which cannot harm this one.
public protocol Trainer: Sendable {
  /// Returns when it has ended; a cancelled task ends it.
  /// - Parameter progress: is told how far it is, 0 to 1.
  func train(_ request: TrainingRequest, progress: @escaping @Sendable (Double) -> Void) async -> TrainingResult
}
