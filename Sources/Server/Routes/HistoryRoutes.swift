// Questions that history answers: what happened on an entity around an anomaly, and how usual its value is.

import Detection
import Foundation
import HTTPTypes
import Pipeline

struct HistoryRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}/anomalies/{id}"
  private static let id = Parameter("id", in: .path, "The anomaly.", .string(upTo: 400))

  var endpoints: [Endpoint] { [events, distribution] }

  /// An anomaly with the number that it is about.
  private struct Subject {
    var useCase: ServedUseCase
    var anomaly: StoredAnomaly
    /// Its values as text; fields that are null are absent.
    var event: [String: String]
    /// The field that a detector of the use case foresees.
    var target: String
  }

  private static func subject(_ call: Call, _ services: Services, ownTarget: Bool) async throws -> Subject {
    let useCase = try services.catalog.useCase(of: call)
    let (anomaly, _) = try await AnomalyRoutes.found(call, useCase)
    let detectors = useCase.plan.useCase.detectors
    let own = detectors.first { $0.name == anomaly.detector }.flatMap { AnomalyView.target(of: $0) }
    let target = own ?? (ownTarget ? nil : detectors.lazy.compactMap { AnomalyView.target(of: $0) }.first)
    guard let target, useCase.plan.schema.index(of: target) != nil else {
      throw Problem.notFound("Nothing was foreseen of this one.")
    }
    let event = (try? JSONSerialization.jsonObject(with: Data(anomaly.event.utf8)) as? [String: Any]) ?? [:]
    let texts = event.filter { !($0.value is NSNull) }.mapValues { "\($0)" }
    return Subject(useCase: useCase, anomaly: anomaly, event: texts, target: target)
  }

  // MARK: Around it

  private static let before: Int64 = 30 * 60_000_000
  private static let behind: Int64 = 4 * 60_000_000
  private static let mostEvents = 2_000

  private var events: Endpoint {
    let item = JSONSchema.object([("time", .time), ("value", .number), ("same", .boolean)])
    let anomaly = JSONSchema.object([
      ("id", .string), ("time", .time), ("value", .number), ("detector", .string), ("severity", .string),
      ("ratio", JSONSchema.number.nullable),
    ])
    return Endpoint(
      method: .get, path: Self.base + "/events", tag: "anomalies",
      summary: "The events of its entity from half an hour before to 4 minutes behind, oldest first", access: .read,
      parameters: [Parameters.useCase, Self.id],
      answers: [
        .init(
          .ok, "At most 2,000, the nearest ones; anomalies apart.",
          .json(
            .object([
              ("from", .time), ("to", .time), ("field", .string), ("unit", JSONSchema.string.nullable),
              ("total", .count),
              ("same_label", JSONSchema.string.nullable), ("items", .array(item)), ("anomalies", .array(anomaly)),
            ])))
      ],
      respond: { [services] call in
        let subject = try await Self.subject(call, services, ownTarget: false)
        return Reply(try await Self.around(subject))
      })
  }

  private static func around(_ subject: Subject) async throws -> String {
    let (useCase, anomaly, target) = (subject.useCase, subject.anomaly, subject.target)
    let from = anomaly.eventTime.subtractingSaturated(before)
    let to = anomaly.eventTime.addingSaturated(behind)
    let same = useCase.dashboard.same
    let history = EntityHistory(useCase, fields: Set([target, same].compactMap { $0 }))
    let found = try await blocking {
      try history.events(of: anomaly.key, from: from, to: to, near: anomaly.eventTime, limit: mostEvents)
    }
    var filter = ResultFilter()
    (filter.useCase, filter.keys, filter.from, filter.to, filter.limit) = (useCase.name, [anomaly.key], from, to, 200)
    let anomalies = try await useCase.store.reader.read { [filter] in try await $0.anomalies(filter) }
    let times = Set(anomalies.map(\.eventTime))
    let sameValue = same.flatMap { subject.event[$0] }
    let items = found.compactMap { event -> String? in
      guard !times.contains(event.time), let value = event.values[target]?.double else { return nil }
      let isSame = sameValue != nil && same.flatMap { event.values[$0]?.plainText } == sameValue
      return JSONText.object([
        ("time", JSONText.time(event.time)), ("value", JSONText.number(value)), ("same", isSame ? "true" : "false"),
      ])
    }
    let marks = anomalies.compactMap { other -> String? in
      guard let value = AnomalyView.number(of: target, in: other) else { return nil }
      let expected = AnomalyView.expected(of: other)
      return JSONText.object([
        ("id", JSONText.string(other.id)), ("time", JSONText.time(other.eventTime)), ("value", JSONText.number(value)),
        ("detector", JSONText.string(other.detector)), ("severity", JSONText.string(other.severity)),
        ("ratio", expected.flatMap { $0 > 0 ? JSONText.number(value / $0) : nil } ?? "null"),
      ])
    }
    return JSONText.object([
      ("from", JSONText.time(from)), ("to", JSONText.time(to)), ("field", JSONText.string(target)),
      ("unit", JSONText.optional(useCase.dashboard.units[target])), ("total", String(found.count)),
      ("same_label", JSONText.optional(sameValue == nil ? nil : "same \(useCase.dashboard.event.one)")),
      ("items", JSONText.array(items)), ("anomalies", JSONText.array(marks)),
    ])
  }

  // MARK: How usual it is

  private static let mostSame = 500
  private static let week: Int64 = 7 * Timestamp.microsecondsPerDay

  private var distribution: Endpoint {
    let bin = JSONSchema.object([("from", .number), ("to", .number), ("count", .count)])
    let group = JSONSchema.object([("label", .string), ("count", .count)])
    let same = JSONSchema.object([
      ("label", .string), ("count", .count), ("values", .array(.number)), ("hours", .count),
    ])
    return Endpoint(
      method: .get, path: Self.base + "/distribution", tag: "anomalies",
      summary: "How the value is spread over events like it in the week before, ten bins a decade", access: .read,
      parameters: [Parameters.useCase, Self.id],
      answers: [
        .init(
          .ok, "Bins that are not empty, ascending.",
          .json(
            .object([
              ("field", .string), ("unit", JSONSchema.string.nullable), ("scale", .string(among: ["log10"])),
              ("bins", .array(bin)), ("group", group), ("same", same.nullable),
              ("marks", .array(.object([("value", .number), ("label", .string)]))),
              ("threshold", JSONSchema.number.nullable),
            ])))
      ],
      respond: { [services] call in
        let subject = try await Self.subject(call, services, ownTarget: true)
        return Reply(try await blocking { try Self.distribution(subject) })
      })
  }

  private static func distribution(_ subject: Subject) throws -> String {
    let (useCase, anomaly, target) = (subject.useCase, subject.anomaly, subject.target)
    let fields = [target, useCase.dashboard.like, useCase.dashboard.same].compactMap { $0 }
    let history = EntityHistory(useCase, fields: Set(fields))
    let to = anomaly.eventTime.addingSaturated(1)
    let from = to.subtractingSaturated(week)
    return try useCase.distributions.answer(to: anomaly, in: history.shards(from: from, to: to)) {
      try distribution(subject, in: history, from: from, to: to)
    }
  }

  private static func distribution(
    _ subject: Subject, in history: EntityHistory, from: Int64, to: Int64
  ) throws -> String {
    let (useCase, anomaly, target) = (subject.useCase, subject.anomaly, subject.target)
    let (like, same) = (useCase.dashboard.like, useCase.dashboard.same)
    let (likeValue, sameValue) = (like.flatMap { subject.event[$0] }, same.flatMap { subject.event[$0] })
    var bins: [Int: Int] = [:]
    var (count, sameCount) = (0, 0)
    var sames: [(time: Int64, value: Double)] = []
    try history.forEachBatch(from: from, to: to) { batch, schema in
      guard let key = schema.keyField, let column = schema.index(of: target) else { return false }
      let (likeColumn, sameColumn) = (like.flatMap { schema.index(of: $0) }, same.flatMap { schema.index(of: $0) })
      for row in 0..<batch.count where batch.eventTimes[row] < to && batch.columns[key][row].plainText == anomaly.key {
        guard let number = batch.columns[column][row].double, number > 0, number.isFinite else { continue }
        if let sameColumn, sameValue != nil, batch.columns[sameColumn][row].plainText == sameValue {
          sameCount += 1
          sames.append((batch.eventTimes[row], number))
        }
        if let likeColumn, batch.columns[likeColumn][row].plainText != likeValue { continue }
        count += 1
        bins[Int((log10(number) * 10).rounded(.down)), default: 0] += 1
      }
      return true
    }
    sames.sort { $0.time > $1.time }
    let binTexts = bins.sorted { $0.key < $1.key }.map { bin, count in
      JSONText.object([
        ("from", JSONText.number(pow(10, Double(bin) / 10))), ("to", JSONText.number(pow(10, Double(bin + 1) / 10))),
        ("count", String(count)),
      ])
    }
    let entity = "\(useCase.dashboard.entity.one) \(anomaly.key)"
    let sameText =
      sames.count < 2
      ? "null"
      : JSONText.object([
        ("label", JSONText.string("runs of this \(useCase.dashboard.event.one)")), ("count", String(sameCount)),
        ("values", JSONText.array(sames.prefix(mostSame).map { JSONText.number($0.value) })), ("hours", "168"),
      ])
    let rule = useCase.plan.useCase.detectors.first { $0.name == anomaly.detector }?.parameters
    let marks = rule?.leastAnomalous.map {
      [JSONText.object([("value", JSONText.number($0)), ("label", JSONText.string("floor"))])]
    }
    let threshold = AnomalyView.expected(of: anomaly).flatMap { rule?.anomalous(from: $0) }
    return JSONText.object([
      ("field", JSONText.string(target)), ("unit", JSONText.optional(useCase.dashboard.units[target])),
      ("scale", JSONText.string("log10")), ("bins", JSONText.array(binTexts)),
      (
        "group",
        JSONText.object([
          ("label", JSONText.string(likeValue.map { "\($0) of \(entity)" } ?? entity)), ("count", String(count)),
        ])
      ), ("same", sameText), ("marks", JSONText.array(marks ?? [])),
      ("threshold", threshold.map(JSONText.number) ?? "null"),
    ])
  }
}

extension Scalar {
  /// The value as a number; nil where it is none.
  fileprivate var double: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
}
