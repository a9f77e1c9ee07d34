// A use case as canonical text: two use cases that give the same results have the same text, however their files are
// laid out and commented, and the text is itself a `pipeline.yaml` (in the JSON subset of YAML, a line per entry) that
// reads back as the same use case. The activation log keeps it, so the form may only be extended: a use case that does
// not use a new key must keep its text.

extension UseCase {
  /// The canonical text. Everything that affects results is in it; what has its default value is left out.
  public var canonicalText: String {
    var lines = ["\"name\": \(jsonString(name)),", "\"event\": {"]
    lines += eventLines
    lines.append("}")
    func section(_ name: String, _ entries: [String], list: Bool) {
      guard !entries.isEmpty else { return }
      lines[lines.count - 1] += ","
      lines.append("\"\(name)\": \(list ? "[" : "{")")
      lines += entries.enumerated().map { $1 + ($0 + 1 < entries.count ? "," : "") }
      lines.append(list ? "]" : "}")
    }
    section("features", features.map(textEntry) + encoders.map(textEntry), list: false)
    if let classification {
      let cases = classification.cases.map { "{\(textEntry($0))}" }.joined(separator: ", ")
      section(
        "classify",
        [
          "\"into\": \(jsonString(classification.into))", "\"cases\": [\(cases)]",
          "\"else\": \(jsonString(classification.otherwise))",
        ], list: false)
    }
    section("detectors", detectors.map { jsonObject($0.members) }, list: true)
    section("rules", rules.map { jsonObject($0.members) }, list: true)
    section("windows", windows.map { jsonObject($0.members) }, list: true)
    if let historyRetention { section("history", ["\"retain\": \(durationText(historyRetention))"], list: false) }
    if let resultRetention { section("results", ["\"retain\": \(durationText(resultRetention))"], list: false) }
    section("training", training.members.map { "\"\($0.0)\": \($0.1)" }, list: false)
    return "{\n" + lines.joined(separator: "\n") + "\n}\n"
  }

  private var eventLines: [String] {
    let schema = event.schema
    var entries = ["\"time\": \(jsonString(schema.fields[schema.timeField].name))"]
    if let key = schema.keyField { entries.append("\"key\": \(jsonString(schema.fields[key].name))") }
    if event.outOfOrder != 0 { entries.append("\"out_of_order\": \(durationText(event.outOfOrder))") }
    if event.maxAhead != 86_400_000_000 { entries.append("\"max_ahead\": \(durationText(event.maxAhead))") }
    if let field = event.clockOf { entries.append("\"clock_of\": \(jsonString(schema.fields[field].name))") }
    if event.clockOf != nil, event.clockIdle != EventDefinition.defaultClockIdle {
      entries.append("\"clock_idle\": \(durationText(event.clockIdle))")
    }
    if let field = event.partitionedBy { entries.append("\"partitioned_by\": \(jsonString(field))") }
    if schema.unknownFields != .ignore {
      entries.append("\"unknown_fields\": \(jsonString(schema.unknownFields.rawValue))")
    }
    if schema.maxEventBytes != Limits.maxEventBytes { entries.append("\"max_event_bytes\": \(schema.maxEventBytes)") }
    if !event.checks.isEmpty {
      entries.append("\"checks\": {\(event.checks.map(textEntry).joined(separator: ", "))}")
    }
    let fields = schema.fields.map { "\(jsonString($0.name)): \(jsonObject($0.members))" }
    entries.append("\"fields\": {\n" + fields.joined(separator: ",\n") + "\n}")
    return entries.enumerated().map { $1 + ($0 + 1 < entries.count ? "," : "") }
  }
}

extension Field {
  fileprivate var members: [(String, String)] {
    var members = [("type", jsonString(type.name))]
    if case .timestamp(let format) = type, format != .automatic {
      members.append(("format", jsonString(format.rawValue)))
    }
    if path != name.split(separator: ".").map(String.init) {
      members.append(("path", "[\(path.map(jsonString).joined(separator: ", "))]"))
    }
    if required { members.append(("required", "true")) }
    if let defaultValue { members.append(("default", text(of: defaultValue))) }
    if let minimum { members.append(("min", text(of: minimum))) }
    if let maximum { members.append(("max", text(of: maximum))) }
    if let maxLength { members.append(("max_length", String(maxLength))) }
    if let allowed { members.append(("allowed", "[\(allowed.map(text).joined(separator: ", "))]")) }
    if let pattern { members.append(("pattern", jsonString(pattern))) }
    if numericStrings { members.append(("numeric_strings", "true")) }
    if let knownAt { members.append(("known_at", jsonString(knownAt.rawValue))) }
    return members
  }

  /// Of these, what decides which value an event has, not whether it is accepted.
  var valueMembers: [(String, String)] {
    members.filter { ["type", "format", "path", "default", "numeric_strings"].contains($0.0) }
  }
}

extension RuleDefinition {
  fileprivate var members: [(String, String)] {
    var members = [("name", jsonString(name)), ("severity", jsonString(severity.rawValue))]
    if let when { members.append(("when", jsonString(when.text))) }
    if !per.isEmpty { members.append(("per", "[\(per.map { jsonString($0.text) }.joined(separator: ", "))]")) }
    if let within { members.append(("within", durationText(within))) }
    if let having { members.append(("having", jsonString(having.text))) }
    if let coolDown { members.append(("cool_down", durationText(coolDown))) }
    if let reason { members.append(("reason", jsonString(reason.text))) }
    return members + (profile?.members ?? [])
  }
}

extension ProfileDefinition {
  fileprivate var members: [(String, String)] {
    switch self {
    case .streak(let length, let until): return [("streak", String(length)), ("until", jsonString(until.text))]
    case .newValue(let of, let remember, let expire, let learning):
      var members = [("new", jsonString(of.text))]
      if remember != Self.defaultRemember { members.append(("remember", String(remember))) }
      if expire != Self.defaultExpire { members.append(("expire", durationText(expire))) }
      return members + learning.members(beside: Self.newValueLearning)
    case .unusualHour(let of, let share, let halfLife, let untilLearned, let learning):
      var members = [("unusual_hour", jsonString(of.text))]
      if share != Self.defaultShare { members.append(("share", share.description)) }
      if halfLife != Self.defaultHalfLife { members.append(("half_life", durationText(halfLife))) }
      if let untilLearned { members.append(("until_learned", jsonString(untilLearned.text))) }
      return members + learning.members(beside: Self.hourLearning)
    case .sequence(let first, let then, let without):
      var members = [("first", jsonString(first.text)), ("then", jsonString(then.text))]
      if let without { members.append(("without", jsonString(without.text))) }
      return members
    case .travel(let latitude, let longitude, let speed, let distance):
      var members = [("travel", "[\(jsonString(latitude.text)), \(jsonString(longitude.text))]")]
      if speed != Self.defaultSpeed { members.append(("max_speed", speed.description)) }
      if distance != Self.defaultDistance { members.append(("min_distance", distance.description)) }
      return members
    }
  }
}

extension LearningDefinition {
  fileprivate func members(beside standard: LearningDefinition) -> [(String, String)] {
    var members: [(String, String)] = []
    if count != standard.count { members.append(("learn", String(count))) }
    if time != standard.time { members.append(("learn_for", durationText(time))) }
    return members
  }
}

extension WindowDefinition {
  fileprivate var members: [(String, String)] {
    var members = [("name", jsonString(name)), ("type", jsonString(kind.rawValue)), ("size", durationText(size))]
    if kind == .sliding { members.append(("every", durationText(every))) }
    if !by.isEmpty { members.append(("by", "[\(by.map { jsonString($0.text) }.joined(separator: ", "))]")) }
    if allowedLateness != 0 { members.append(("allowed_lateness", durationText(allowedLateness))) }
    if let retain { members.append(("retain", durationText(retain))) }
    members.append(("aggregates", "{\(aggregates.map(textEntry).joined(separator: ", "))}"))
    return members
  }
}

func jsonObject(_ members: [(String, String)]) -> String {
  "{\(members.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", "))}"
}

func textEntry(_ expression: NamedExpression) -> String {
  "\(jsonString(expression.name)): \(jsonString(expression.expression.text))"
}

/// Whole milliseconds, the smallest unit that a file can hold.
func durationText(_ microseconds: Int64) -> String { "\"\(microseconds / 1_000)ms\"" }

private func text(of scalar: Scalar) -> String {
  switch scalar {
  case .null: "null"
  case .int(let value): String(value)
  case .double(let value): value.description
  case .bool(let value): String(value)
  case .string(let value): jsonString(value)
  case .timestamp(let value): jsonString(Timestamp.format(value, alwaysMicroseconds: true))
  }
}

/// A JSON string: control characters and line separators escaped.
func jsonString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{A0}", "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}":
      let hex = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
