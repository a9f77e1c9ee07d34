// The models that score together.

/// The models that score from some position on: at most one for each detector.
public struct ModelSet: Sendable {
  /// No model: every learned detector is silent.
  public static let none = ModelSet([])

  public let detectors: [LearnedDetector]

  /// - Precondition: detectors have different names.
  public init(_ detectors: [LearnedDetector]) {
    precondition(Set(detectors.map(\.name)).count == detectors.count, "two models for one detector")
    self.detectors = detectors
  }

  /// The models of a plan's detectors, in the plan's order.
  /// - Throws: the first model that fits none.
  public init(_ models: [FittedModel], for plan: Plan) throws(ModelMismatch) {
    var detectors: [LearnedDetector] = []
    for model in models {
      guard let detector = plan.detectors.first(where: { $0.name == model.detector }) else {
        throw ModelMismatch(
          detector: model.detector, version: model.version, reason: "the use case has no detector of this name")
      }
      detectors.append(try LearnedDetector(detector, model: model))
    }
    let order = Dictionary(uniqueKeysWithValues: plan.detectors.enumerated().map { ($1.name, $0) })
    self.init(detectors.sorted { order[$0.name, default: 0] < order[$1.name, default: 0] })
  }

  /// The detector of this name, if it has a model.
  public subscript(detector: String) -> LearnedDetector? { detectors.first { $0.name == detector } }

  /// Versions by detector.
  public var versions: [String: String] {
    Dictionary(uniqueKeysWithValues: detectors.map { ($0.name, $0.model.version) })
  }
}
