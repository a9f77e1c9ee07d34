// What people think of findings. A false alarm may be meant for more than one finding: which ones that would be is shown
// before it is said. It marks what is stored; what is found later is not judged by it.

import Detection
import Foundation
import HTTPTypes
import Pipeline

struct FeedbackRoutes {
  let services: Services

  /// Findings that one word marks at most.
  private static let mostMarked = 5_000
  private static let mostExamples = 5

  var endpoints: [Endpoint] { [scopes, give, takeBack] }

  /// Which findings a word is meant for.
  private enum Scope: String, CaseIterable {
    /// The one it is said of.
    case this
    /// Those of its detector and entity whose event is the same thing again.
    case same
    /// Those of its detector and entity whose event is of the same kind.
    case kind
    /// Those of its detector and entity.
    case entity

    /// The field whose values must be equal; nil where none must.
    func field(_ dashboard: DashboardDefinition) -> String? {
      switch self {
      case .this, .entity: nil
      case .same: dashboard.same
      case .kind: dashboard.like
      }
    }

    /// Whether the use case knows this scope, and the event has what it needs.
    func applies(to anomaly: StoredAnomaly, _ dashboard: DashboardDefinition) -> Bool {
      if self == .this || self == .entity { return true }
      return field(dashboard).flatMap { FeedbackRoutes.value(of: $0, in: anomaly) } != nil
    }

    func label(_ anomaly: StoredAnomaly, _ dashboard: DashboardDefinition) -> String {
      let entity = "\(dashboard.entity.one) \(anomaly.key)"
      switch self {
      case .this: return "Only this one"
      case .same: return "This \(dashboard.event.one) on \(entity)"
      case .kind: return "\(field(dashboard).flatMap { FeedbackRoutes.value(of: $0, in: anomaly) } ?? "") on \(entity)"
      case .entity: return "\(anomaly.detector) on \(entity)"
      }
    }
  }

  private static func value(of field: String, in anomaly: StoredAnomaly) -> String? {
    let event = try? JSONSerialization.jsonObject(with: Data(anomaly.event.utf8)) as? [String: Any]
    guard let value = event?[field], !(value is NSNull) else { return nil }
    return "\(value)"
  }

  /// The findings that a scope reaches, newest first, the one itself among them.
  private static func found(
    _ scope: Scope, of anomaly: StoredAnomaly, _ useCase: ServedUseCase
  ) async throws -> [StoredAnomaly] {
    if scope == .this { return [anomaly] }
    var filter = ResultFilter()
    (filter.useCase, filter.name, filter.keys) = (useCase.name, anomaly.detector, [anomaly.key])
    filter.limit = mostMarked
    let all = try await useCase.store.reader.read { [filter] in try await $0.anomalies(filter) }
    let wanted = scope.field(useCase.dashboard).map { ($0, value(of: $0, in: anomaly)) }
    let others = all.filter { other in
      other.id != anomaly.id && (wanted.map { field, value in Self.value(of: field, in: other) == value } ?? true)
    }
    // The one itself is meant, however many newer ones there are.
    let place = others.firstIndex { $0.eventTime < anomaly.eventTime } ?? others.count
    return others[..<place] + [anomaly] + others[place...]
  }

  private var scopes: Endpoint {
    let example = JSONSchema.object([
      ("id", .string), ("event_time", .time), ("measure", AnomalyView.measure.nullable),
    ])
    let item = JSONSchema.object([
      ("scope", .string(among: Scope.allCases.map(\.rawValue))), ("label", .string),
      ("detail", JSONSchema.string.nullable),
      ("count", .count), ("examples", .array(example)),
    ])
    return Endpoint(
      method: .get, path: AnomalyRoutes.base + "/{id}/scopes", tag: "anomalies",
      summary: "What a false alarm could be meant for, and what each would hide", access: .read,
      parameters: [Parameters.useCase, AnomalyRoutes.id],
      answers: [.init(.ok, "The narrowest first.", .json(Parameters.page(of: item)))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let (anomaly, _) = try await AnomalyRoutes.found(call, useCase)
        let view = AnomalyView(useCase: useCase, feedback: [:])
        var items: [String] = []
        for scope in Scope.allCases where scope.applies(to: anomaly, useCase.dashboard) {
          let found = try await Self.found(scope, of: anomaly, useCase)
          let examples = found.prefix(Self.mostExamples).map {
            JSONText.object([
              ("id", JSONText.string($0.id)), ("event_time", JSONText.time($0.eventTime)),
              ("measure", view.measure($0) ?? "null"),
            ])
          }
          let detail = scope == .same ? scope.field(useCase.dashboard).flatMap { Self.value(of: $0, in: anomaly) } : nil
          items.append(
            JSONText.object([
              ("scope", JSONText.string(scope.rawValue)),
              ("label", JSONText.string(scope.label(anomaly, useCase.dashboard))),
              ("detail", JSONText.optional(detail)), ("count", String(found.count)),
              ("examples", JSONText.array(examples)),
            ]))
        }
        return Reply(Parameters.page(items, total: items.count, next: nil))
      })
  }

  private static let given = JSONSchema.object([
    ("verdict", .string(among: Feedback.Verdict.allCases.map(\.word))), ("who", .string), ("time", .time),
    ("note", .string), ("marked", .count.saying("How many findings it was said of.")),
  ])

  private var give: Endpoint {
    let body = JSONSchema.object([
      ("verdict", .string(among: Feedback.Verdict.allCases.map(\.word))),
      ("scope?", .string(among: Scope.allCases.map(\.rawValue))), ("note?", .string(upTo: 500)),
    ])
    return Endpoint(
      method: .post, path: AnomalyRoutes.base + "/{id}/feedback", tag: "anomalies",
      summary: "Says what somebody thinks of it, or of all that its scope reaches",
      details:
        "A later word of the same person takes the place of an earlier one. A false alarm leaves lists and counts.",
      access: .write, parameters: [Parameters.useCase, AnomalyRoutes.id],
      body: Endpoint.Body(
        content: [.json(body, example: #"{"verdict":"confirmed","note":"ticket 4711"}"#)], most: 16 << 10),
      answers: [.init(.ok, "It is on record.", .json(Self.given))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let (anomaly, _) = try await AnomalyRoutes.found(call, useCase)
        let scope = call.json?["scope"]?.string.flatMap { Scope(rawValue: $0) } ?? .this
        guard let verdict = call.json?["verdict"]?.string.flatMap({ Feedback.Verdict(word: $0) }),
          scope.applies(to: anomaly, useCase.dashboard)
        else {
          throw Problem(.unprocessableContent, "The body is wrong", "This one has no scope `\(scope.rawValue)`.")
        }
        let before = try await useCase.store.actions.feedback(on: anomaly.id, of: useCase.name)
          .first { $0.who == call.caller.name }
        let marked = try await Self.found(scope, of: anomaly, useCase)
        let feedback = Feedback(
          useCase: useCase.name, finding: anomaly.id, verdict: verdict, who: call.caller.name, time: call.time,
          note: call.json?["note"]?.string ?? "")
        let line = call.audited(
          "feedback", anomaly.id, before: before.map(AnomalyView.json),
          after: JSONText.object([
            ("verdict", JSONText.string(verdict.word)), ("scope", JSONText.string(scope.rawValue)),
            ("marked", String(marked.count)), ("note", JSONText.string(feedback.note)),
          ]))
        let all = marked.map { other in
          var each = feedback
          each.finding = other.id
          return each
        }
        try await useCase.store.actions.record(all, noting: line)
        try await useCase.refreshFeedback()
        let text = AnomalyView.json(feedback).dropLast() + ",\"marked\":\(marked.count)}"
        return Reply(String(text), caching: .never)
      })
  }

  private var takeBack: Endpoint {
    Endpoint(
      method: .delete, path: AnomalyRoutes.base + "/{id}/feedback", tag: "anomalies",
      summary: "Takes one's word back, wherever it reached", access: .write,
      parameters: [Parameters.useCase, AnomalyRoutes.id], answers: [.init(.noContent, "It is gone.")],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let (anomaly, _) = try await AnomalyRoutes.found(call, useCase)
        let actions = useCase.store.actions
        let mine = try await actions.feedback(on: anomaly.id, of: useCase.name).first { $0.who == call.caller.name }
        guard let mine else { throw Problem.notFound("\(call.caller.name) has said nothing of it.") }
        // What was said at one time by one person was said at once.
        let together = try await actions.feedback(of: useCase.name).filter {
          $0.who == mine.who && $0.time == mine.time
        }
        try await actions.withdraw(
          together,
          noting: call.audited(
            "feedback.withdraw", anomaly.id, before: AnomalyView.json(mine),
            after: JSONText.object([("withdrawn", String(together.count))])))
        try await useCase.refreshFeedback()
        return Reply([], status: .noContent, contentType: "application/json", caching: .never)
      })
  }
}
