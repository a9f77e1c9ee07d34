// A job as the API gives it.

import Detection
import Pipeline

/// A training among the jobs of a store.
struct TrainingJob: Sendable {
  static let kind = "train"

  let job: Job
  let useCase: String
  let detectors: [String]
  let promotes: Bool

  /// What is stored of it.
  static func arguments(_ useCase: String, _ detectors: [String], promotes: Bool) -> String {
    JSONText.object([
      ("use_case", JSONText.string(useCase)), ("detectors", JSONText.array(detectors.map { JSONText.string($0) })),
      ("promote", promotes ? "true" : "false"),
    ])
  }

  /// Names what is asked for: of one use case one at a time, since a second one would learn the same.
  static func key(_ useCase: String) -> String { "\(kind) \(useCase)" }

  /// - Returns: nil for a job of another kind.
  init?(_ job: Job) {
    guard job.kind == Self.kind, let arguments = try? JSONValue(parsing: Array(job.arguments.utf8)),
      let useCase = arguments["use_case"]?.string
    else { return nil }
    self.job = job
    self.useCase = useCase
    detectors = arguments["detectors"]?.array?.compactMap(\.string) ?? []
    promotes = arguments["promote"]?.bool ?? true
  }

  static let schema = JSONSchema.object([
    ("id", .integerText), ("kind", .string(among: [kind])), ("use_case", .string), ("detectors", .array(.string)),
    ("promote", .boolean), ("state", .string(among: Job.State.allCases.map(\.rawValue))), ("progress", .number),
    ("who", .string), ("created", .time), ("ended", JSONSchema.time.nullable), ("message", JSONSchema.string.nullable),
  ])

  var json: String {
    JSONText.object([
      ("id", JSONText.string(String(job.number))), ("kind", JSONText.string(Self.kind)),
      ("use_case", JSONText.string(useCase)), ("detectors", JSONText.array(detectors.map { JSONText.string($0) })),
      ("promote", promotes ? "true" : "false"), ("state", JSONText.string(job.state.rawValue)),
      ("progress", JSONText.number(job.progress)), ("who", JSONText.string(job.who)),
      ("created", JSONText.time(job.created)), ("ended", job.ended.map(JSONText.time) ?? "null"),
      ("message", JSONText.optional(job.outcome.map(Self.text))),
    ])
  }

  /// An outcome is a JSON string; what another version of the program has written is shown as it is.
  private static func text(_ outcome: String) -> String {
    (try? JSONValue(parsing: Array(outcome.utf8)))?.string ?? outcome
  }
}
