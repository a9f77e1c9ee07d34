// Versions of models: what is on record, in what they differ, and which one scores.

import Detection
import Foundation
import HTTPTypes
import Learning
import Operations
import Pipeline

struct ModelRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}/models"
  private static let detector = Parameter("detector", in: .path, "The detector.", .string(upTo: 100))

  var endpoints: [Endpoint] { [list, compare, promote, rollback] }

  static let schemas: [(name: String, schema: JSONSchema)] = [
    ("Detector", ModelView.detector), ("Version", ModelView.version),
  ]

  // MARK: Reading

  private var list: Endpoint {
    let page = JSONSchema.object([
      ("items", .array(.reference("Detector"))), ("total", JSONSchema.count.nullable),
      ("next", JSONSchema.string.nullable),
      ("from", JSONSchema.time.nullable.saying("Event time of the first event.")),
      ("to", JSONSchema.time.nullable.saying("The watermark.")),
      ("next_training", JSONSchema.time.nullable.saying("When the next training is due, in event time.")),
    ])
    return Endpoint(
      method: .get, path: Self.base, tag: "models", summary: "Learned detectors with their versions, oldest first",
      access: .read, parameters: [Parameters.useCase], answers: [.init(.ok, "By detector.", .json(page))],
      respond: { [services] call in
        let view = try await ModelView(try services.catalog.useCase(of: call))
        return Reply(try await blocking { try view.json })
      })
  }

  private var compare: Endpoint {
    let value = JSONSchema(.oneOf([.number, .string])).nullable
    let difference = JSONSchema.object([("what", .string), ("first", value), ("second", value)])
    return Endpoint(
      method: .get, path: Self.base + "/{detector}/compare", tag: "models", summary: "In what two versions differ",
      access: .read,
      parameters: [
        Parameters.useCase, Self.detector,
        Parameter("first", "The one version.", .string(upTo: 200), isRequired: true),
        Parameter("second", "The other one (default: the champion).", .string(upTo: 200)),
      ],
      answers: [
        .init(
          .ok, "What differs.",
          .json(.object([("first", .string), ("second", .string), ("differences", .array(difference))])))
      ],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let compared = try await blocking {
          try useCase.models().compare(
            call.string("first") ?? "", with: call.string("second"), of: call.path("detector"))
        }
        func json(_ value: ModelFact.Value?) -> String {
          switch value {
          case .text(let text): JSONText.string(text)
          case .number(let number): JSONText.number(number)
          case nil: "null"
          }
        }
        let differences = compared.differences.map {
          JSONText.object([
            ("what", JSONText.string($0.fact)), ("first", json($0.first)), ("second", json($0.second)),
          ])
        }
        return Reply(
          JSONText.object([
            ("first", JSONText.string(compared.first)), ("second", JSONText.string(compared.second)),
            ("differences", JSONText.array(differences)),
          ]))
      })
  }

  // MARK: Changing

  private static let change = JSONSchema.object([
    ("detector", .string), ("champion", .string), ("before", JSONSchema.string.nullable), ("at", .time),
  ])

  private static let reason = Endpoint.Body(
    content: [.json(.object([("reason?", .string(upTo: 500))]), example: #"{"reason":"too many alarms"}"#)],
    most: 16 << 10, isRequired: false)

  private var promote: Endpoint {
    let body = JSONSchema.object([("version", .string(upTo: 200)), ("reason?", .string(upTo: 500))])
    return Endpoint(
      method: .post, path: Self.base + "/{detector}/promote", tag: "models",
      summary: "Makes a version the champion, whatever its gate said", details: "Runs go on with it without a pause.",
      access: .admin, parameters: [Parameters.useCase, Self.detector],
      body: Endpoint.Body(content: [.json(body, example: #"{"version":"20240305-5fafeeae"}"#)], most: 16 << 10),
      answers: [.init(.ok, "It is the champion.", .json(Self.change))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let reason = call.json?["reason"]?.string ?? "promoted by \(call.caller.name)"
        let change = try await blocking {
          try useCase.models().promote(
            call.json?["version"]?.string ?? "", of: call.path("detector"), reason: reason, at: call.date)
        }
        return try await Self.answer(change, "models.promote", call, useCase)
      })
  }

  private var rollback: Endpoint {
    Endpoint(
      method: .post, path: Self.base + "/{detector}/rollback", tag: "models",
      summary: "Makes the champion before the present one champion again", access: .admin,
      parameters: [Parameters.useCase, Self.detector], body: Self.reason,
      answers: [.init(.ok, "It is the champion.", .json(Self.change))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let reason = call.json?["reason"]?.string ?? "rolled back by \(call.caller.name)"
        let change = try await blocking {
          try useCase.models().rollback(call.path("detector"), reason: reason, at: call.date)
        }
        return try await Self.answer(change, "models.rollback", call, useCase)
      })
  }

  private static func answer(
    _ change: ChampionChange, _ action: String, _ call: Call, _ useCase: ServedUseCase
  ) async throws -> Reply {
    _ = try await useCase.store.actions.append(
      call.audited(
        action, "\(useCase.name)/\(change.detector)", before: change.before.map { JSONText.string($0) },
        after: JSONText.string(change.champion)))
    return Reply(
      JSONText.object([
        ("detector", JSONText.string(change.detector)), ("champion", JSONText.string(change.champion)),
        ("before", JSONText.optional(change.before)), ("at", JSONText.time(call.time)),
      ]), caching: .never)
  }
}

extension Call {
  var date: Date { Date(timeIntervalSince1970: Double(time) / 1e6) }
}

extension ServedUseCase {
  /// What is done with its models.
  func models() throws -> ModelOperations { try ModelOperations(of: folder ?? name, in: store.directory) }
}
