// Events that clients send: to be processed like all others, or to be scored at once and forgotten.

import Detection
import HTTPTypes
import Operations
import Pipeline

struct EventRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}"

  var endpoints: [Endpoint] { [list, handIn, predict] }

  static let schemas: [(name: String, schema: JSONSchema)] = [("Prediction", prediction)]

  private static let invalid = JSONSchema.object([
    ("index", .count), ("reason", .string), ("field", JSONSchema.string.nullable), ("message", .string),
  ])

  private static func json(_ event: InvalidEvent) -> String {
    JSONText.object([
      ("index", String(event.index)), ("reason", JSONText.string(event.reason)),
      ("field", JSONText.optional(event.field)), ("message", JSONText.string(event.message)),
    ])
  }

  /// The problem of a request with events that no run would take.
  private static func refused(_ events: [InvalidEvent], of count: Int) -> Problem {
    let fields = events.prefix(Problem.mostFields).map { event in
      Problem.Field(place: "/\(event.index)\(event.field.map { "/\($0)" } ?? "")", message: event.message)
    }
    let detail =
      count == 1 ? fields[0].message : "\(events.count) of \(count) events are wrong; none was taken."
    return Problem(.unprocessableContent, "Events are wrong", detail, fields: fields)
  }

  private static func body(of call: Call, _ useCase: ServedUseCase) throws(Problem) -> EventBody {
    try EventBody(
      call.body, type: call.headers[.contentType],
      hasEnvelope: !useCase.plan.schema.fields.contains { $0.path.first == "events" })
  }

  private static let accepted = Endpoint.Body(
    content: EventBody.content(example: #"[{"query_id": 1}, {"query_id": 2}]"#), most: EventBody.mostBytes)

  // MARK: Those of history

  private var list: Endpoint {
    let item = JSONSchema.object([("time", .time), ("event", .map(.anything))])
    let page = JSONSchema.object([
      ("items", .array(item)), ("total", JSONSchema.count.nullable), ("next", JSONSchema.string.nullable),
      ("is_cut", .boolean.saying("Whether there were more events to look at than one answer may: narrow the time.")),
    ])
    return Endpoint(
      method: .get, path: Self.base + "/events", tag: "events", summary: "Events of history, newest first",
      details: "Those of the last minutes may not be in a history file yet.", access: .read,
      parameters: [
        Parameters.useCase, Parameters.from, Parameters.to, Parameters.entities,
        Parameter(
          "where", "Only with these values: `field:value`, as text. Commas and percent signs as in `entities`.",
          .string(upTo: 1_000), isList: true),
        Parameter("fields", "Only these fields (default: all).", .string(upTo: 200), isList: true),
        Parameters.limit, Parameters.cursor,
      ], answers: [.init(.ok, "A page of them.", .json(page))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let question = try Self.question(call, useCase)
        let list = try await blocking { try EventList(question, of: useCase) }
        let items = list.items.map {
          JSONText.object([("time", JSONText.time($0.place.time)), ("event", $0.event)])
        }
        return Reply(
          JSONText.object([
            ("items", JSONText.array(items)), ("total", "null"),
            ("next", JSONText.optional(list.next.map { PageCursor($0).text })),
            ("is_cut", list.isCut ? "true" : "false"),
          ]))
      })
  }

  private static func question(_ call: Call, _ useCase: ServedUseCase) throws -> EventList.Question {
    let filter = call.filter(of: useCase)
    var question = EventList.Question()
    question.from = filter.from ?? .min
    question.to = filter.to ?? .max
    question.limit = filter.limit
    question.keys = Set(call.entities)
    question.after = try call.cursor()?.place()
    let known = useCase.plan.schema.fields.map(\.name)
    func field(_ name: String) throws(Problem) -> String {
      if known.contains(name) { return name }
      throw Problem.unknown("field", name, among: known)
    }
    for name in call.strings("fields") { question.fields.insert(try field(name)) }
    for text in call.strings("where") {
      let text = PercentEncoding.decode(text, plusIsSpace: false) ?? text
      guard let colon = text.firstIndex(of: ":") else {
        throw Problem(
          .badRequest, "The parameters are wrong", "where: expected `field:value`, found `\(text.prefix(80))`")
      }
      question.values.append((try field(String(text[..<colon])), String(text[text.index(after: colon)...])))
    }
    return question
  }

  // MARK: To be processed

  private var handIn: Endpoint {
    let answer = JSONSchema.object([
      ("accepted", .count), ("first", .count.saying("The number of the first of them in the inbox.")),
      ("repeated", .boolean.saying("Whether they were handed in before, under the same key.")),
      ("waiting", .count.saying("Events in the inbox that no checkpoint has passed yet, these among them.")),
      ("rejected", .array(Self.invalid)),
    ])
    return Endpoint(
      method: .post, path: Self.base + "/events", tag: "events",
      summary: "Hands in events: they are on disk when the answer comes, and are then processed like those of a file",
      details: """
        One event, an array, `{"events": [...]}`, or one a line (`application/x-ndjson`); gzip is taken. A run with \
        `--source http` reads them, in the order in which they were taken; one over a Kafka topic brings them there first, each \
        once. Where an event is wrong none is taken, unless \
        `partial` is set. With an `Idempotency-Key` the same request can be sent again for a day without being taken twice.
        """,
      access: .write,
      parameters: [
        Parameters.useCase,
        Parameter("partial", "Take the right ones where others are wrong.", .boolean, standard: "false"),
        Parameter("Idempotency-Key", in: .header, "A name for this request.", .string(upTo: 200)),
      ],
      body: Self.accepted, answers: [.init(.accepted, "They are taken.", .json(answer))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        if let refusal = services.refusal(of: useCase) { throw refusal }
        return try await Self.handIn(try Self.body(of: call, useCase), call, useCase)
      })
  }

  private static func handIn(_ body: EventBody, _ call: Call, _ useCase: ServedUseCase) async throws -> Reply {
    let wrong = await useCase.predictor.problems(of: body.records.map { HandedRecord($0) })
    guard wrong.isEmpty || call.bool("partial") && wrong.count < body.records.count else {
      throw refused(wrong, of: body.records.count)
    }
    let indices = Set(wrong.map(\.index))
    let records =
      wrong.isEmpty ? body.records : body.records.enumerated().filter { !indices.contains($0.offset) }.map(\.element)
    // Keys of different people are different: no name has a line end.
    let key = call.string("Idempotency-Key").map { "request\n\(call.caller.name)\n\($0)" }
    let actions = useCase.store.actions
    let taken = try await actions.handIn(records, to: useCase.name, key: key, at: call.time)
    guard taken.isSame else {
      throw Problem(
        .conflict, "The key was used before",
        "It stands for another request, with \(taken.count) events. Make a new key for each request.")
    }
    let state = try await actions.state(of: useCase.name)
    return Reply(
      JSONText.object([
        ("accepted", String(taken.count)), ("first", String(taken.first)),
        ("repeated", taken.isRepeated ? "true" : "false"), ("waiting", String(state.next - state.first)),
        ("rejected", JSONText.array(wrong.map(json))),
      ]), status: .accepted, caching: .never)
  }

  // MARK: To be scored

  private static let verdict = JSONSchema.object([
    ("detector", .string), ("is_anomaly", .boolean), ("score", .number.saying("1 is the threshold.")),
    ("severity", .string(among: Severity.allCases.map(\.rawValue))),
    ("expected", JSONSchema.number.nullable), ("reason", JSONSchema.string.nullable),
    ("clause", JSONSchema.string.nullable),
    (
      "contributions",
      .array(.object([("feature", .string), ("value", .anything), ("contribution", .number)]))
    ),
  ])

  private static let prediction = JSONSchema.object([
    (
      "items",
      .array(
        .object([
          ("class", JSONSchema.string.nullable), ("is_anomaly", .boolean),
          ("score", JSONSchema.number.nullable.saying("The highest of its verdicts.")),
          ("severity", JSONSchema.string.nullable.saying("The highest of the detectors that call it an anomaly.")),
          ("verdicts", .array(verdict)), ("error", invalid.nullable),
        ]))
    ),
    (
      "detectors",
      .array(.object([("detector", .string), ("type", .string), ("model", JSONSchema.string.nullable)]))
        .saying("Those that took part. A rule has a verdict where it matches.")
    ),
    (
      "silent",
      .array(.object([("detector", .string), ("why", .string)])).saying("Those that could not, and why.")
    ),
  ])

  private var predict: Endpoint {
    Endpoint(
      method: .post, path: Self.base + "/predict", tag: "events",
      summary: "Scores events at once: class, verdicts, expected values and why. Nothing is stored",
      details: """
        One event, an array, `{"events": [...]}`, or one a line. One event that is wrong is refused; of several, those \
        that are wrong say so in `error`.
        """,
      access: .read,
      parameters: [
        Parameters.useCase,
        Parameter(
          "explain",
          "Which scores are taken apart (default: all of one event, of several those of anomalies), of at most "
            + "\(PredictionWorker.mostExplained) in a request.",
          .string(among: PredictionWorker.Explaining.allCases.map(\.rawValue))),
      ],
      body: Self.accepted, answers: [.init(.ok, "In the order of the events.", .json(.reference("Prediction")))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        return Reply(try await Self.predict(call, useCase), caching: .never)
      })
  }

  private static func predict(_ call: Call, _ useCase: ServedUseCase) async throws -> String {
    let body = try body(of: call, useCase)
    let explaining = call.string("explain").flatMap { PredictionWorker.Explaining(rawValue: $0) }
    let (prediction, models) = try await useCase.predictor.predict(
      body.records, explaining: explaining ?? (body.isSingle ? .all : .anomalies))
    if body.isSingle, let wrong = prediction.items[0].invalid { throw refused([wrong], of: 1) }
    let participants = useCase.predictor.participants(of: models).map {
      JSONText.object([
        ("detector", JSONText.string($0.detector)), ("type", JSONText.string($0.type)),
        ("model", JSONText.optional($0.model)),
      ])
    }
    let silent = models.silent.map {
      JSONText.object([("detector", JSONText.string($0.detector)), ("why", JSONText.string($0.why))])
    }
    return JSONText.object([
      ("items", JSONText.array(prediction.items.map(json))), ("detectors", JSONText.array(participants)),
      ("silent", JSONText.array(silent)),
    ])
  }

  private static func json(_ item: Prediction.Item) -> String {
    let alarms = item.verdicts.filter(\.isAnomaly)
    return JSONText.object([
      ("class", JSONText.optional(item.category)), ("is_anomaly", alarms.isEmpty ? "false" : "true"),
      ("score", item.verdicts.map(\.score).max().map(JSONText.number) ?? "null"),
      ("severity", JSONText.optional(alarms.map(\.severity).max()?.rawValue)),
      ("verdicts", JSONText.array(item.verdicts.map(json))), ("error", item.invalid.map(json) ?? "null"),
    ])
  }

  private static func json(_ verdict: Prediction.Verdict) -> String {
    let contributions = (verdict.explanation?.contributions ?? []).map {
      JSONText.object([
        ("feature", JSONText.string($0.feature)), ("value", JSONText.value($0.value)),
        ("contribution", JSONText.number($0.contribution)),
      ])
    }
    return JSONText.object([
      ("detector", JSONText.string(verdict.detector)), ("is_anomaly", verdict.isAnomaly ? "true" : "false"),
      ("score", JSONText.number(verdict.score)), ("severity", JSONText.string(verdict.severity.rawValue)),
      ("expected", verdict.explanation?.expected.map(JSONText.number) ?? "null"),
      ("reason", JSONText.optional(verdict.reason)), ("clause", JSONText.optional(verdict.explanation?.clause)),
      ("contributions", JSONText.array(contributions)),
    ])
  }
}
