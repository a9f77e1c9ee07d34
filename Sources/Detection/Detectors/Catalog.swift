// The detectors there are, in one visible list: `pulse list detectors`, the reference and the contract tests are made from
// it. A detector is added by its folder beside this file and by its entry here.

/// What a user needs to know about a type of detector.
public struct DetectorDescriptor: Sendable, Hashable {
  /// A key of the detector's or rule's section in `pipeline.yaml`.
  public struct Parameter: Sendable, Hashable {
    public var name: String
    /// What may be written: "expression", "duration", "int".
    public var type: String
    /// What holds when it is left out, as it would be written; nil when it must be given.
    public var defaultValue: String?
    public var meaning: String

    public init(_ name: String, _ type: String, default defaultValue: String? = nil, _ meaning: String) {
      self.name = name
      self.type = type
      self.defaultValue = defaultValue
      self.meaning = meaning
    }
  }

  /// Name of the type.
  public var type: String
  /// One line: what it finds.
  public var summary: String
  /// Whether it remembers earlier events, and so needs all events of an entity in one partition.
  public var isStateful: Bool
  public var parameters: [Parameter]
  /// Whether this version can run it.
  public var isAvailable: Bool

  public init(
    type: String, summary: String, isStateful: Bool, parameters: [Parameter] = [], isAvailable: Bool = true
  ) {
    self.type = type
    self.summary = summary
    self.isStateful = isStateful
    self.parameters = parameters
    self.isAvailable = isAvailable
  }

  /// What to tell someone who asks for a detector that this version cannot run; nil when it can.
  public var unavailability: String? { isAvailable ? nil : "detector type `\(type)` is not available yet" }
}

/// All types of detectors.
public enum DetectorCatalog {
  /// Sorted by type.
  public static let entries: [DetectorDescriptor] = [
    DetectorDescriptor(
      type: "expected_value", summary: "Learns the value a field should have and finds events far from it.",
      isStateful: false, isAvailable: false),
    DetectorDescriptor(
      type: "isolation_forest", summary: "Learns what events look like and finds those that are easy to tell apart.",
      isStateful: false, isAvailable: false),
    DetectorDescriptor(
      type: "onnx", summary: "Scores events with a model of your own in ONNX format.", isStateful: false,
      isAvailable: false),
    DetectorDescriptor(
      type: "rule", summary: "Finds every event that meets a condition; with `cool_down`, the first of an episode.",
      isStateful: false,
      parameters: [
        .init("when", "expression", "Condition on the event's fields and features."),
        .init("cool_down", "duration", default: "none", coolDown),
        .init("per", "list of names", default: "event.key", "What makes an entity for `cool_down`."),
      ] + commonParameters),
    DetectorDescriptor(
      type: "sliding_rule", summary: "Finds entities whose recent events together meet a condition.", isStateful: true,
      parameters: [
        .init("when", "expression", default: "every event", "Which events count."),
        .init("per", "list of names", "Fields or features that make an entity."),
        .init("within", "duration", "Length of the window of event time that ends at the entity's newest event."),
        .init("having", "expression", "Condition on count, sum, avg, min, max and distinct of the window."),
        .init("cool_down", "duration", default: "within", coolDown),
      ] + commonParameters),
  ]

  private static let coolDown = "Event time after a finding in which the entity raises no other."

  private static let commonParameters: [DetectorDescriptor.Parameter] = [
    .init("severity", "info, low, medium, high or critical", default: "medium", "How much a finding matters."),
    .init("reason", "text", default: "the condition with its values", "Template of the reason: `{name}` is a value."),
  ]

  /// The detector type of this name.
  public static func descriptor(of type: String) -> DetectorDescriptor? { entries.first { $0.type == type } }
}
