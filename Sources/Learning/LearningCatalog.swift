// What is fitted and stored of the types of detectors. Add one: its folder in `Detectors`, and a line here.

enum LearningCatalog {
  /// Sorted by type. One that is a `DetectorTrainer` is trained here.
  static let entries: [any ModelFormat] = [ExpectedValueLearning(), IsolationForestLearning(), ONNXLearning()]
}

extension ModelRegistry {
  /// - Parameters:
  ///   - folder: where all models lie, `<data directory>/models`.
  ///   - useCase: name of the use case.
  public init(folder: String, useCase: String) {
    self.init(folder: folder, useCase: useCase, formats: LearningCatalog.entries)
  }
}
