// Which use cases are served, and what each is.

import Detection
import HTTPTypes
import Pipeline

struct UseCaseRoutes {
  let services: Services

  var endpoints: [Endpoint] {
    [
      Endpoint(
        method: .get, path: "/api/v1/use-cases", tag: "use cases", summary: "The use cases that are served",
        access: .read,
        answers: [.init(.ok, "By name.", .json(Parameters.page(of: Self.listed)))],
        respond: { [services] call in
          let visible = services.catalog.all.filter { call.caller.maySee($0.name) }
          let items = visible.map {
            JSONText.object([
              ("name", JSONText.string($0.name)), ("description", JSONText.optional($0.dashboard.description)),
              ("simulated", Self.isSimulated($0, services) ? "true" : "false"),
            ])
          }
          return Reply(Parameters.page(items, total: items.count, next: nil))
        }),
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}", tag: "use cases",
        summary: "What a use case is: its words, fields, classes and detectors", access: .read,
        parameters: [Parameters.useCase], answers: [.init(.ok, "The use case.", .json(.reference("UseCase")))],
        respond: { [services] call in
          Reply(Self.described(try services.catalog.useCase(of: call), services))
        }),
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/configuration", tag: "use cases",
        summary: "Its definition as text", access: .read, parameters: [Parameters.useCase],
        answers: [.init(.ok, "pipeline.yaml.", .init("application/yaml", .anything))],
        respond: { [services] call in
          Reply(try services.catalog.useCase(of: call).text, contentType: "application/yaml")
        }),
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/schema", tag: "use cases",
        summary: "What an event has to look like, as JSON Schema", access: .read, parameters: [Parameters.useCase],
        answers: [.init(.ok, "JSON Schema (draft 2020-12).", .init("application/schema+json", .anything))],
        respond: { [services] call in
          Reply(
            EventSchema.json(of: try services.catalog.useCase(of: call).plan), contentType: "application/schema+json")
        }),
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/activations", tag: "use cases",
        summary: "Which configuration and which models apply, and from where on", access: .read,
        parameters: [Parameters.useCase, Parameters.from, Parameters.to],
        answers: [.init(.ok, "In the order in which they were recorded.", .json(Parameters.page(of: Self.activation)))],
        respond: { [services] call in
          let useCase = try services.catalog.useCase(of: call)
          let items = try await ActivationView.items(of: useCase, call.filter(of: useCase))
          return Reply(Parameters.page(items, total: items.count, next: nil))
        }),
    ]
  }

  static let schemas: [(name: String, schema: JSONSchema)] = [("UseCase", useCase)]

  private static let listed = JSONSchema.object([
    ("name", .string), ("description", JSONSchema.string.nullable), ("simulated", .boolean),
  ])

  private static let noun = JSONSchema.object([
    ("field", JSONSchema.string.nullable), ("one", .string), ("many", .string),
  ])

  private static let useCase = JSONSchema.object([
    ("name", .string), ("description", JSONSchema.string.nullable), ("simulated", .boolean),
    ("configuration", .string.saying("What its definition means, in the first digits of a hash.")), ("entity", noun),
    ("event", .object([("one", .string), ("many", .string)])),
    (
      "classification",
      JSONSchema.object([
        ("name", .string), ("says", JSONSchema.string.nullable),
        ("classes", .array(.object([("name", .string), ("label", .string)]))), ("else", .string),
      ]).nullable
    ),
    (
      "detectors",
      .array(
        .object([
          ("name", .string), ("type", .string), ("severity", .string), ("learned", .boolean), ("label", .string),
          ("description", JSONSchema.string.nullable),
          ("target", JSONSchema.object([("field", .string), ("unit", JSONSchema.string.nullable)]).nullable),
        ]))
    ), ("people", .array(.object([("field", .string), ("one", .string)]))),
    (
      "training", JSONSchema.object([("least_hours", .number), ("schedule", .string)]).nullable
    ),
    (
      "fields",
      .array(
        .object([
          ("name", .string), ("type", .string), ("unit", JSONSchema.string.nullable), ("known_before", .boolean),
        ]))
    ),
    ("windows", .array(.string)), ("figures", .array(.string)),
  ])

  private static let activation = JSONSchema.object([
    ("sequence", .count), ("kind", .string(among: ["configuration", "model", "gap", "close"])),
    ("detector", JSONSchema.string.nullable), ("version", .string), ("record", .integer),
    ("time", JSONSchema.time.nullable.saying("Event time of the first finding from there on, where there is one.")),
    ("text", .string),
  ])

  /// Whether its events are made up: by what has been read.
  static func isSimulated(_ useCase: ServedUseCase, _ services: Services) -> Bool {
    services.live.sources(of: useCase.name) == ["simulator"]
  }

  private static func described(_ useCase: ServedUseCase, _ services: Services) -> String {
    let (plan, dashboard) = (useCase.plan, useCase.dashboard)
    let key = useCase.entityField
    let entity = [
      ("field", JSONText.optional(key)), ("one", JSONText.string(dashboard.entity.one)),
      ("many", JSONText.string(dashboard.entity.many)),
    ]
    let people = JSONText.array(
      dashboard.people.map {
        JSONText.object([("field", JSONText.string($0.field)), ("one", JSONText.string($0.one))])
      })
    let fields = plan.schema.fields.map { field in
      JSONText.object([
        ("name", JSONText.string(field.name)), ("type", JSONText.string(field.type.name)),
        ("unit", JSONText.optional(dashboard.units[field.name])),
        ("known_before", field.knownAt == .beforeExecution ? "true" : "false"),
      ])
    }
    return JSONText.object([
      ("name", JSONText.string(useCase.name)), ("description", JSONText.optional(dashboard.description)),
      ("simulated", isSimulated(useCase, services) ? "true" : "false"),
      ("configuration", JSONText.string(useCase.digits(of: useCase.text))), ("people", people),
      ("training", training(plan)), ("entity", JSONText.object(entity)),
      (
        "event",
        JSONText.object([
          ("one", JSONText.string(dashboard.event.one)), ("many", JSONText.string(dashboard.event.many)),
        ])
      ), ("classification", classification(useCase)), ("detectors", JSONText.array(detectors(useCase))),
      ("fields", JSONText.array(fields)),
      ("windows", JSONText.array(plan.windows.map { JSONText.string($0.definition.name) })),
      ("figures", JSONText.array(dashboard.figures.map { JSONText.string($0.name) })),
    ])
  }

  /// When models are trained, and from how much: a tenth of the history that training asks for.
  private static func training(_ plan: Plan) -> String {
    guard plan.useCase.detectors.contains(where: \.isTrained) else { return "null" }
    let training = plan.useCase.training
    let schedule =
      switch training.schedule {
      case .every(let time): time == Timestamp.microsecondsPerDay ? "daily" : "every \(DurationText.format(time))"
      case .manual: "manual"
      }
    return JSONText.object([
      ("least_hours", JSONText.number(Double(training.history) / 3.6e10)), ("schedule", JSONText.string(schedule)),
    ])
  }

  private static func classification(_ useCase: ServedUseCase) -> String {
    guard let classification = useCase.plan.useCase.classification else { return "null" }
    let labels = useCase.dashboard.labels
    let classes = classification.cases.map {
      JSONText.object([("name", JSONText.string($0.name)), ("label", JSONText.string(labels[$0.name] ?? $0.name))])
    }
    return JSONText.object([
      ("name", JSONText.string(classification.into)), ("says", JSONText.optional(useCase.dashboard.problems)),
      ("classes", JSONText.array(classes)), ("else", JSONText.string(classification.otherwise)),
    ])
  }

  private static func detectors(_ useCase: ServedUseCase) -> [String] {
    func detector(_ name: String, _ type: String, _ severity: Severity, target: String?, isLearned: Bool) -> String {
      let target = target.map {
        JSONText.object([
          ("field", JSONText.string($0)), ("unit", JSONText.optional(useCase.dashboard.units[$0])),
        ])
      }
      let text = useCase.dashboard.detectors[name]
      return JSONText.object([
        ("name", JSONText.string(name)), ("type", JSONText.string(type)),
        ("severity", JSONText.string(severity.rawValue)),
        ("learned", isLearned ? "true" : "false"),
        ("label", JSONText.string(useCase.dashboard.label(of: name))),
        ("description", JSONText.optional(text?.description)), ("target", target ?? "null"),
      ])
    }
    let definition = useCase.plan.useCase
    return definition.detectors.map {
      detector($0.name, $0.type, $0.severity, target: AnomalyView.target(of: $0), isLearned: true)
    } + definition.rules.map { detector($0.name, "rule", $0.severity, target: nil, isLearned: false) }
  }
}
