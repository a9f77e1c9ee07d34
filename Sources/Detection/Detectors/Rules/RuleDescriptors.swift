// What a user needs to know about the types of rules. Their keys are one section, `rules:`, and the keys that are there say
// which of them a rule is.

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

  /// Events in a row.
  static let streak = DetectorDescriptor(
    type: "streak", summary: "Finds so many events in a row of an entity, with none of another kind between.",
    isStateful: true,
    parameters: [
      .init("streak", "int", "How many in a row."),
      .init("when", "expression", "Which events count."),
      .init("until", "expression", "Which events break the row."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("within", "duration", "Event time in which they lie."),
      .init("cool_down", "duration", default: "within", coolDown),
    ] + ruled)

  /// Values that an entity has not had.
  static let newValue = DetectorDescriptor(
    type: "new_value", summary: "Finds values that an entity has not had before.", isStateful: true,
    parameters: [
      .init("new", "expression", "The value that is looked at."),
      .init("when", "expression", default: "every event", "Which events count."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("learn", "int", default: "10", "Events of an entity before one of its values is new."),
      .init("learn_for", "duration", default: "0s", "Event time since its first event before one is."),
      .init("remember", "int", default: "16", "Values of an entity that are remembered."),
      .init("expire", "duration", default: "90d", "Event time after which a value that was not seen is new again."),
      .init("cool_down", "duration", default: "none", coolDown),
    ] + ruled)

  /// Hours at which an entity is seldom active.
  static let unusualHour = DetectorDescriptor(
    type: "unusual_hour", summary: "Finds entities that are active at an hour of the day unusual for them.",
    isStateful: true,
    parameters: [
      .init("unusual_hour", "expression", "The time whose hour is looked at: the event's, or that in its zone."),
      .init("when", "expression", default: "every event", "Which events count."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("share", "number", default: "0.02", "Share of the entity's active hours below which an hour is unusual."),
      .init("half_life", "duration", default: "30d", "Event time after which an active hour counts half."),
      .init("learn", "int", default: "40", "Active hours of an entity, as they count now, before one is unusual."),
      .init("learn_for", "duration", default: "7d", "Event time since its first event before one is."),
      .init("until_learned", "expression", default: "none", "What is found of an entity of which less is known."),
      .init("cool_down", "duration", default: "1h", coolDown),
    ] + ruled)

  /// One event behind another.
  static let sequence = DetectorDescriptor(
    type: "sequence", summary: "Finds an event that follows another one, with none of a third kind between.",
    isStateful: true,
    parameters: [
      .init("first", "expression", "The event that begins a sequence."),
      .init("then", "expression", "The event that ends it."),
      .init("without", "expression", default: "none", "An event that breaks it."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("within", "duration", "Less than this lies between the two, in event time."),
      .init("cool_down", "duration", default: "within", coolDown),
    ] + ruled)

  /// Places too far apart.
  static let travel = DetectorDescriptor(
    type: "travel", summary: "Finds entities in two places that are too far apart for the time between.",
    isStateful: true,
    parameters: [
      .init("travel", "list of two expressions", "Latitude and longitude in degrees."),
      .init("when", "expression", default: "every event", "Which events count."),
      .init("per", "list of names", "Fields or features that make an entity."),
      .init("within", "duration", "Event time in which a place is compared with the one before."),
      .init("max_speed", "number", default: "900", "Kilometres an hour that are possible."),
      .init("min_distance", "number", default: "100", "Kilometres that say nothing, because places are not exact."),
      .init("cool_down", "duration", default: "none", coolDown),
    ] + ruled)

  private static let coolDown = "Event time after a finding in which the entity raises no other."
}
