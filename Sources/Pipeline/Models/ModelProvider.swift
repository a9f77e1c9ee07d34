// Where a run gets its models from.

public import Detection

/// The models of a use case's learned detectors, as they are promoted.
public protocol ModelProvider: Sendable {
  /// The version each learned detector should score with from now on. Cheap: called for every batch.
  func champions() -> [String: String]
  /// Reads a version. Called off the reader's way wherever possible.
  func load(_ version: String, of detector: String) async throws -> FittedModel
}
