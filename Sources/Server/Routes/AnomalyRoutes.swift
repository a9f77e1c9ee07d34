// What was found: lists with filters, one with its explanation, and what people say of it.

import Detection
import Foundation
import HTTPTypes
import Learning
import Operations
import Pipeline

struct AnomalyRoutes {
  let services: Services

  /// Rows that a list which is not ordered by time may sort.
  private static let mostSorted = 5_000

  static let id = Parameter("id", in: .path, "The anomaly.", .string(upTo: 400))
  static let base = "/api/v1/use-cases/{use_case}/anomalies"

  var endpoints: [Endpoint] {
    [list, ofUser, one, explanation]
  }

  static let schemas: [(name: String, schema: JSONSchema)] = [
    ("Anomaly", .object(AnomalyView.members)),
    ("AnomalyDetail", .object(AnomalyView.members + [("configuration", .string)])),
    ("Explanation", Self.explained),
  ]

  private var list: Endpoint {
    listed(
      at: Self.base, "What was found, newest first",
      of: [
        Parameters.useCase,
        Parameter(
          "user",
          "Only of this person, by the fields that the use case calls people; by the key where it names none.",
          .string(upTo: 400)),
      ])
  }

  private var ofUser: Endpoint {
    listed(
      at: "/api/v1/use-cases/{use_case}/users/{user}/anomalies", "What was found of a person, newest first",
      of: [Parameters.useCase, Parameter("user", in: .path, "The person.", .string(upTo: 400))])
  }

  private func listed(at path: String, _ summary: String, of parameters: [Parameter]) -> Endpoint {
    Endpoint(
      method: .get, path: path, tag: "anomalies", summary: summary, access: .read,
      parameters: parameters + [
        Parameters.from, Parameters.to,
        Parameters.entities,
        Parameter("detector", "Only of this detector or rule.", .string(upTo: 100)),
        Parameter(
          "severity", "Only of these severities.", .string(among: Severity.allCases.map(\.rawValue)), isList: true),
        Parameter("least_score", "Only from this score on.", JSONSchema(.number(low: nil, high: nil))),
        Parameter(
          "state", "By what people said: everything but false alarms unless given.",
          .string(among: ["all", "open"] + Feedback.Verdict.allCases.map(\.word))),
        Parameter("q", "Words that the reason, the key or the event has, all of them.", .string(upTo: 200)),
        Parameter(
          "sort",
          "By what; with `-` the highest first. Other than by time, the newest \(Self.mostSorted) matches are sorted.",
          .string(among: [
            "-time", "time", "-score", "score", "-severity", "severity", "detector", "-detector", "key", "-key",
          ]),
          standard: "-time"), Parameters.limit, Parameters.cursor,
      ], answers: [.init(.ok, "A page of them.", .json(Parameters.page(of: .reference("Anomaly"))))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        return Reply(try await Self.listed(call, useCase))
      })
  }

  private static func filter(_ call: Call, _ useCase: ServedUseCase) -> ResultFilter {
    var filter = call.filter(of: useCase)
    filter.name = call.string("detector")
    let entities = call.entities
    if !entities.isEmpty { filter.keys = Set(entities) }
    let severities = call.strings("severity").compactMap { Severity(rawValue: $0) }
    if !severities.isEmpty { filter.severities = Set(severities) }
    filter.leastScore = call.double("least_score")
    filter.words = call.string("q")?.split(whereSeparator: \.isWhitespace).prefix(10).map(String.init) ?? []
    if let user = call.string("user") {
      if useCase.dashboard.people.isEmpty {
        filter.keys = (filter.keys ?? [user]).intersection([user])
      } else if user.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != 0x22 && $0 != 0x5C }) {
        // Whoever it is stands in the event: the store looks for the text, and `isOf` at the field. Other texts may stand
        // there in another way than they are written.
        filter.words.append(user)
      }
    }
    return filter
  }

  /// Whether an anomaly is one of a person.
  private static func isOf(_ user: String?, _ anomaly: StoredAnomaly, _ useCase: ServedUseCase) -> Bool {
    guard let user else { return true }
    let fields = useCase.dashboard.people.map(\.field)
    return fields.isEmpty || fields.contains { AnomalyView.text(of: $0, in: anomaly) == user }
  }

  /// Whether a list has an anomaly, by what was said of it.
  private static func isShown(_ verdict: Feedback.Verdict?, _ state: String?) -> Bool {
    switch state {
    case nil: verdict != .falseAlarm
    case "all": true
    case "open": verdict == nil
    case let state?: verdict?.word == state
    }
  }

  private static func listed(_ call: Call, _ useCase: ServedUseCase) async throws -> String {
    var filter = filter(call, useCase)
    // No index is by severity: a list of few would go through all there are.
    if filter.severities != nil, let first = try? useCase.figures.now.anomalies.firstTime(of: filter) {
      filter.from = max(filter.from ?? .min, first)
    }
    let (sort, state) = (call.string("sort") ?? "-time", call.string("state"))
    let feedback = try await useCase.feedback()
    let view = AnomalyView(useCase: useCase, feedback: feedback)
    let user = call.string("user")
    func isWanted(_ anomaly: StoredAnomaly) -> Bool {
      isShown(feedback[anomaly.id]?.verdict, state) && isOf(user, anomaly, useCase)
    }
    guard sort == "-time" else {
      return try await sorted(call, filter, by: sort, view, isWanted)
    }
    return try await useCase.store.reader.read { [filter] snapshot in
      var items: [String] = []
      var cursor = try call.cursor()
      var page = filter
      let end = ContinuousClock.now + Parameters.searchTime
      repeat {
        try Task.checkCancellation()
        page.limit = filter.limit - items.count
        let found = try await snapshot.anomalies(page, after: cursor)
        items += found.rows.filter(isWanted).map { view.json($0) }
        cursor = found.next
      } while cursor != nil && items.count < filter.limit && .now < end
      let isCounted =
        filter.words.isEmpty && filter.leastScore == nil && (user == nil || useCase.dashboard.people.isEmpty)
      let total =
        isCounted
        ? useCase.figures.count(
          filter, said: feedback.mapValues { isShown($0.verdict, state) }, others: isShown(nil, state)) : nil
      return Parameters.page(items, total: total, next: cursor?.text)
    }
  }

  /// A list in another order than by time. Its cursor is a number of rows.
  private static func sorted(
    _ call: Call, _ filter: ResultFilter, by sort: String, _ view: AnomalyView, _ isShown: (StoredAnomaly) -> Bool
  ) async throws -> String {
    var all = filter
    all.limit = mostSorted
    var rows: [StoredAnomaly] = []
    try await view.useCase.store.reader.read { snapshot in
      try await snapshot.forEachAnomaly(all) { row in
        try Task.checkCancellation()
        rows.append(row)
      }
    }
    rows = rows.filter(isShown)
    let isDescending = sort.hasPrefix("-")
    func severity(_ row: StoredAnomaly) -> Severity { Severity(rawValue: row.severity) ?? .info }
    // What is equal stays by time, the newest first.
    let order: (StoredAnomaly, StoredAnomaly) -> Bool =
      switch sort.drop(while: { $0 == "-" }) {
      case "score": { $0.score < $1.score }
      case "severity": { severity($0) < severity($1) }
      case "detector": { $0.detector < $1.detector }
      case "key": { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
      default: { $0.eventTime < $1.eventTime }
      }
    let places = rows.indices.sorted { a, b in
      if isDescending ? order(rows[b], rows[a]) : order(rows[a], rows[b]) { return true }
      if isDescending ? order(rows[a], rows[b]) : order(rows[b], rows[a]) { return false }
      return a < b
    }
    var start = 0
    if case .int(let row)? = try call.cursor()?.keys.first { start = min(places.count, max(0, Int(clamping: row))) }
    let end = start + min(filter.limit, places.count - start)
    let items = start < end ? places[start..<end].map { view.json(rows[$0]) } : []
    let next = end < places.count ? PageCursor([.int(Int64(end))]).text : nil
    return Parameters.page(items, total: places.count, next: next)
  }

  // MARK: One

  /// The anomaly of a call with the text of the configuration in force.
  static func found(
    _ call: Call, _ useCase: ServedUseCase
  ) async throws -> (anomaly: StoredAnomaly, configuration: String) {
    let id = call.path("id")
    guard let found = try await useCase.store.reader.read({ try await $0.anomaly(id: id) }),
      found.anomaly.useCase == useCase.name
    else { throw Problem.notFound("There is no anomaly `\(id.prefix(200))`. It may have been removed since.") }
    return found
  }

  private var one: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/{id}", tag: "anomalies", summary: "One of them", access: .read,
      parameters: [Parameters.useCase, Self.id],
      answers: [.init(.ok, "The anomaly.", .json(.reference("AnomalyDetail")))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let (anomaly, configuration) = try await Self.found(call, useCase)
        let view = AnomalyView(useCase: useCase, feedback: try await useCase.feedback())
        return Reply(view.json(anomaly, [("configuration", JSONText.string(useCase.digits(of: configuration)))]))
      })
  }

  private static let explained = JSONSchema.object([
    ("id", .string), ("model", JSONSchema.string.nullable), ("stored_score", .number), ("score", .number),
    ("raw_score", .number), ("base", .number), ("expected", JSONSchema.number.nullable),
    (
      "scale",
      JSONSchema.string(among: ["log1p", "log2"]).saying(
        "What base and contributions add up to: the logarithm of the expected value and 1, or that of the raw score.")
    ),
    ("clause", JSONSchema.string.nullable), ("reason", .string),
    ("is_same", JSONSchema.boolean.saying("Whether scoring again gave what is stored.")),
    ("fields", .array(.object([("name", .string), ("contribution", .number)]))),
    (
      "inputs",
      .array(.object([("name", .string), ("value", JSONSchema.number.nullable), ("contribution", .number)]))
    ),
  ])

  private var explanation: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/{id}/explanation", tag: "anomalies",
      summary: "Its event scored again by the version of the model that found it, and the score taken apart",
      access: .read, parameters: [Parameters.useCase, Self.id],
      answers: [.init(.ok, "The explanation.", .json(.reference("Explanation")))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let (anomaly, configuration) = try await Self.found(call, useCase)
        guard let version = anomaly.model else {
          throw Problem.notFound(
            "A rule found it: there is no model to ask. What it saw is in `explanation` of the anomaly.")
        }
        // A champion is at hand: others are read for it.
        let champion = await useCase.predictor.model(version, of: anomaly.detector)
        let explanation = try await blocking {
          try AnomalyExplanation.explain(
            event: anomaly.event, foundBy: anomaly.detector, configuration: configuration,
            load: { try champion ?? useCase.registry.load(version, for: $0) })
        }
        return Reply(Self.json(explanation, of: anomaly))
      })
  }

  private static func json(_ explanation: LearnedExplanation, of anomaly: StoredAnomaly) -> String {
    let isSame = explanation.score == anomaly.score && explanation.reason == anomaly.reason
    let fields = explanation.fields.map {
      JSONText.object([("name", JSONText.string($0.feature)), ("contribution", JSONText.number($0.contribution))])
    }
    let inputs = explanation.inputs.map { input in
      JSONText.object([
        ("name", JSONText.string(input.input)),
        ("value", input.value.isNaN ? "null" : JSONText.number(Double(input.value))),
        ("contribution", JSONText.number(input.contribution)),
      ])
    }
    return JSONText.object([
      ("id", JSONText.string(anomaly.id)), ("model", JSONText.optional(anomaly.model)),
      ("stored_score", JSONText.number(anomaly.score)), ("score", JSONText.number(explanation.score)),
      ("raw_score", JSONText.number(explanation.raw)), ("base", JSONText.number(explanation.base)),
      ("expected", explanation.expected.map(JSONText.number) ?? "null"),
      ("scale", JSONText.string(explanation.expected == nil ? "log2" : "log1p")),
      ("clause", JSONText.optional(explanation.clause)), ("reason", JSONText.string(explanation.reason)),
      ("is_same", isSame ? "true" : "false"), ("fields", JSONText.array(fields)), ("inputs", JSONText.array(inputs)),
    ])
  }
}
