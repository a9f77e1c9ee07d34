// The learned detectors of a use case with everything that a page about them shows: versions, from where on each scored, drift,
// and what was done.

import Detection
import Foundation
import Learning
import Operations
import Pipeline

/// Learned detectors as JSON.
struct ModelView: Sendable {
  private let useCase: ServedUseCase
  private let drift: [DriftCounts]
  private let activations: [(activation: Activation, time: Int64?)]
  private let watermark: Int64?

  /// Versions of a detector that are shown, beside the champion: the newest.
  private static let mostVersions = ModelCatalog.mostLookedAt
  private static let mostRecords = 20

  init(_ useCase: ServedUseCase) async throws {
    self.useCase = useCase
    (drift, watermark) = try await useCase.store.reader.read { snapshot in
      (
        try await snapshot.drift(of: useCase.name, detector: nil),
        try await snapshot.status(of: useCase.name, counting: false).compactMap(\.watermark).min()
      )
    }
    activations = try await ActivationView.timed(useCase)
  }

  static let version = JSONSchema.object([
    ("version", .string), ("champion", .boolean), ("manifest", .anything),
    (
      "splits",
      JSONSchema.map(.number).nullable.saying(
        "Which share of the splits of its trees tests which input; null until its model was looked at, seconds after it came."
      )
    ), ("error", JSONSchema.string.nullable.saying("Why it cannot score, as far as that is known.")),
  ])

  private static let driftSchema = JSONSchema.object([
    ("version", .string), ("notable", .number), ("days", .array(.string)),
    (
      "items",
      .array(.object([("name", .string), ("is_score", .boolean), ("index", .array(JSONSchema.number.nullable))]))
    ),
  ]).saying(
    "The population stability index of each input and of the score, by day; from `notable` on it is worth a look.")

  static let detector = JSONSchema.object([
    ("detector", .string), ("type", .string), ("summary", .string), ("champion", JSONSchema.string.nullable),
    (
      "candidate",
      JSONSchema.string.nullable.saying("The newest version that was made after the champion.")
    ),
    ("previous", JSONSchema.string.nullable.saying("What a rollback goes back to.")),
    ("versions", .array(.reference("Version"))),
    (
      "scores_from",
      .array(.object([("version", .string), ("record", .integer), ("time", JSONSchema.time.nullable)]))
    ), ("drift", driftSchema.nullable),
    ("record", .array(.object([("time", .time), ("version", .string), ("text", .string)]))),
  ])

  var json: String {
    get throws {
      let items = try useCase.plan.detectors.map { try json(of: $0.definition) }
      let first = try useCase.figures.now.windows.firstStart
      return JSONText.object([
        ("items", JSONText.array(items)), ("total", String(items.count)), ("next", "null"),
        ("from", first.map(JSONText.time) ?? "null"), ("to", watermark.map(JSONText.time) ?? "null"),
        ("next_training", nextTraining.map(JSONText.time) ?? "null"),
      ])
    }
  }

  private var nextTraining: Int64? {
    guard case .every(let time) = useCase.plan.useCase.training.schedule, let watermark else { return nil }
    return watermark.addingSaturated(time)
  }

  private func json(of detector: DetectorDefinition) throws -> String {
    let versions = (try? useCase.versions.list(of: detector.name)) ?? []
    let listed = versions.map(\.listed)
    let record = try? useCase.versions.champion(of: detector.name)
    let champion = record?.version
    let place = listed.firstIndex { $0.version == champion }
    let candidate = listed.suffix(from: place.map { $0 + 1 } ?? 0).last { $0.error == nil && $0.version != nil }?
      .version
    let newest = versions.suffix(Self.mostVersions)
    let shown =
      versions.filter { one in one.listed.isChampion && !newest.contains { $0.listed.version == one.listed.version } }
      + newest
    let scores = activations.filter { $0.activation.kind == .model && $0.activation.detector == detector.name }.map {
      JSONText.object([
        ("version", JSONText.string($0.activation.version)), ("record", String($0.activation.from.row)),
        ("time", $0.time.map(JSONText.time) ?? "null"),
      ])
    }
    return JSONText.object([
      ("detector", JSONText.string(detector.name)), ("type", JSONText.string(detector.type)),
      ("summary", JSONText.string(Self.summary(of: detector))), ("champion", JSONText.optional(champion)),
      ("candidate", JSONText.optional(candidate)), ("previous", JSONText.optional(record?.previous)),
      ("versions", JSONText.array(shown.map(Self.json))), ("scores_from", JSONText.array(scores)),
      ("drift", champion.flatMap { drift(of: $0, detector.name) } ?? "null"),
      ("record", JSONText.array(events(listed, record))),
    ])
  }

  private static func summary(of detector: DetectorDefinition) -> String {
    if let target = AnomalyView.target(of: detector) {
      return "foresees \(target) from \(detector.features.count) inputs"
    }
    return "looks at \(detector.features.count) inputs"
  }

  private static func json(_ version: ModelCatalog.Version) -> String {
    let splits = version.splits.map { JSONText.object($0.map { ($0.name, JSONText.number($0.share)) }) }
    return JSONText.object([
      ("version", JSONText.string(version.listed.version ?? "?")),
      ("champion", version.listed.isChampion ? "true" : "false"),
      ("manifest", version.manifest ?? "null"), ("splits", splits ?? "null"),
      ("error", JSONText.optional(version.listed.error?.description)),
    ])
  }

  /// Trainings, promotions and rollbacks, newest first.
  private func events(_ listed: [ListedModel], _ record: ChampionRecord?) -> [String] {
    let history = record?.history ?? []
    let promoted = Set(history.map(\.version))
    var events: [(time: Int64, version: String, text: String)] = listed.compactMap { model in
      guard let version = model.version, let manifest = model.manifest else { return nil }
      let gate = manifest.gate.map { $0.passed ? "passed the gate" : "did not pass the gate" }
      let origin = manifest.importedFrom.map { "imported from \($0)" } ?? "trained"
      let rest = [gate, promoted.contains(version) ? nil : "not promoted"].compactMap { $0 }.joined(separator: ", ")
      return (manifest.created, version, "\(version) \(origin)\(rest.isEmpty ? "" : "; \(rest)")")
    }
    events += history.map { ($0.at, $0.version, "\($0.version) champion: \($0.reason)") }
    return events.sorted { ($1.time, $1.text) < ($0.time, $0.text) }.prefix(Self.mostRecords).map {
      JSONText.object([
        ("time", JSONText.time($0.time)), ("version", JSONText.string($0.version)), ("text", JSONText.string($0.text)),
      ])
    }
  }

  private func drift(of version: String, _ detector: String) -> String? {
    guard let reference = useCase.versions.drift(of: version, of: detector) else { return nil }
    var days: [String] = []
    var order: [Drift] = []
    var series: [String: [String?]] = [:]
    for day in drift where day.detector == detector && day.version == version {
      let drifts = reference.stability(of: day)
      if drifts.isEmpty { continue }
      days.append(Timestamp.day(of: day.day * Timestamp.microsecondsPerDay))
      for drift in drifts {
        if series[drift.name] == nil { order.append(drift) }
        let missing = days.count - 1 - (series[drift.name]?.count ?? 0)
        series[drift.name, default: []] += [String?](repeating: nil, count: missing) + [JSONText.number(drift.index)]
      }
    }
    let items = order.map { drift in
      JSONText.object([
        ("name", JSONText.string(drift.name)), ("is_score", drift.isScore ? "true" : "false"),
        ("index", JSONText.array((series[drift.name] ?? []).map { $0 ?? "null" })),
      ])
    }
    return JSONText.object([
      ("version", JSONText.string(version)), ("notable", JSONText.number(Drift.notable)),
      ("days", JSONText.array(days.map { JSONText.string($0) })), ("items", JSONText.array(items)),
    ])
  }
}
