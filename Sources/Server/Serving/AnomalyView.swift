// An anomaly as the API gives it: as lists and `--json` have it, with what was measured and what people said of it.

import Detection
import Foundation
import Pipeline

/// Anomalies as JSON.
struct AnomalyView: Sendable {
  let useCase: ServedUseCase
  /// What was said of findings, by their ids.
  let feedback: [String: Feedback]

  /// What a detector foresees; nil where it foresees nothing.
  static func target(of detector: DetectorDefinition) -> String? {
    detector.parameters.predicted?.text
  }

  static let measure = JSONSchema.object([
    ("field", .string), ("unit", JSONSchema.string.nullable), ("actual", .number), ("expected", .number),
  ])

  static let feedbackSchema = JSONSchema.object([
    ("verdict", .string(among: Feedback.Verdict.allCases.map(\.word))), ("who", .string), ("time", .time),
    ("note", .string),
  ])

  private static let position = JSONSchema.object([
    ("source", .string), ("partition", .integer), ("segment", .count), ("offset", .integer), ("row", .integer),
  ])

  static let members: [(String, JSONSchema)] = [
    ("id", .string), ("use_case", .string), ("detector", .string), ("subject?", .string), ("event_time", .time),
    ("key", .string), ("score", .number), ("severity", .string(among: Severity.allCases.map(\.rawValue))),
    ("reason", .string), ("position", position), ("model", JSONSchema.string.nullable),
    (
      "explanation",
      .object([
        (
          "contributions",
          .array(.object([("feature", .string), ("value", .anything), ("contribution", .number)]))
        ), ("expected", JSONSchema.number.nullable), ("range", JSONSchema.array(.number).nullable),
        ("clause", JSONSchema.string.nullable),
      ])
    ), ("event", .map(.anything)),
    ("measure", measure.nullable.saying("What was found and what was expected, where that is one number.")),
    ("feedback", feedbackSchema.nullable),
  ]

  func json(_ anomaly: StoredAnomaly, _ more: [(String, String)] = []) -> String {
    let extra = JSONText.object(
      [
        ("measure", measure(anomaly) ?? "null"),
        ("feedback", feedback[anomaly.id].map(Self.json) ?? "null"),
      ] + more)
    return String(anomaly.json.dropLast()) + "," + extra.dropFirst()
  }

  static func json(_ feedback: Feedback) -> String {
    JSONText.object([
      ("verdict", JSONText.string(feedback.verdict.word)), ("who", JSONText.string(feedback.who)),
      ("time", JSONText.time(feedback.time)), ("note", JSONText.string(feedback.note)),
    ])
  }

  /// What was found and what was expected.
  func measure(_ anomaly: StoredAnomaly) -> String? {
    guard let explanation = Self.object(anomaly.explanation) else { return nil }
    func text(_ field: String, _ actual: Double, _ expected: Double) -> String {
      JSONText.object([
        ("field", JSONText.string(field)), ("unit", JSONText.optional(useCase.dashboard.units[field])),
        ("actual", JSONText.number(actual)), ("expected", JSONText.number(expected)),
      ])
    }
    if let definition = useCase.plan.useCase.detectors.first(where: { $0.name == anomaly.detector }) {
      guard let target = Self.target(of: definition) else { return text("score", anomaly.score, 1) }
      guard let expected = (explanation["expected"] as? NSNumber)?.doubleValue,
        let actual = Self.number(of: target, in: anomaly)
      else { return nil }
      return text(target, actual, expected)
    }
    guard let part = (explanation["contributions"] as? [[String: Any]])?.first, let field = part["feature"] as? String,
      let actual = (part["value"] as? NSNumber)?.doubleValue,
      let bound = ((explanation["range"] as? [Any])?.last as? NSNumber)?.doubleValue
        ?? Self.bound(of: field, in: explanation["clause"] as? String)
    else { return nil }
    return text(field, actual, bound)
  }

  /// The number that a clause compares a field with: `spilled_mb > 100000`.
  private static func bound(of field: String, in clause: String?) -> Double? {
    guard let parts = clause?.split(separator: " "), parts.count == 3, parts[0] == field,
      [">", ">="].contains(parts[1])
    else { return nil }
    return Double(parts[2])
  }

  /// What was expected; nil where nothing was.
  static func expected(of anomaly: StoredAnomaly) -> Double? {
    (object(anomaly.explanation)?["expected"] as? NSNumber)?.doubleValue
  }

  /// A number of the event.
  static func number(of field: String, in anomaly: StoredAnomaly) -> Double? {
    (value(of: field, in: anomaly) as? NSNumber)?.doubleValue
  }

  /// A value of the event as text; nil where it has none.
  static func text(of field: String, in anomaly: StoredAnomaly) -> String? {
    guard let value = value(of: field, in: anomaly), !(value is NSNull) else { return nil }
    return "\(value)"
  }

  private static func value(of field: String, in anomaly: StoredAnomaly) -> Any? {
    var value: Any? = object(anomaly.event)
    if let direct = (value as? [String: Any])?[field] { return direct }
    for part in field.split(separator: ".") { value = (value as? [String: Any])?[String(part)] }
    return value
  }

  private static func object(_ json: String) -> [String: Any]? {
    try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
  }
}

extension Feedback.Verdict {
  /// As the API says it.
  var word: String { self == .real ? "confirmed" : rawValue }

  /// - Returns: nil where it is no such word.
  init?(word: String) {
    guard let found = Self.allCases.first(where: { $0.word == word }) else { return nil }
    self = found
  }
}
