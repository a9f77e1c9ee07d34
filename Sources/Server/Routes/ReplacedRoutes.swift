// Addresses that clients of other systems know: each is an address of ours under another name, with the use case named in
// `use_case` where several are served. What is answered is what the other address answers. What is done in another way here
// than by a request says so.

import Detection
import HTTPTypes

struct ReplacedRoutes {
  let services: Services
  /// What they stand for.
  let own: [Endpoint]

  private static let tag = "other names"
  private static let useCase = Parameter(
    "use_case", "The use case; needed where several are served.", .string(upTo: 100))
  private static let base = "/api/v1/use-cases/{use_case}"
  private static let ids = Parameter("ids", Parameters.entities.summary, Parameters.entities.schema, isList: true)

  var endpoints: [Endpoint] {
    [
      // Query watch.
      alias("/api/status", for: Self.base + "/status"),
      alias("/api/instances", for: Self.base + "/entities"),
      alias("/api/instances/critical", for: Self.base + "/entities/critical"),
      alias("/api/metrics", for: Self.base + "/metrics/summary", renaming: ["entities": Self.ids]),
      alias("/api/classification/chart", for: Self.base + "/classification/series", renaming: ["entities": Self.ids]),
      alias("/api/classification/table", for: Self.base + "/classification/table", renaming: ["entities": Self.ids]),
      alias("/api/anomalies", for: Self.base + "/anomalies", renaming: ["entities": Self.ids]),
      alias("/api/critical/types", for: Self.base + "/problems", renaming: ["entities": Self.ids]),
      alias(
        "/api/recommendations/{type}", for: Self.base + "/recommendations/{problem}",
        renaming: ["problem": Parameter("type", in: .path, "A detector, a rule or a class.", .string(upTo: 100))]),
      // Use cases as configuration.
      alias("/health", for: "/healthz"),
      alias("/schema", for: Self.base + "/schema"),
      alias("/predict", .post, for: Self.base + "/predict", saying: Self.now, stamped),
      // A toolkit for pipelines.
      alias("/pipeline/aggregate", .post, for: Self.base + "/events", saying: Self.now, stamped),
      alias("/pipeline/stats/{metric}", for: Self.base + "/metrics/summary", renaming: ["entities": Self.metric]) {
        call in
        var values = call.parameters
        values["entities"] = call.strings("entities").map { .string(Self.element($0)) }
        return call.asking(call.endpoint, values)
      },
      alias("/pipeline/all-stats", for: Self.base + "/windows"),
      alias("/pipeline/ml/models", for: Self.base + "/models"),
      alias(
        "/pipeline/ml/train", .post, for: Self.base + "/models/train", body: Self.training,
        saying: "The type of the model and what it looks at are those of the detector in `pipeline.yaml`."
      ) { call in
        let detectors = [call.json?["model_name"]].compactMap(\.self)
        return call.asking(call.endpoint, call.parameters, json: .object(["detectors": .array(detectors)]))
      },
      alias("/pipeline/spark/status", for: Self.base + "/status"),
      elsewhere(
        "/pipeline/ml/predict",
        "Events are scored, not rows of numbers: send them to /predict, with their fields by name."),
      elsewhere(
        "/pipeline/spark/process",
        "Metrics by windows of time are the `windows` of a use case: `pulse run` makes them of a file, and of events that "
          + "are handed in (POST /api/v1/use-cases/{use_case}/events)."),
      // User signals.
      paged("/anomalies", for: Self.base + "/anomalies", [Self.severity]) { call in
        ["severity": call.strings("severity")]
      },
      paged(
        "/users/{user}/anomalies", for: Self.base + "/users/{user}/anomalies",
        [Parameter("user", in: .path, "The person.", .string(upTo: 400))]
      ) { call in ["user": [call.path("user")]] },
      paged("/signals", for: Self.base + "/events", Self.signals, Self.question),
      metrics,
      elsewhere(
        "/configure",
        "`pulse simulate` and `pulse run --source simulator` make events: `events_per_day` of simulation.yaml says how many, "
          + "`--speedup` how fast they come."),
      elsewhere(
        "/burst",
        "`pulse simulate` and `pulse run --source simulator` make events: a larger `--speedup` plays them as a burst."),
    ]
  }

  /// The whole table: our own addresses and other names of them.
  var table: [Endpoint] {
    let other = endpoints
    return own.filter { own in !other.contains { $0.path == own.path && $0.method == own.method } } + other
  }

  private func endpoint(_ method: HTTPRequest.Method, _ path: String) -> Endpoint {
    guard let found = own.first(where: { $0.path == path && $0.method == method }) else {
      preconditionFailure("there is no endpoint \(path) that another name could stand for")
    }
    return found
  }

  /// The use case of a call: the one that it names, or the only one.
  private func useCase(of call: Call) throws(Problem) -> String {
    if let name = call.string("use_case") { return name }
    let names = services.catalog.all.map(\.name).filter { call.caller.maySee($0) }
    guard names.count == 1 else {
      throw Problem(
        .badRequest, "Which use case is meant?",
        names.isEmpty ? "None is served." : "Name one with `use_case`: \(names.joined(separator: ", ")).")
    }
    return names[0]
  }

  // MARK: The same under another name

  /// - Parameters:
  ///   - renaming: parameters with another name here, by their own.
  ///   - body: what is sent here, where that is something else.
  ///   - more: what there is to say of it.
  ///   - translating: makes the call of the other address, whose parameters it has already, one that this takes.
  private func alias(
    _ path: String, _ method: HTTPRequest.Method = .get, for target: String, renaming: [String: Parameter] = [:],
    body: Endpoint.Body? = nil, saying more: String = "",
    _ translating: @escaping @Sendable (Call) throws -> Call = { $0 }
  ) -> Endpoint {
    let own = endpoint(method, target)
    let isOfUseCase = own.pathNames.contains("use_case")
    let parameters = own.parameters.filter { $0.name != "use_case" }.map { renaming[$0.name] ?? $0 }
    return Endpoint(
      method: method, path: path, tag: Self.tag, summary: own.summary,
      details: "Another name of `\(target)`." + (more.isEmpty ? "" : " \(more)"),
      access: own.access, parameters: (isOfUseCase ? [Self.useCase] : []) + parameters, body: body ?? own.body,
      answers: own.answers, timeLimit: own.timeLimit,
      respond: { call in
        var values = call.parameters
        for (name, other) in renaming { values[name] = values.removeValue(forKey: other.name) }
        if isOfUseCase { values["use_case"] = [.string(try self.useCase(of: call))] }
        return try await own.respond(translating(call.asking(own, values)))
      })
  }

  private static let metric = Parameter("metric", in: .path, "The key of the events.", .string(upTo: 1_000))

  /// A value as a list has it.
  private static func element(_ text: String) -> String {
    text.replacing("%", with: "%25").replacing(",", with: "%2C")
  }

  private static let training = Endpoint.Body(
    content: [
      .json(
        .object([
          ("model_name", .string(upTo: 100)), ("model_type?", .string(upTo: 100)),
          ("feature_keys?", .array(.string(upTo: 400), upTo: 1_000)),
        ]), example: #"{"model_name":"outlier","feature_keys":["amount"]}"#)
    ], most: 256 << 10)

  /// Done in another way here than by a request: whoever asks is told how.
  private func elsewhere(_ path: String, _ detail: String) -> Endpoint {
    let title = "It is done in another way here"
    return Endpoint(
      method: .post, path: path, tag: Self.tag, summary: title, details: detail, access: .open,
      body: Endpoint.Body(content: [.json(.anything)], most: 1 << 20, isRequired: false),
      answers: [.init(.gone, "How it is done.", .init(Problem.contentType, .reference("Problem")))],
      respond: { _ in throw Problem(.gone, title, detail) })
  }

  // MARK: Events without a time

  private static let now = "One event without a time happens now."

  /// The same call, with the time of the request in its event where that has none: clients of the systems that had these
  /// addresses send none. Not where a key says that it may come again: it would come as another one.
  @Sendable private func stamped(_ call: Call) throws -> Call {
    let schema = try services.catalog.useCase(of: call).plan.schema
    let field = schema.fields[schema.timeField]
    guard field.path.count == 1, case .timestamp(let format) = field.type, call.string("Idempotency-Key") == nil,
      call.body.count <= schema.maxEventBytes, let start = call.body.firstIndex(of: UInt8(ascii: "{")),
      case .object(let members)? = try? JSONValue(parsing: call.body), members[field.path[0]] == nil,
      members["events"] == nil
    else { return call }
    let time =
      switch format {
      case .automatic, .rfc3339: JSONText.time(call.time)
      case .seconds: String(call.time / 1_000_000)
      case .milliseconds: String(call.time / 1_000)
      case .microseconds: String(call.time)
      }
    let stamp = "{\(JSONText.string(field.path[0])):\(time)\(members.isEmpty ? "" : ",")"
    return call.asking(call.endpoint, call.parameters, body: Array(stamp.utf8) + call.body[(start + 1)...])
  }

  // MARK: Metrics as JSON

  /// What Prometheus scrapes, and the figures of the last hours where somebody asks for those.
  private var metrics: Endpoint {
    let summary = endpoint(.get, Self.base + "/metrics/summary")
    var both = endpoint(.get, "/metrics")
    let scraped = both.respond
    both.details += " With `hours`, or where JSON alone is accepted, it is another name of `\(summary.path)`."
    both.parameters = [
      Self.useCase, Parameter("hours", "Figures of the last hours, as JSON.", .integer(1...9_600)),
    ]
    both.answers[0].content += summary.answers[0].content
    both.respond = { call in
      let isJSON = call.headers[.accept]?.trimmingPrefix(while: \.isWhitespace).hasPrefix("application/json") ?? false
      guard call.integer("hours") != nil || isJSON else { return try await scraped(call) }
      var values = Self.standards(of: summary)
      values["use_case"] = [.string(try self.useCase(of: call))]
      values["window"] = [.string("\(call.integer("hours") ?? 24)h")]
      return try await summary.respond(call.asking(summary, values))
    }
    return both
  }

  /// The values that parameters have where none is given.
  private static func standards(of endpoint: Endpoint) -> [String: [JSONValue]] {
    endpoint.parameters.reduce(into: [:]) { values, parameter in
      if let text = parameter.standard { values[parameter.name] = (try? parameter.values(of: text)) ?? [] }
    }
  }

  // MARK: Pages by number

  /// Rows up to which pages can be asked for by number.
  private static let mostRows = 10_000

  private static let severity = Parameter(
    "severity", "Only of these severities.", .string(among: Severity.allCases.map(\.rawValue)), isList: true)

  /// - Parameter question: values of the endpoint's parameters, as text.
  private func paged(
    _ path: String, for target: String, _ parameters: [Parameter],
    _ question: @escaping @Sendable (Call) throws -> [String: [String]]
  ) -> Endpoint {
    let own = endpoint(.get, target)
    let page = JSONSchema.object([
      ("items", .array(.map(.anything))), ("total", JSONSchema.count.nullable), ("next", JSONSchema.string.nullable),
      ("is_cut?", .boolean), ("page", .count), ("size", .count),
    ])
    return Endpoint(
      method: .get, path: path, tag: Self.tag, summary: own.summary,
      details: "Another name of `\(target)`, with pages by number. Those of `cursor` there cost less.",
      access: own.access,
      parameters: [
        Self.useCase, Parameter("page", "The page, from 1.", .integer(1...Int64(Self.mostRows)), standard: "1"),
        Parameter("size", "Rows of a page.", .integer(1...500), standard: "50"),
      ] + parameters, answers: [.init(.ok, "The page.", .json(page))],
      respond: { call in
        let (number, size) = (call.integer("page") ?? 1, call.integer("size") ?? 50)
        guard number * size <= Self.mostRows else {
          throw Problem(
            .badRequest, "The page lies too far behind",
            "At most \(Self.mostRows) rows are counted: narrow the time, or use \(target) with `cursor`.")
        }
        var values = Self.standards(of: own)
        for (name, texts) in try question(call) where !texts.isEmpty { values[name] = texts.map { .string($0) } }
        values["use_case"] = [.string(try self.useCase(of: call))]
        // What lies before the page is passed over in long steps.
        var before = (number - 1) * size
        while true {
          let isPage = before == 0
          let step = isPage ? size : min(before, 500)
          values["limit"] = [.integer(Int64(step))]
          let reply = try await own.respond(call.asking(own, values))
          guard case .whole(let bytes) = reply.body else { return reply }
          let next = try JSONValue(parsing: bytes)["next"]?.string
          if !isPage, let next {
            values["cursor"] = [.string(next)]
            before -= step
            continue
          }
          // Behind the last page there is nothing.
          let body = isPage ? String(decoding: bytes, as: UTF8.self) : Parameters.page([], total: nil, next: nil)
          return Reply(body.dropLast() + ",\"page\":\(number),\"size\":\(size)}")
        }
      })
  }

  // MARK: Signals

  private static let milliseconds = JSONSchema.integer(-62_135_596_800_000...253_402_300_799_999)

  private static let signals = [
    Parameter("user_id", "Only of this user.", .string(upTo: 400)),
    Parameter("signal_type", "Only of this type.", .string(upTo: 400)),
    Parameter("start_timestamp", "From when on, milliseconds since 1970.", milliseconds),
    Parameter("end_timestamp", "Until when, exclusive, milliseconds since 1970.", milliseconds),
  ]

  @Sendable private static func question(_ call: Call) -> [String: [String]] {
    func time(_ name: String) -> [String] {
      call.integer(name).map { [Timestamp.formatWithinRange(Int64($0) * 1000)] } ?? []
    }
    let conditions = [("user_id", "user_id"), ("signal_type", "type")].compactMap { parameter, field in
      call.string(parameter).map { "\(field):\(element($0))" }
    }
    return ["from": time("start_timestamp"), "to": time("end_timestamp"), "where": conditions]
  }
}

extension Call {
  /// The same caller's call of another endpoint, or with another body.
  fileprivate func asking(
    _ endpoint: Endpoint, _ parameters: [String: [JSONValue]], body: [UInt8]? = nil, json: JSONValue? = nil
  ) -> Call {
    Call(
      endpoint: endpoint, headers: headers, parameters: parameters, body: body ?? self.body, json: json ?? self.json,
      caller: caller, time: time)
  }
}
