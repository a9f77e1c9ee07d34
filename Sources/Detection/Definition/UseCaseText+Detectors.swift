// The canonical text of learned detectors, fitted features and training. What has its default value is left out.

func textEntry(_ encoder: EncoderDefinition) -> String {
  let members = encoder.kind.members + [("of", jsonString(encoder.of.text))]
  return "\(jsonString(encoder.name)): \(jsonObject(members))"
}

extension EncoderKind {
  var members: [(String, String)] {
    var members = [("encoder", jsonString(name))]
    func add(_ name: String, _ value: Double, unless usual: Double) {
      if value != usual { members.append((name, value.description)) }
    }
    switch self {
    case .frequency, .ordinal, .scale: break
    case .frequencyBucket(let rareBelow, let commonFrom):
      add("rare_below", rareBelow, unless: Self.defaultRareBelow)
      add("common_from", commonFrom, unless: Self.defaultCommonFrom)
    case .clip(let lower, let upper):
      add("lower", lower, unless: Self.defaultLower)
      add("upper", upper, unless: Self.defaultUpper)
    }
    return members
  }
}

extension DetectorDefinition {
  var members: [(String, String)] {
    var own = CanonicalMembers()
    parameters.write(to: &own)
    var members = [("name", jsonString(name)), ("type", jsonString(type))] + own.members
    members.append(("features", "[\(features.map { jsonString($0.text) }.joined(separator: ", "))]"))
    if let when { members.append(("when", jsonString(when.text))) }
    if let trainWhen { members.append(("train_when", jsonString(trainWhen.text))) }
    members.append(("severity", jsonString(severity.rawValue)))
    if let budget { members.append(("budget", jsonObject(budget.members))) }
    return members
  }
}

extension FalseAlarmBudget {
  var members: [(String, String)] {
    let tail = fitsTail ? [("tail", jsonString("pareto"))] : []
    switch amount {
    case .rate(let rate): return [("rate", rate.description)] + tail
    case .perEntityAndDay(let count): return [("per_entity_per_day", count.description)] + tail
    }
  }
}

extension TrainingDefinition {
  var members: [(String, String)] {
    let usual = Self()
    var members: [(String, String)] = []
    if schedule != usual.schedule {
      switch schedule {
      case .every(let length): members.append(("schedule", durationText(length)))
      case .manual: members.append(("schedule", jsonString("manual")))
      }
    }
    if history != usual.history { members.append(("history", durationText(history))) }
    if maxRows != usual.maxRows { members.append(("max_rows", String(maxRows))) }
    return members
  }
}

/// The members of a JSON object, in their order: how a type of detector says its parameters in the canonical text.
public struct CanonicalMembers: Sendable {
  private(set) var members: [(String, String)] = []

  public init() {}

  /// Adds a text; nothing for nil.
  public mutating func add(_ name: String, text: String?) {
    if let text { members.append((name, jsonString(text))) }
  }

  /// Adds a number, unless it is the one that holds where none is written.
  public mutating func add<Number: Numeric & CustomStringConvertible>(
    _ name: String, _ value: Number, unless usual: Number? = nil
  ) {
    if value != usual { members.append((name, value.description)) }
  }

  /// Adds an object.
  public mutating func add(_ name: String, object: CanonicalMembers) {
    members.append((name, jsonObject(object.members)))
  }
}
