// What a user needs to know about the two types of rules. Their keys are one section, `rules:`, and the keys that are there
// say which of the two a rule is.

extension DetectorDescriptor {
  /// Every event that meets a condition.
  static let rule = DetectorDescriptor(
    type: "rule", summary: "Finds every event that meets a condition; with `cool_down`, the first of an episode.",
    isStateful: false,
    parameters: [
      .init("when", "expression", "Condition on the event's fields and features."),
      .init("cool_down", "duration", default: "none", coolDown),
      .init("per", "list of names", default: "event.key", "What makes an entity for `cool_down`."),
    ] + ruled)

  /// Entities by their recent events.
  static let slidingRule = DetectorDescriptor(
    type: "sliding_rule", summary: "Finds entities whose recent events together meet a condition.", isStateful: true,
    parameters: [
      .init("when", "expression", default: "every event", "Which events count."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("within", "duration", "Length of the window of event time that ends at the entity's newest event."),
      .init("having", "expression", "Condition on count, sum, avg, min, max and distinct of the window."),
      .init("cool_down", "duration", default: "within", coolDown),
    ] + ruled)

  private static let coolDown = "Event time after a finding in which the entity raises no other."
}
