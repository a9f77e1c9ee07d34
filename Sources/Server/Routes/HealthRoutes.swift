// Whether the server is there, whether it can answer, and how each part of it does.

import Connectors
import Detection
import HTTPTypes
import Pipeline

struct HealthRoutes {
  let services: Services

  var endpoints: [Endpoint] {
    [
      Endpoint(
        method: .get, path: "/healthz", tag: "health", summary: "Whether the server is there", access: .open,
        answers: [
          .init(.ok, "It is.", .json(.object([("status", .string(among: ["ok"]))]), example: #"{"status":"ok"}"#))
        ],
        respond: { _ in Reply(#"{"status":"ok"}"#, caching: .never) }),
      Endpoint(
        method: .get, path: "/readyz", tag: "health",
        summary: "Whether every data directory can be read, and figures are there",
        details: """
          With a run, also whether its source has given a record or has said that there is none. Who is not known learns \
          whether, and not what is missing.
          """, access: .open,
        answers: [
          .init(.ok, "It is ready.", .json(Self.readiness)),
          .init(.serviceUnavailable, "Not yet.", .json(Self.readiness)),
        ], respond: { [services] call in await Self.ready(services, call.caller) }),
      Endpoint(
        method: .get, path: "/api/v1/status", tag: "health",
        summary: "How each use case stands: every component with its state, since when and why", access: .read,
        answers: [
          .init(.ok, "All that the caller may see.", .json(.object([("items", .array(.reference("Status")))])))
        ],
        respond: { [services] call in
          let visible = services.catalog.all.filter { call.caller.maySee($0.name) }
          var items: [String] = []
          for useCase in visible { items.append(try await services.live.status(of: useCase).json) }
          return Reply(JSONText.object([("items", JSONText.array(items))]), caching: .never)
        }),
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/status", tag: "health", summary: "How a use case stands",
        access: .read, parameters: [Parameters.useCase],
        answers: [.init(.ok, "Its components.", .json(.reference("Status")))],
        respond: { [services] call in
          let useCase = try services.catalog.useCase(of: call)
          return Reply(try await services.live.status(of: useCase).json, caching: .never)
        }),
    ]
  }

  static let schemas: [(name: String, schema: JSONSchema)] = [("Status", UseCaseStatus.schema)]

  private static let readiness = JSONSchema.object([
    ("status", .string(among: ["ready", "not_ready"])),
    ("checks", .array(.object([("name", .string), ("ok", .boolean), ("detail", JSONSchema.string.nullable)]))),
  ])

  private static func ready(_ services: Services, _ caller: Principal) async -> Reply {
    var checks: [(name: String, detail: String?)] = []
    for store in services.catalog.stores {
      var trouble: String?
      do { _ = try await store.reader.read { try await $0.useCases() } } catch { trouble = "\(error)" }
      checks.append(("store \(store.directory.path)", trouble))
    }
    for useCase in services.catalog.all {
      checks.append(("figures \(useCase.name)", useCase.figures.isReady ? nil : "they are being read"))
    }
    if let run = services.run {
      // Quiet alone says nothing: the source may be on its way to the first record.
      let isThere = run.waitsForMore || run.progress.snapshot.run.records > 0
      checks.append(
        ("source of \(run.useCase)", isThere ? nil : "it has given no record yet, and has not said that there is none"))
    }
    let isReady = checks.allSatisfy { $0.detail == nil }
    let isKnown = caller.name != "anonymous" && caller.useCases == nil
    let items = (isKnown ? checks : []).map {
      JSONText.object([
        ("name", JSONText.string($0.name)), ("ok", $0.detail == nil ? "true" : "false"),
        ("detail", JSONText.optional($0.detail)),
      ])
    }
    let text = JSONText.object([
      ("status", JSONText.string(isReady ? "ready" : "not_ready")), ("checks", JSONText.array(items)),
    ])
    return Reply(text, status: isReady ? .ok : .serviceUnavailable, caching: .never)
  }
}
