// Addresses that clients of other systems know: each is an address of ours under another name, with the use case named in
// `use_case` where several are served. What is answered is what the other address answers.

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
      alias("/predict", .post, for: Self.base + "/predict"),
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

  /// - Parameter renaming: parameters with another name here, by their own.
  private func alias(
    _ path: String, _ method: HTTPRequest.Method = .get, for target: String, renaming: [String: Parameter] = [:]
  ) -> Endpoint {
    let own = endpoint(method, target)
    let isOfUseCase = own.pathNames.contains("use_case")
    let parameters = own.parameters.filter { $0.name != "use_case" }.map { renaming[$0.name] ?? $0 }
    return Endpoint(
      method: method, path: path, tag: Self.tag, summary: own.summary, details: "Another name of `\(target)`.",
      access: own.access, parameters: (isOfUseCase ? [Self.useCase] : []) + parameters, body: own.body,
      answers: own.answers, timeLimit: own.timeLimit,
      respond: { call in
        var values = call.parameters
        for (name, other) in renaming { values[name] = values.removeValue(forKey: other.name) }
        if isOfUseCase { values["use_case"] = [.string(try self.useCase(of: call))] }
        return try await own.respond(call.asking(own, values))
      })
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
      call.string(parameter).map { "\(field):\($0.replacing("%", with: "%25").replacing(",", with: "%2C"))" }
    }
    return ["from": time("start_timestamp"), "to": time("end_timestamp"), "where": conditions]
  }
}

extension Call {
  /// The same caller's call of another endpoint.
  fileprivate func asking(_ endpoint: Endpoint, _ parameters: [String: [JSONValue]]) -> Call {
    Call(
      endpoint: endpoint, headers: headers, parameters: parameters, body: body, json: json, caller: caller, time: time)
  }
}
