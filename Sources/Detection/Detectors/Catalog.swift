// The detectors there are, in one visible list: `pulse list detectors`, the reference and the contract tests are made from
// it. A detector is added by its folder beside this file and by its entry here.

/// What a user needs to know about a type of detector.
public struct DetectorDescriptor: Sendable, Hashable {
  /// A key of the detector's or rule's section in `pipeline.yaml`.
  public struct Parameter: Sendable, Hashable {
    public var name: String
    /// What may be written: "expression", "duration", "number".
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
  /// Whether it stands in `detectors:` and scores with a model; the others are rules.
  public var isLearned: Bool
  public var parameters: [Parameter]
  /// Whether this version can run it.
  public var isAvailable: Bool

  public init(
    type: String, summary: String, isStateful: Bool, isLearned: Bool = false, parameters: [Parameter] = [],
    isAvailable: Bool = true
  ) {
    self.type = type
    self.summary = summary
    self.isStateful = isStateful
    self.isLearned = isLearned
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
      type: "expected_value", summary: "Learns the value a field should have and finds events far above it.",
      isStateful: false, isLearned: true,
      parameters: [
        .init("target", "name", "The field or feature that is predicted: a number from 0 on."),
        .init("features", "list of names", "What it is predicted from: depends on `known_at: before_execution` only."),
        .init("quantile", "number", default: "0.9", "Level of the second prediction; the higher one is expected."),
        .init("floor", "number", default: "60000", "Target below which nothing is an anomaly, in its own unit."),
        .init("ratio", "number", default: "10", "Actual by expected from which on an event is an anomaly."),
        .init("delta", "number", default: "120000", "Actual less expected from which on an event is an anomaly."),
        .init(
          "misrank", "mapping or none", default: "{actual: 0.99, expected: 0.9, min_rows: 200}",
          "Quantiles of the entity: actual above the one, expected not above the other."),
        .init("least_expected", "number", default: "1", "Smallest expectation that is believed."),
        .init("trees", "int", default: "300", "Boosted trees of each prediction."),
        .init("leaves", "int", default: "31", "Leaves of a tree at most."),
        .init("learning_rate", "number", default: "0.1", "Share of its correction that a tree adds."),
        .init("budget", "mapping", default: "none", budget + " In place of `ratio` and `delta`; the floor stays."),
      ] + learnedParameters),
    DetectorDescriptor(
      type: "isolation_forest", summary: "Learns what events look like and finds those that are easy to tell apart.",
      isStateful: false, isLearned: true,
      parameters: [
        .init("features", "list of names", "What it looks at: numbers, booleans and fitted features."),
        .init("trees", "int", default: "100", "Trees of the forest."),
        .init("sample_size", "int", default: "256", "Rows that each tree is grown from."),
        .init("budget", "mapping", default: "{rate: 0.001}", budget),
      ] + learnedParameters),
    DetectorDescriptor(
      type: "onnx", summary: "Scores events with a model of your own in ONNX format.", isStateful: false,
      isLearned: true,
      parameters: [
        .init("model", "path", "The model, in the folder of the use case."),
        .init("features", "list of names", "Its inputs in the order of their names: numbers and booleans."),
        .init("input", "name", default: "the only one", "The model's input, a matrix of Float32."),
        .init("output", "name", default: "the first of floats", "The score: one number a row, or the second of two."),
        .init("threshold", "number", default: "0.5", "Score from which on an event is an anomaly."),
        .init("threads", "int", default: "1", "Threads that score a batch."),
        .init("provider", "name", default: "cpu", "Execution provider of the runtime."),
        .init("when", "expression", default: "every event", "Which events are scored."),
        .init("severity", "info, low, medium, high or critical", default: "medium", "How much a finding matters."),
      ]),
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

  private static let budget =
    "False alarms: {rate: 0.001} of the scored events or {per_entity_per_day: 2}; `tail: pareto` for rare ones."

  private static let learnedParameters: [DetectorDescriptor.Parameter] = [
    .init("when", "expression", default: "every event", "Which events are scored."),
    .init("train_when", "expression", default: "all of those", "Which of them are learned from."),
    .init("severity", "info, low, medium, high or critical", default: "medium", "How much a finding matters."),
  ]

  private static let commonParameters: [DetectorDescriptor.Parameter] = [
    .init("severity", "info, low, medium, high or critical", default: "medium", "How much a finding matters."),
    .init("reason", "text", default: "the condition with its values", "Template of the reason: `{name}` is a value."),
  ]

  /// The detector type of this name.
  public static func descriptor(of type: String) -> DetectorDescriptor? { entries.first { $0.type == type } }
}
