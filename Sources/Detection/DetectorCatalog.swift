// The types of detectors there are, in one visible list: the reader of use cases, `pulse list detectors` and the reference
// are made from it. Add a learned one: its folder in `Detectors`, and its name here; what is fitted and stored of it has a
// folder and a line in `Learning`.

public struct DetectorCatalog: Sendable {
  /// Everything that is built in.
  public static let standard = DetectorCatalog(
    learned: [ExpectedValueDefinition.self, IsolationForestDefinition.self, ONNXDefinition.self],
    rules: [.rule, .slidingRule, .streak, .newValue, .unusualHour, .sequence, .travel])

  /// What `detectors:` can hold.
  public let learned: [any DetectorParameters.Type]
  /// What `rules:` can hold.
  public let rules: [DetectorDescriptor]

  public init(learned: [any DetectorParameters.Type], rules: [DetectorDescriptor] = []) {
    self.learned = learned
    self.rules = rules
  }

  /// All of them, sorted by type.
  public var descriptors: [DetectorDescriptor] {
    (learned.map { $0.descriptor } + rules).sorted { $0.type < $1.type }
  }

  /// The detector type of this name.
  public func descriptor(of type: String) -> DetectorDescriptor? { descriptors.first { $0.type == type } }
}
